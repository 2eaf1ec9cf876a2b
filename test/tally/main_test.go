package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module writes a module with one test file and works in it.
func module(t *testing.T, tests string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":    "module example.com/m\n\ngo 1.26.0\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\n" + tests,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func TestCountsLeavesOnlyAndSucceedsWhenAllPass(t *testing.T) {
	module(t, `func TestA(t *testing.T) { t.Run("x", func(*testing.T) {}); t.Run("y", func(*testing.T) {}) }
func TestB(*testing.T) {}`)
	var out bytes.Buffer
	err := run(context.Background(), []string{"./..."}, &out, io.Discard)
	if err != nil || lastLine(out.String()) != "3 passed, 0 failed" {
		t.Errorf("error %v, output:\n%s", err, out.String())
	}
}

func TestShowsTheOutputOfFailedTestsAndFails(t *testing.T) {
	module(t, `func TestA(t *testing.T) { t.Error("what went wrong") }
func TestB(t *testing.T) { t.Log("noise") }`)
	var out bytes.Buffer
	err := run(context.Background(), []string{"./..."}, &out, io.Discard)
	if err == nil || lastLine(out.String()) != "1 passed, 1 failed" {
		t.Errorf("error %v, output:\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "what went wrong") || strings.Contains(out.String(), "noise") {
		t.Errorf("output:\n%s", out.String())
	}
}

func TestAPackageThatDoesNotBuildIsAFailureAndSaysWhy(t *testing.T) {
	module(t, `func TestA(t *testing.T) { undefinedName() }`)
	var out bytes.Buffer
	err := run(context.Background(), []string{"./..."}, &out, io.Discard)
	if err == nil || lastLine(out.String()) != "0 passed, 1 failed" || !strings.Contains(out.String(), "undefinedName") {
		t.Errorf("error %v, output:\n%s", err, out.String())
	}
}

func TestNoTestAtAllIsAFailure(t *testing.T) {
	module(t, `func helper(*testing.T) {}
var _ = helper`)
	var out bytes.Buffer
	if err := run(context.Background(), []string{"./..."}, &out, io.Discard); err == nil {
		t.Errorf("accepted:\n%s", out.String())
	}
}
