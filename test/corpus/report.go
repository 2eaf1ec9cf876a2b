package corpus

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report collects results.
type Report struct {
	results []Result
}

// Add adds a result.
func (r *Report) Add(result Result) { r.results = append(r.results, result) }

// Failed are the cases that did not come out as claimed.
func (r *Report) Failed() []Result {
	return slices.DeleteFunc(slices.Clone(r.results), func(x Result) bool { return x.OK })
}

// Write writes the failures, each with its reason, and a table by policy and
// expectation.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.Failed() {
		fmt.Fprintf(&b, "FAIL %s\n", f)
	}
	type count struct{ good, all int }
	counts := map[string]*count{}
	for _, x := range r.results {
		key := x.Case.Policy + "\t" + x.Case.Expect
		if counts[key] == nil {
			counts[key] = &count{}
		}
		counts[key].all++
		if x.OK {
			counts[key].good++
		}
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "policy\texpected\tas expected\tof")
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(t, "%s\t%d\t%d\n", key, counts[key].good, counts[key].all)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	failed := len(r.Failed())
	fmt.Fprintf(&b, "%d passed, %d failed\n", len(r.results)-failed, failed)
	_, err := io.WriteString(w, b.String())
	return err
}

// String is the result for a reader: what was sent, what came of it and why that
// is wrong.
func (r Result) String() string {
	c := r.Case
	text := fmt.Sprintf("%s %s [%s, %s, %s]: %s\n    sent: %s", c.ID, c.Class, c.Policy, c.Role, c.Expect, r.Why, clip(c.Statement()))
	for i, a := range r.Answers {
		text += fmt.Sprintf("\n    answer %d: %s", i+1, a)
	}
	return text
}
