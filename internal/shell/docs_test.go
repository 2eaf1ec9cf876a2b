package shell

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of programs into the documents")

// describe writes one entry of the table.
func describe(b *strings.Builder, p *Program, indent string) {
	name := p.Name
	if len(p.Aliases) > 0 {
		name += " (" + strings.Join(p.Aliases, ", ") + ")"
	}
	fmt.Fprintf(b, "%s- `%s`", indent, name)
	if p.Effects != 0 {
		fmt.Fprintf(b, ": %s", p.Effects)
	}
	var words []string
	for _, o := range p.Options {
		w := strings.Join(o.Names, ",")
		if o.Value != "" {
			value := "=" + string(o.Value)
			if len(o.Values) > 0 {
				value += "(" + strings.Join(o.Values, "|") + ")"
			}
			if o.Optional {
				value = "[" + value + "]"
			}
			w += value
		}
		words = append(words, w)
	}
	if len(words) > 0 {
		fmt.Fprintf(b, " `%s`", strings.Join(words, " "))
	}
	var operands []string
	for _, o := range p.Operands {
		w := string(o.Kind)
		if len(o.Values) > 0 {
			w += "(" + strings.Join(o.Values, "|") + ")"
		}
		if o.Many {
			w += "..."
		}
		operands = append(operands, w)
	}
	if len(operands) > 0 {
		fmt.Fprintf(b, " operands `%s`", strings.Join(operands, " "))
	}
	if p.Special != "" {
		fmt.Fprintf(b, " (and the code for %s)", p.Special)
	}
	b.WriteString("\n")
	for i := range p.Commands {
		describe(b, &p.Commands[i], indent+"  ")
	}
}

func TestDocsListTheTable(t *testing.T) {
	const path, mark = "../../docs/ssh-commands.md", "<!-- table: made by go test ./internal/shell -run TestDocs -update -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no place for the table", path)
	}
	var b strings.Builder
	b.WriteString(head + mark + "\n")
	seen := map[*Program]bool{}
	var all []*Program
	for _, p := range Programs().programs {
		if !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(x, y *Program) int { return strings.Compare(x.Name, y.Name) })
	for _, p := range all {
		describe(&b, p, "")
		if p.Special != "git" {
			continue
		}
		var verbs []string
		for name := range gitCommands {
			verbs = append(verbs, name)
		}
		slices.Sort(verbs)
		for _, name := range verbs {
			describe(&b, gitCommands[name], "  ")
		}
		var some []string
		for name := range gitSpecial {
			some = append(some, name)
		}
		slices.Sort(some)
		fmt.Fprintf(&b, "  - in the forms that read: `%s`\n", strings.Join(some, " "))
	}
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if b.String() != string(text) {
		t.Errorf("%s does not list the table as it is: run the test with -update", path)
	}
}
