// Package config owns what a person configures: sallyport.yaml, the one file for
// the process ([Process]), and the documents for everything else ([Set]).
//
// Both are read strictly. An unknown field, a duplicate key, a wrong type or a
// name that does not exist is an error with file, line, column, the source line
// and a suggestion, and all errors of a read are reported at once, because a
// misspelt rule that is silently ignored is a rule that does not protect.
// Documents are validated as a whole [Set]; a [Store] swaps sets atomically, so
// that a bad document changes nothing, and hands targets to the gate.
//
// The Go types of kinds that other packages own (issuers, policies) are given by
// cmd in a list of [Kind]; config imports none of them. Their cross-checks hook in
// as [Hook].
//
// The package does not interpret policies or tokens, and it never holds a secret:
// credential documents name a place ([Source]), never a value.
//
// YAML 1.2 (https://yaml.org/spec/1.2.2/) is read without tags and merge keys;
// JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12) is written.
package config
