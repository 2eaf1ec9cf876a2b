// Tally runs `go test` with the given arguments and prints what a reader needs:
// one line for each package, the whole output of each failed test, and at the
// end one line that counts:
//
//	214 passed, 0 failed
//
// It exists because `go test` alone either hides which tests ran or floods the
// screen. It exits with 1 when a test failed, a package did not build, or no
// test ran.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

// event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action  string
	Package string
	// ImportPath is what a build event is about.
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
}

// tally counts and keeps the output of what has not ended yet.
type tally struct {
	out             io.Writer
	passed, failed  int
	skipped, broken int
	output          map[string][]string
	// parents are the tests that have subtests; only leaves count.
	parents map[string]bool
	// failedTests are in the order of their end.
	failedTests []string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	t := &tally{out: stdout, output: map[string][]string{}, parents: map[string]bool{}}
	readErr := t.read(pipe)
	waitErr := cmd.Wait()
	t.summary()
	switch {
	case readErr != nil:
		return readErr
	case t.failed > 0 || t.broken > 0:
		return errors.New("there are failures")
	case waitErr != nil:
		return fmt.Errorf("go test: %w", waitErr)
	case t.passed == 0:
		return errors.New("no test ran")
	}
	return nil
}

func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if jsonErr := json.Unmarshal(line, &e); jsonErr != nil {
				fmt.Fprintf(t.out, "%s", line) // not an event: the go command itself speaks
			} else {
				t.take(e)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) take(e event) {
	key := e.Package + e.ImportPath + " " + e.Test
	switch e.Action {
	case "run":
		if i := strings.LastIndex(e.Test, "/"); i > 0 {
			t.parents[e.Package+" "+e.Test[:i]] = true
		}
	case "output", "build-output":
		t.output[key] = append(t.output[key], e.Output)
	case "build-fail":
		fmt.Fprint(t.out, strings.Join(t.output[key], ""))
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.endPackage(e)
		} else {
			t.endTest(e, key)
		}
		delete(t.output, key)
	}
}

func (t *tally) endTest(e event, key string) {
	if e.Action == "fail" {
		fmt.Fprintf(t.out, "%s", strings.Join(t.output[key], ""))
		t.failedTests = append(t.failedTests, key)
	}
	if t.parents[key] && e.Action == "pass" {
		return
	}
	switch e.Action {
	case "pass":
		t.passed++
	case "fail":
		t.failed++
	case "skip":
		t.skipped++
	}
}

func (t *tally) endPackage(e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(t.out, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
	case "fail":
		t.broken++
		fmt.Fprintf(t.out, "%sFAIL  %s  %.1fs\n", strings.Join(t.output[e.Package+" "], ""), e.Package, e.Elapsed)
	}
}

func (t *tally) summary() {
	for _, name := range t.failedTests {
		fmt.Fprintf(t.out, "failed: %s\n", name)
	}
	failed := t.failed
	if t.broken > 0 && failed == 0 {
		failed = t.broken // a package that did not build or crashed between tests
	}
	line := fmt.Sprintf("%d passed, %d failed", t.passed, failed)
	if t.skipped > 0 {
		line += fmt.Sprintf(", %d skipped", t.skipped)
	}
	fmt.Fprintln(t.out, line)
}
