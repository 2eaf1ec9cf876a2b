package sshcorpus

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// tellable is the share of harmless cases that may be refused with a message that
// says why.
const tellable = 0.05

// Report collects results.
type Report struct {
	results []Result
}

// Add adds a result.
func (r *Report) Add(result Result) { r.results = append(r.results, result) }

// Failed are the cases that did not come out as claimed. Harmless cases that were
// refused with a message are among them when there are more than may be.
func (r *Report) Failed() []Result {
	told, harmless := r.told()
	within := float64(len(told)) <= tellable*float64(harmless)
	return slices.DeleteFunc(slices.Clone(r.results), func(x Result) bool { return x.OK || within && x.Verdict == Told })
}

func (r *Report) told() (told []Result, harmless int) {
	for _, x := range r.results {
		if x.Case.Kind == Harmless {
			harmless++
		}
		if x.Verdict == Told {
			told = append(told, x)
		}
	}
	return told, harmless
}

// Write writes the failures, each with its reason, a table by class, and a line
// that counts.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.results {
		if !f.OK {
			fmt.Fprintf(&b, "FAIL %s\n", f)
		}
	}
	type count struct{ good, all int }
	counts := map[string]*count{}
	total := map[Kind]*count{Attack: {}, Harmless: {}}
	for _, x := range r.results {
		key := string(x.Case.Kind) + "\t" + x.Case.Class
		if counts[key] == nil {
			counts[key] = &count{}
		}
		for _, c := range []*count{counts[key], total[x.Case.Kind]} {
			c.all++
			if x.OK {
				c.good++
			}
		}
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "kind\tclass\tas claimed\tof")
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(t, "%s\t%d\t%d\n", key, counts[key].good, counts[key].all)
	}
	for _, kind := range []Kind{Attack, Harmless} {
		fmt.Fprintf(t, "%s\tall\t%d\t%d\n", kind, total[kind].good, total[kind].all)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if told, harmless := r.told(); len(told) > 0 {
		fmt.Fprintf(&b, "%d of %d harmless cases were refused with a message that says why; at most %.0f %% may be\n", len(told), harmless, 100*tellable)
	}
	failed := len(r.Failed())
	fmt.Fprintf(&b, "%d passed, %d failed\n", len(r.results)-failed, failed)
	_, err := io.WriteString(w, b.String())
	return err
}

// String is the result for a reader: what was sent, what came of it and what that
// means.
func (r Result) String() string {
	return fmt.Sprintf("%s %s %s: %s\n    %s", r.Case.ID, r.Case.Class, r.Verdict, clip(r.Case.String()), r.Why)
}
