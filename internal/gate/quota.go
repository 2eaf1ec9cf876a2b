package gate

import (
	"sync"
	"time"
)

const (
	// maxLines is how many lines of one kind the log gets within linesWindow. Anybody
	// who reaches a listener can make connections fail, as fast as they like.
	maxLines    = 100
	linesWindow = time.Minute
)

// quota bounds the lines of one kind in the log. What is left out is told by the
// first line of the next window, and the counters have all.
type quota struct {
	mu    sync.Mutex
	since time.Time // guarded by mu; when the window began
	lines int       // guarded by mu; written in it
	left  uint64    // guarded by mu; left out since the last line that told
}

// take reports whether a line may be written, and how many were left out before it.
func (q *quota) take(now time.Time) (left uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if age := now.Sub(q.since); age >= linesWindow || age < 0 {
		q.since, q.lines = now, 0
	}
	if q.lines == maxLines {
		q.left++
		return 0, false
	}
	q.lines++
	left, q.left = q.left, 0
	return left, true
}
