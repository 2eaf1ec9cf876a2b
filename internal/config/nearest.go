package config

import "fmt"

// suggest returns `did you mean "x"?` for the name nearest to word, or an empty
// string when none is near.
func suggest(word string, names []string) string {
	if near := nearest(word, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// nearest returns the name with the smallest edit distance to word, if at most a
// third of the letters differ (and always when one does).
func nearest(word string, names []string) string {
	best, limit := "", max(1, len(word)/3)+1
	if len(word) > 100 { // names are at most 63 bytes long
		return ""
	}
	for _, n := range names {
		if d := distance(word, n, limit); d < limit {
			best, limit = n, d
		}
	}
	return best
}

// distance is the edit distance with transpositions counted as one (optimal
// string alignment), or limit if it is at least that.
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
