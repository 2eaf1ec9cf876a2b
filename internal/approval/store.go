package approval

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Store keeps requests. Every method is safe for concurrent use, also by other
// processes on the same state. When Ask or Change returns nil, what they wrote
// survives the death of the process and of the machine. When they return an
// error, nothing may be taken for written, and nothing for unwritten either.
type Store interface {
	// Ask runs judge in one transaction that excludes every other Ask for the
	// same principal and every Change of the requests it was given. judge gets
	// the requests of key that are pending or approved, and those denied ones
	// whose Expires lies after at.Now, newest first; it may change them in place
	// and may return a new request to insert. An error of judge undoes all and is
	// returned as it is. judge may run more than once.
	Ask(ctx context.Context, key Key, at Window, judge func(found []*Request, load Load) (*Request, error)) error
	// Change runs change on the request with the id in one transaction that
	// excludes every other change of it, and returns the request as it is
	// afterwards. An error of change undoes all and is returned as it is.
	// change may run more than once. It returns ErrNotFound for an unknown id.
	Change(ctx context.Context, id string, change func(r *Request) error) (*Request, error)
	// Get returns the request with the id, or ErrNotFound.
	Get(ctx context.Context, id string) (*Request, error)
	// List returns the requests that f picks, newest first, without
	// Command.Text and Command.Params.
	List(ctx context.Context, f Filter) ([]*Request, error)
}

// Window is the time that Ask looks at.
type Window struct {
	Now time.Time
	// Since is from when on Load.Filed counts.
	Since time.Time
}

// Load is how much there is already.
type Load struct {
	// Pending counts the principal's pending requests that have not expired.
	Pending int
	// Filed counts the requests that the principal filed since Window.Since.
	Filed int
	// All counts the pending requests of everybody that have not expired.
	All int
}

// Filter picks requests. The zero value picks the newest of all.
type Filter struct {
	// States picks by state; empty picks every state.
	States []gate.RequestState
	// Target picks by the target's name; empty picks every target.
	Target string
	// Due picks what expires at or before this time; zero picks all.
	Due time.Time
	// Before picks what was filed before this time, for the next page; zero
	// starts with the newest.
	Before time.Time
	// Limit bounds the answer. Zero means 100, and more than 1000 means 1000.
	Limit int
}

// Bound returns how many requests the filter asks for at most.
func (f Filter) Bound() int {
	if f.Limit <= 0 {
		return 100
	}
	return min(f.Limit, 1000)
}

// ErrNotFound is the error for a request that does not exist.
var ErrNotFound = errors.New("approval: there is no such request")
