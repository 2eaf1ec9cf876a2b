package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/vault"
)

// State is one opened state. Its parts are safe for concurrent use.
type State struct {
	// ID names this state; it is random, made with it, and not secret.
	ID          string
	Requests    approval.Store
	Secrets     vault.Store
	Revocations Revocations
	Changes     Changes
	Spending    Spending

	close func() error
}

// Close waits for running transactions and closes the state.
func (s *State) Close() error { return s.close() }

// Open opens the state at location, and makes or migrates it as needed:
//
//	sqlite:./data/state.db
//
// The file is made for its owner alone, together with its folder, and refused
// if anybody else could read or change it. It returns ErrNewer if a newer
// release wrote it.
func Open(ctx context.Context, location string) (*State, error) {
	scheme, rest, ok := strings.Cut(location, ":")
	switch {
	case !ok || rest == "":
		return nil, fmt.Errorf("state %q: want sqlite:PATH", redact(location))
	case scheme == "sqlite":
		s, err := openSQLite(ctx, rest)
		if err != nil {
			return nil, fmt.Errorf("state sqlite:%s: %w", rest, err)
		}
		return s, nil
	default:
		return nil, fmt.Errorf("state: scheme %q is not supported by this release, want sqlite:PATH", redact(scheme))
	}
}

// redact shows no more of a location than its first characters: the location of
// a database server may hold a password.
func redact(s string) string {
	if len(s) > 16 {
		return s[:16] + "…"
	}
	return s
}

// ErrNewer is the error for a state that a newer release has written.
var ErrNewer = errors.New("it was written by a newer release; run that one, or restore a backup made before")

// Revocation says that somebody, or something, is no longer welcome.
type Revocation struct {
	// Kind says what Value names, such as "agent", "token" or "session".
	Kind string
	// Issuer is the issuer that Value belongs to; may be empty.
	Issuer string
	Value  string
	Who    string
	Why    string
	At     time.Time
	// Until is when it may be forgotten, since nothing that it names can be
	// valid any more. Zero means never.
	Until time.Time
	// Lift ends those with the same kind, issuer and value that were made at or
	// before At, also for what is saved later. It has no Until.
	Lift bool
}

// Revocations are kept by kind, issuer and value. When Revoke or Restore returns
// nil, the change survives the death of the process and of the machine.
type Revocations interface {
	// Revoke adds r. One with the same kind, issuer and value is replaced, but
	// never shortened, unless a Lift has ended it: the later Until stays.
	Revoke(ctx context.Context, r Revocation) error
	// Restore takes a revocation back and reports whether there was one.
	Restore(ctx context.Context, kind, issuer, value string) (bool, error)
	// Revoked returns every revocation that holds at now, oldest first.
	Revoked(ctx context.Context, now time.Time) ([]Revocation, error)
	// Forget deletes what no longer holds at now and returns how many that were.
	Forget(ctx context.Context, now time.Time) (int, error)
}

// Change is one change of the configuration.
type Change struct {
	// ID counts up; it is set by the store.
	ID int64
	// Who made the change, and when.
	Who string
	At  time.Time
	// Kind and Name are the document's.
	Kind string
	Name string
	// Diff is the difference as a reader sees it; it holds no secrets.
	Diff string
}

// maxDiff bounds the difference of one change, in bytes: a document has at most
// 1 MiB, and a difference shows what was and what is.
const maxDiff = 4 << 20

// Changes is a log: nothing in it is ever changed.
type Changes interface {
	// Log adds changes, all or none, durably.
	Log(ctx context.Context, cs ...Change) error
	// Changed returns the changes of one document, or of all if kind or name is
	// empty, newest first: those with an ID below before (0 for the newest), at
	// most limit (0 or more than 1000 for 1000).
	Changed(ctx context.Context, kind, name string, before int64, limit int) ([]Change, error)
}
