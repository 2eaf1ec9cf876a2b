package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/sallyport-gateway/sallyport"

// pkg is what `go list` and the parser tell about one package of the module.
type pkg struct {
	ImportPath     string
	Dir            string
	Name           string
	GoFiles        []string
	CgoFiles       []string
	IgnoredGoFiles []string
	TestGoFiles    []string
	XTestGoFiles   []string
	Imports        []string
	TestImports    []string
	XTestImports   []string

	fset  *token.FileSet
	files map[string]*ast.File // the ordinary files, by name
	tests map[string]*ast.File // the test files, by name
}

// rel is the import path within the module: "internal/gate".
func (p *pkg) rel() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

// at is a place for messages.
func (p *pkg) at(n ast.Node) string {
	position := p.fset.Position(n.Pos())
	return filepath.Join(p.rel(), filepath.Base(position.Filename)) + ":" + itoa(position.Line)
}

func root(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("go list -m: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// load lists and parses every package of the module.
func load(t *testing.T) []*pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Name,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []*pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		p := &pkg{fset: token.NewFileSet(), files: map[string]*ast.File{}, tests: map[string]*ast.File{}}
		if err := decoder.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		for _, name := range concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles) {
			if !strings.HasSuffix(name, "_test.go") {
				p.parse(t, p.files, name)
			}
		}
		for _, name := range concat(p.TestGoFiles, p.XTestGoFiles) {
			p.parse(t, p.tests, name)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// parse adds a file unless a generator wrote it.
func (p *pkg) parse(t *testing.T, into map[string]*ast.File, name string) {
	t.Helper()
	file, err := parser.ParseFile(p.fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	if !ast.IsGenerated(file) {
		into[name] = file
	}
}

// snippet is a package of one file, for testing the rules themselves.
func snippet(t *testing.T, importPath, source string) *pkg {
	t.Helper()
	p := &pkg{ImportPath: importPath, fset: token.NewFileSet(), files: map[string]*ast.File{}, tests: map[string]*ast.File{}}
	file, err := parser.ParseFile(p.fset, "x.go", source, parser.ParseComments)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	p.Name = file.Name.Name
	p.files["x.go"] = file
	return p
}

func concat(lists ...[]string) []string {
	var all []string
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// report fails the test with every finding.
func report(t *testing.T, findings []string) {
	t.Helper()
	for _, f := range findings {
		t.Error(f)
	}
}
