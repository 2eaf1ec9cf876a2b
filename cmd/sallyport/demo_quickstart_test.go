//go:build cgo && unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// quickstart returns the code blocks of docs/quickstart.md in a language.
func quickstart(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/quickstart.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			blocks = append(blocks, m[2])
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("the quickstart has no %s", language)
	}
	return blocks
}

func TestTheQuickstartsConfigurationIsValid(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "documents"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, block := range quickstart(t, "yaml") {
		name, _, _ := strings.Cut(strings.TrimPrefix(block, "# "), "\n")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(block), 0o600); err != nil {
			t.Fatalf("a block does not begin with its file's name: %v", err)
		}
	}
	for _, arguments := range [][]string{{"check"}, {"policy", "test"}} {
		var out bytes.Buffer
		err := run(t.Context(), append(arguments, "--config", filepath.Join(dir, "sallyport.yaml")), strings.NewReader(""), &out, &out)
		if err != nil {
			t.Errorf("%v: %v\n%s", arguments, err, out.String())
		}
	}
}

func TestEveryCommandOfTheQuickstartExists(t *testing.T) {
	call := regexp.MustCompile(`\bsallyport ([^\n;|<)]+)`)
	found := 0
	for _, block := range quickstart(t, "sh") {
		for _, m := range call.FindAllStringSubmatch(block, -1) {
			found++
			root := &cobra.Command{Use: "sallyport"}
			root.AddCommand(subcommands()...)
			c, rest, err := root.Find(splitShell(m[1]))
			if err == nil {
				err = c.ParseFlags(rest)
			}
			if err == nil && c.Args != nil {
				err = c.Args(c, c.Flags().Args())
			}
			if err == nil {
				err = c.ValidateRequiredFlags()
			}
			if err != nil || c.RunE == nil || c.HasSubCommands() {
				t.Errorf("sallyport %s: %v", m[1], err)
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d commands found", found)
	}
}

// splitShell splits a command line at spaces outside double quotes.
func splitShell(line string) []string {
	var words []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}
