// Package policy decides commands: it implements [gate.Policy] over documents of
// rules written in YAML, with conditions in CEL (https://cel.dev,
// https://github.com/google/cel-spec/blob/master/doc/langdef.md).
//
// A [Program] is a set of documents that was parsed, type-checked and bounded in
// cost; an [Engine] decides by the program that was swapped in last. Block beats
// hold beats allow, whatever the order of the rules; what no rule allows is
// blocked; an expression that fails at run time blocks its command. [Engine.Explain]
// shows how a decision came about, and [Engine.Test] runs the cases that documents
// carry.
//
// The package knows no protocol: a protocol's facts are a Go struct type given to
// [New]. It reads no file, keeps nothing, and knows nothing of YAML places: its
// errors name the document, the path in it and the place inside the expression.
package policy
