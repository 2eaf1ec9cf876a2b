package setup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Documents writes the documents that would review and label what a survey
// found, ready to copy. The reviews say "execute", which no rule for reading
// allows: a person reads each function and changes the word. name is the
// target's name.
func (v *Inventory) Documents(name string) string {
	var parts []string
	if d := v.functionsDocument(name); d != "" {
		parts = append(parts, d)
	}
	if d := v.labelsDocument(name); d != "" {
		parts = append(parts, d)
	}
	return strings.Join(parts, "---\n")
}

func (v *Inventory) functionsDocument(name string) string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, i := range v.Items {
		if i.Review == "" || seen[i.Object] {
			continue
		}
		seen[i.Object] = true
		if b.Len() == 0 {
			fmt.Fprintf(&b, "kind: Functions\nname: %s\ntarget: %s\nfunctions:\n", strconv.Quote(name+"-unreviewed"), strconv.Quote(name))
		}
		fmt.Fprintf(&b, "  %s: %s", strconv.Quote(i.Object), i.Review)
		if i.Note != "" {
			b.WriteString("   # " + oneLine(i.Note))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (v *Inventory) labelsDocument(name string) string {
	labels := map[string][]string{}
	var order []string
	for _, i := range v.Items {
		if i.Label == "" {
			continue
		}
		if labels[i.Label] == nil {
			order = append(order, i.Label)
		}
		labels[i.Label] = append(labels[i.Label], i.Object)
	}
	if len(order) == 0 {
		return ""
	}
	slices.Sort(order)
	var b strings.Builder
	fmt.Fprintf(&b, "kind: Labels\nname: %s\ntarget: %s\ncolumns:\n", strconv.Quote(name+"-unlabelled"), strconv.Quote(name))
	for _, l := range order {
		fmt.Fprintf(&b, "  %s:\n", l)
		for _, column := range labels[l] {
			fmt.Fprintf(&b, "    - %s\n", strconv.Quote(column))
		}
	}
	return b.String()
}
