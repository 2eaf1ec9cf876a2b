// Package nearest finds the name that somebody has probably meant.
package nearest

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// maxWord bounds what a search costs; what people name is shorter.
const maxWord = 256

// Name returns the name with the smallest edit distance to word, letter case
// apart, if at most a third of the letters differ (and always when one does);
// otherwise an empty string.
func Name(word string, names iter.Seq[string]) string {
	if len(word) > maxWord {
		return ""
	}
	best, limit := "", max(1, len(word)/3)+1
	for n := range names {
		if d := distance(strings.ToLower(word), strings.ToLower(n), limit); d < limit {
			best, limit = n, d
		}
	}
	return best
}

// Hint returns `did you mean "x"?` for the nearest name, or an empty string when
// none is near.
func Hint(word string, names []string) string {
	if near := Name(word, slices.Values(names)); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// distance is the edit distance in bytes with transpositions counted as one
// (optimal string alignment), or limit if it is at least that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, previous, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(previous[j]+1, row[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous, row = previous, row, before
	}
	return min(previous[len(b)], limit)
}
