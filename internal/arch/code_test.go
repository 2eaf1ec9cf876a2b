package arch

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// forbiddenNames say nothing about what a package is for.
func forbiddenNames() map[string]bool {
	return map[string]bool{
		"util": true, "utils": true, "common": true, "helper": true, "helpers": true, "type": true, "types": true,
		"model": true, "models": true, "manager": true, "managers": true, "misc": true, "shared": true, "base": true, "lib": true,
	}
}

func TestPackagesAreNamedForWhatTheyAre(t *testing.T) {
	for _, p := range load(t) {
		for _, part := range strings.Split(p.rel(), "/") {
			if forbiddenNames()[part] {
				t.Errorf("%s: %q says nothing about what the package is for", p.rel(), part)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range load(t) {
		if len(p.files) == 0 {
			continue // only tests
		}
		docs := 0
		for _, f := range p.files {
			if f.Doc != nil && len(strings.Fields(f.Doc.Text())) >= 8 {
				docs++
			}
		}
		if docs != 1 {
			t.Errorf("%s has %d package docs of at least a sentence, want 1", p.rel(), docs)
		}
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, p := range load(t) {
		report(t, undocumented(p))
	}
}

// undocumented lists the exported names without a comment. A comment on a group
// of constants or variables is enough for its members, and so is the comment of
// the type whose values a group of constants lists.
func undocumented(p *pkg) []string {
	var found []string
	if p.Name == "main" {
		return nil
	}
	for _, f := range p.files {
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && receiverExported(d) {
					found = append(found, p.at(d)+": "+d.Name.Name+" has no doc comment")
				}
			case *ast.GenDecl:
				if listsValuesOfOwnType(d) {
					continue
				}
				for _, spec := range d.Specs {
					if name := undocumentedSpec(d, spec); name != "" {
						found = append(found, p.at(spec)+": "+name+" has no doc comment")
					}
				}
			}
		}
	}
	return found
}

// listsValuesOfOwnType reports whether a group of constants begins with a typed
// one of an exported type of the package, as enumerations do.
func listsValuesOfOwnType(d *ast.GenDecl) bool {
	if d.Tok != token.CONST || len(d.Specs) == 0 {
		return false
	}
	name, ok := d.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident)
	return ok && name.IsExported()
}

func undocumentedSpec(d *ast.GenDecl, spec ast.Spec) string {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
			return s.Name.Name
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
				return name.Name
			}
		}
	}
	return ""
}

// receiverExported reports whether a function is no method or one of an exported
// type.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

func TestCodeKeepsTheRules(t *testing.T) {
	for _, p := range load(t) {
		for _, f := range p.files {
			report(t, codeFindings(p, f, false))
		}
		for _, f := range p.tests {
			report(t, codeFindings(p, f, true))
		}
	}
}

// exits are the functions outside main that may end the process, with the
// reason.
func exits() map[string]string {
	return map[string]string{
		"internal/sql/postgres/parse.WorkerMain": "is the main function of a parser worker process",
	}
}

// codeFindings lists what a file does that none may: init functions, ending the
// process outside main, contexts kept in structs; and, in tests, sleeping and
// skipping.
func codeFindings(p *pkg, f *ast.File, test bool) []string {
	var found []string
	add := func(n ast.Node, what string) { found = append(found, p.at(n)+": "+what) }
	for _, decl := range f.Decls {
		fn, _ := decl.(*ast.FuncDecl)
		mayExit := fn != nil && (fn.Name.Name == "main" && p.Name == "main" || test && fn.Name.Name == "TestMain" ||
			exits()[p.rel()+"."+fn.Name.Name] != "")
		if fn != nil && fn.Recv == nil && fn.Name.Name == "init" {
			add(fn, "func init: wire it where it is used")
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.CallExpr:
				if what := callFinding(x, test, mayExit); what != "" {
					add(x, what)
				}
			case *ast.StructType:
				for _, field := range x.Fields.List {
					if selects(field.Type, "context", "Context") && !strings.Contains(field.Comment.Text()+field.Doc.Text(), "ends ") {
						add(field, "a context is passed, not stored; a component's own lifetime says in a comment what it ends with")
					}
				}
			}
			return true
		})
	}
	return append(found, todoFindings(p, f)...)
}

func callFinding(call *ast.CallExpr, test, mayExit bool) string {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	receiver, _ := selector.X.(*ast.Ident)
	if receiver == nil {
		return ""
	}
	name := receiver.Name + "." + selector.Sel.Name
	switch {
	case name == "os.Exit" && !mayExit, strings.HasPrefix(name, "log.Fatal"), strings.HasPrefix(name, "log.Panic"):
		return name + " outside main"
	case test && name == "time.Sleep":
		return "time.Sleep in a test: wait for the condition"
	case test && regexp.MustCompile(`^(t|b|f|tb)\.Skip(f|Now)?$`).MatchString(name):
		return name + ": a test that does not run proves nothing"
	}
	return ""
}

func selects(e ast.Expr, pkgName, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkgName && s.Sel.Name == name
}

// todoFindings lists the comments that leave work without an issue's number.
func todoFindings(p *pkg, f *ast.File) []string {
	marker := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b(\(#\d+\))?`)
	var found []string
	for _, group := range f.Comments {
		for _, c := range group.List {
			for _, m := range marker.FindAllStringSubmatch(c.Text, -1) {
				if m[2] == "" {
					found = append(found, p.at(c)+": "+m[1]+" without an issue's number")
				}
			}
		}
	}
	return found
}

func TestNoPackageVariableIsEverAssigned(t *testing.T) {
	for _, p := range load(t) {
		report(t, assignedGlobals(p))
	}
}

// assignedGlobals lists assignments to package-level variables in functions: by
// =, op=, ++, to an element or a field of them, or to what they point to. It goes
// by names as the parser resolves them within a file.
func assignedGlobals(p *pkg) []string {
	names, specs := globals(p)
	var found []string
	check := func(e ast.Expr) {
		if id := assigned(e); id != nil && names[id.Name] && isGlobal(id, specs) {
			found = append(found, p.at(e)+": assigns the package variable "+id.Name)
		}
	}
	for _, f := range p.files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.AssignStmt:
				if x.Tok != token.DEFINE {
					for _, e := range x.Lhs {
						check(e)
					}
				}
			case *ast.IncDecStmt:
				check(x.X)
			}
			return true
		})
	}
	return found
}

// globals are the names of a package's variables and their declarations.
func globals(p *pkg) (names map[string]bool, specs map[any]bool) {
	names, specs = map[string]bool{}, map[any]bool{}
	for _, f := range p.files {
		for _, decl := range f.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				specs[spec] = true
				for _, name := range spec.(*ast.ValueSpec).Names {
					names[name.Name] = name.Name != "_"
				}
			}
		}
	}
	return names, specs
}

// assigned is the name at the bottom of what is assigned to.
func assigned(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// isGlobal reports whether the parser resolved the name to one of the package's
// variables, or, for one declared in another file, to nothing.
func isGlobal(id *ast.Ident, specs map[any]bool) bool {
	object := id.Obj
	return object == nil || specs[object.Decl]
}

func TestCodeRulesCatchEachBreach(t *testing.T) {
	for name, source := range map[string]string{
		"init":                  "package p\nfunc init() {}",
		"exit":                  "package p\nimport \"os\"\nfunc F() { os.Exit(1) }",
		"exit in main's helper": "package main\nimport \"os\"\nfunc f() { os.Exit(1) }",
		"fatal":                 "package p\nimport \"log\"\nfunc F() { log.Fatalf(\"\") }",
		"stored context":        "package p\nimport \"context\"\ntype T struct{ ctx context.Context }",
		"unnumbered":            "package p\n// TO" + "DO later\nfunc F() {}",
		"sleep":                 "package p\nimport \"time\"\nfunc TestX(t *testing.T) { time.Sleep(1) }",
		"skip":                  "package p\nfunc TestX(t *testing.T) { t.Skip() }",
	} {
		p := snippet(t, module+"/internal/p", source)
		if found := codeFindings(p, p.files["x.go"], true); len(found) != 1 {
			t.Errorf("%s: findings %q, want one", name, found)
		}
	}
	for name, source := range map[string]string{
		"exit in main":     "package main\nimport \"os\"\nfunc main() { os.Exit(1) }",
		"exit in TestMain": "package p\nimport \"os\"\nfunc TestMain(m *testing.M) { os.Exit(m.Run()) }",
		"passed context":   "package p\nimport \"context\"\nfunc F(ctx context.Context) {}",
		"own lifetime":     "package p\nimport \"context\"\ntype T struct{ ctx context.Context // ends with Close\n}",
		"numbered":         "package p\n// TO" + "DO(#12) later\nfunc F() {}",
		"a method of time": "package p\nfunc TestX(t *testing.T) { clock.Sleep(1) }",
	} {
		p := snippet(t, module+"/internal/p", source)
		if found := codeFindings(p, p.files["x.go"], true); len(found) != 0 {
			t.Errorf("%s: findings %q, want none", name, found)
		}
	}
}

func TestDocRuleCatchesEachUndocumentedName(t *testing.T) {
	p := snippet(t, module+"/internal/p", `package p
func F() {}
type T struct{}
func (T) M() {}
const C = 1
// D and E are documented as a group.
const ( D = 1; E = 2 )
type t struct{}
func (t) M() {}
func g() {}
const ( G T = iota; H )
`)
	if found := undocumented(p); len(found) != 4 {
		t.Errorf("findings %q, want F, T, M and C", found)
	}
}

func TestAssignedGlobalsAreFoundAndLocalsAreNot(t *testing.T) {
	p := snippet(t, module+"/internal/p", `package p
var a, b, c, d = 1, map[string]int{}, new(int), 4
func f(d int) {
	a = 2
	b["x"] = 1
	*c++
	d = 5
	{ a := 1; a = 2; _ = a }
	var b []int
	b[0] = 1
}
`)
	if found := assignedGlobals(p); len(found) != 3 {
		t.Errorf("findings %q, want a, b and c once each", found)
	}
}
