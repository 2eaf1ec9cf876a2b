// Package arch checks the architecture of this module: its tests fail when an
// import goes the wrong way, a package does not say what it is for, an exported
// name is not documented, or a dependency came in without a reason.
//
// It exists because a rule that no test checks is a wish. The rules are those of
// CONTRIBUTING.md and ARCHITECTURE.md; the exceptions stand in the tests with
// their reasons. It looks at the source only (`go list`, go/parser), so it runs
// in about a second. It holds no code of the product.
package arch
