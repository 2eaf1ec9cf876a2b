package postgres

import "github.com/sallyport-gateway/sallyport/internal/gate"

// resultLabels are the labels of each column of a result, as far as they are known.
type resultLabels struct {
	labels  *labelTable
	columns []labelSet // of columns that carry some
}

// shows notes what a statement of the text answers with.
func (a *analysis) shows(cols []outCol) {
	x := resultLabels{labels: a.in.labels}
	for _, c := range cols {
		if c.labels != 0 {
			x.columns = append(x.columns, c.labels)
		}
	}
	if len(x.columns) > 0 {
		a.answers = append(a.answers, x)
	}
}

// Cells returns how many labelled values a row of the answer shows under some
// masks, in whole or in part; of several results the largest number. Zero means
// that it is not known, or none: what a text touches without returning it is not
// counted here.
func (s *Shape) Cells(masks gate.Masks) int64 {
	most := int64(0)
	if s == nil {
		return 0
	}
	for _, x := range s.answers {
		n := int64(0)
		for _, l := range x.columns {
			if mask := x.labels.maskFor(l, masks); mask != gate.MaskRedact && mask != MaskNull {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
