package approval

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const (
	// DefaultWithin is how long a request, and then its grant, lives when the
	// rule does not say.
	DefaultWithin = 15 * time.Minute
	// MaxWithin bounds what a rule may say: a grant that lies around for longer
	// outlives what the approver had in mind.
	MaxWithin = 24 * time.Hour
	// MaxReview bounds, in bytes, the text and parameters that a person can be
	// asked to read. A longer command cannot be held, and so does not run.
	MaxReview = 1 << 20
	// DefaultPending is how many requests a principal may have waiting.
	DefaultPending = 20
	// DefaultHourly is how many requests a principal may file within an hour.
	DefaultHourly = 120
	// DefaultTotal is how many requests may wait in all.
	DefaultTotal = 10_000
	// DefaultPoll is how often a waiting command looks for answers that were
	// given through another gateway.
	DefaultPoll = time.Second
)

// Config is what a Desk is made of. Store is required.
type Config struct {
	Store Store
	// Notifier hears of every change. Nil tells nobody.
	Notifier Notifier
	// URL returns where an approver answers a request. Nil means nowhere.
	URL func(request string) string
	// Pending, Hourly and Total bound what may wait and be filed. Zero means
	// DefaultPending, DefaultHourly and DefaultTotal.
	Pending int
	Hourly  int
	Total   int
	// Poll is how often Wait asks the store. Zero means DefaultPoll.
	Poll time.Duration
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Log receives what goes wrong outside a call. Nil discards.
	Log *slog.Logger
}

// Desk takes access requests and their answers. It implements gate.Approver
// and is safe for concurrent use, also together with other desks on one store.
type Desk struct {
	cfg Config

	mu      sync.Mutex
	waiting map[string]*bell // guarded by mu; who waits in this process, by request
}

// New returns a desk.
func New(cfg Config) (*Desk, error) {
	if cfg.Store == nil {
		return nil, errors.New("approval: no Store")
	}
	setDefault(&cfg.Pending, DefaultPending)
	setDefault(&cfg.Hourly, DefaultHourly)
	setDefault(&cfg.Total, DefaultTotal)
	setDefault(&cfg.Poll, DefaultPoll)
	if cfg.Notifier == nil {
		cfg.Notifier = silence{}
	}
	if cfg.URL == nil {
		cfg.URL = func(string) string { return "" }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Desk{cfg: cfg, waiting: map[string]*bell{}}, nil
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// now is the clock in the precision that every store keeps.
func (d *Desk) now() time.Time { return d.cfg.Now().UTC().Truncate(time.Microsecond) }

// Ask consumes an approved grant for exactly this command and principal, or
// joins the request that waits for it, or tells that it was denied, or files a
// new request. It does not wait for a person. When Granted is true the grant is
// used up, durably. What the agent may know of an error is a gate.PublicError.
func (d *Desk) Ask(ctx context.Context, a *gate.Ask) (gate.Asked, error) {
	fresh, err := d.file(a)
	if err != nil {
		return gate.Asked{}, err
	}
	now := fresh.Filed
	var got *Request
	var changed []*Request
	err = d.cfg.Store.Ask(ctx, fresh.Key(), Window{Now: now, Since: now.Add(-time.Hour)},
		func(found []*Request, load Load) (*Request, error) {
			got, changed = nil, nil
			for _, r := range found {
				if settle(r, fresh, now) {
					changed = append(changed, r)
				}
				if got == nil && r.State != gate.RequestExpired && r.State != gate.RequestCancelled {
					got = r
				}
			}
			if got == nil {
				if err := d.admit(load); err != nil {
					return nil, err
				}
				got = fresh
				changed = append(changed, fresh)
				return fresh, nil
			}
			if got.State == gate.RequestApproved {
				got.State, got.Ended, got.Note = gate.RequestConsumed, now, fresh.Asker.Session
				changed = append(changed, got)
			}
			return nil, nil
		})
	if err != nil {
		return gate.Asked{}, fmt.Errorf("ask for approval: %w", err)
	}
	for _, r := range changed {
		d.changed(r)
	}
	return gate.Asked{
		Granted: got.State == gate.RequestConsumed, Request: got.ID, State: got.State,
		Expires: got.Expires, URL: d.cfg.URL(got.ID), Approvers: got.approvers(),
	}, nil
}

// settle ends a found request that cannot answer fresh: one whose time is over,
// or one that was filed, and perhaps approved, on other terms than the rule now
// asks for. It reports whether it changed the request.
func settle(r, fresh *Request, now time.Time) bool {
	switch {
	case r.expire(now):
		return true
	case r.open() && !sameTerms(r.Terms, fresh.Terms):
		r.State, r.Ended, r.Note = gate.RequestCancelled, now, "the rule now asks for other approvers"
		return true
	}
	return false
}

// admit refuses a new request that would be one too many.
func (d *Desk) admit(load Load) error {
	switch {
	case load.Pending >= d.cfg.Pending:
		return refusef("%d requests of this agent are waiting already; let approvers answer them first", load.Pending)
	case load.Filed >= d.cfg.Hourly:
		return refusef("this agent filed %d requests within the last hour, which is the limit", load.Filed)
	case load.All >= d.cfg.Total:
		return refusef("too many requests are waiting for approval")
	}
	return nil
}

// file returns the request that the ask would become.
func (d *Desk) file(a *gate.Ask) (*Request, error) {
	if a == nil || a.Session == nil || a.Session.Principal == nil || a.Session.Target == nil ||
		a.Session.Principal.IsZero() || a.Digest == "" {
		return nil, errors.New("ask for approval: the ask names no principal, target or digest")
	}
	size := len(a.Text)
	for _, p := range a.Params {
		size += len(p)
	}
	if size > MaxReview {
		return nil, refusef("the command has %d bytes, more than the %d that a person can be asked to review", size, MaxReview)
	}
	t := terms(a.Approval)
	if len(t.Groups) == 0 {
		return nil, refusef("the rule names no group that may approve")
	}
	p, now := a.Session.Principal, d.now()
	return &Request{
		ID: newID(), Digest: a.Digest, State: gate.RequestPending, Filed: now, Expires: now.Add(t.Within),
		Rule: a.Rule, Reason: a.Reason, Terms: t,
		Asker: Asker{
			Subject: p.Party, Actor: p.Actor, Client: p.ClientID, Agent: p.Agent, Attributes: maps.Clone(p.Attributes),
			Session: a.Session.ID, Remote: a.Session.Remote, Application: a.Session.Application,
		},
		Target: Target{
			Name: a.Session.Target.Name, Protocol: a.Session.Protocol, Generation: a.Session.Target.Generation,
			Labels: maps.Clone(a.Session.Target.Labels),
		},
		Command: Command{
			Text: a.Text, Params: slices.Clone(a.Params), Headline: headline(a.Text),
			Effects: a.Effects, Labels: slices.Clone(a.Labels),
		},
	}, nil
}

// newID returns "apr_" and 130 random bits in lower-case base32.
func newID() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	return "apr_" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:])[:26])
}

// Refusal is an error that the agent or the approver may read.
type Refusal struct{ text string }

func refusef(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Error returns the text.
func (r *Refusal) Error() string { return "approval: " + r.text }

// Public returns the text for the caller.
func (r *Refusal) Public() string { return r.text }

// List returns the requests that f picks, newest first, without the full text
// and the parameters. A request whose time is over is shown as expired.
func (d *Desk) List(ctx context.Context, f Filter) ([]*Request, error) {
	rs, err := d.cfg.Store.List(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	now := d.now()
	for _, r := range rs {
		r.expire(now)
	}
	if len(f.States) > 0 { // what has just expired may no longer belong
		rs = slices.DeleteFunc(rs, func(r *Request) bool { return !slices.Contains(f.States, r.State) })
	}
	return rs, nil
}

// Show returns everything about a request, or ErrNotFound.
func (d *Desk) Show(ctx context.Context, id string) (*Request, error) {
	r, err := d.cfg.Store.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("show request: %w", err)
	}
	r.expire(d.now())
	return r, nil
}
