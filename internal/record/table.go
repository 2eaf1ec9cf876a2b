package record

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// maxColumns bounds the columns that are shown; PostgreSQL allows 1,664.
const maxColumns = 64

// table gathers the first rows of a result and counts the others.
type table struct {
	rows  int // to show; negative shows none
	width int
	names []string
	cells [][]string
	count int
	open  bool
}

func (t *table) columns(names [][]byte) {
	t.open = true
	t.names = t.safe(names)
}

func (t *table) row(cells [][]byte) {
	t.open = true
	t.count++
	if len(t.cells) < t.rows {
		t.cells = append(t.cells, t.safe(cells))
	}
}

// safe returns the cells as they are shown: escaped, also their line ends, and
// cut.
func (t *table) safe(cells [][]byte) []string {
	more := len(cells) - maxColumns
	if more > 0 {
		cells = cells[:maxColumns]
	}
	out := make([]string, 0, len(cells)+1)
	for _, c := range cells {
		if c == nil {
			out = append(out, "NULL")
			continue
		}
		out = append(out, string(appendSafe(nil, c, t.width)))
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("%s %d more", cutMark, more))
	}
	return out
}

// flush writes the table and forgets it.
func (t *table) flush(w *bytes.Buffer) {
	if !t.open {
		return
	}
	var widths []int
	measure := func(row []string) {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	measure(t.names)
	for _, r := range t.cells {
		measure(r)
	}
	write := func(row []string) {
		w.WriteString("    |")
		for i, c := range row {
			fmt.Fprintf(w, " %s%*s |", c, widths[i]-utf8.RuneCountInString(c), "")
		}
		w.WriteByte('\n')
	}
	if len(t.names) > 0 {
		write(t.names)
		w.WriteString("    |")
		for i := range t.names {
			w.Write(bytes.Repeat([]byte("-"), widths[i]+2))
			w.WriteByte('|')
		}
		w.WriteByte('\n')
	}
	for _, r := range t.cells {
		write(r)
	}
	if more := t.count - len(t.cells); more > 0 {
		fmt.Fprintf(w, "    %s %d more rows\n", cutMark, more)
	}
	*t = table{rows: t.rows, width: t.width}
}
