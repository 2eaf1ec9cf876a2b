// Package document tests how documents are read as a whole: the strict decoding
// of internal/config with the types of the packages that own the kinds. It holds
// what no single one of them can test: the place in a file of a mistake inside a
// policy, the JSON Schema of every kind, and the examples of the documentation.
package document
