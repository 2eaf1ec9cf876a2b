package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Revocation withdraws trust from an agent, a party, a token or a session,
// before its tokens expire. Exactly one of Agent, Subject, Token and Session is
// set.
type Revocation struct {
	// ID names the revocation, for the record; the caller makes it.
	ID string `json:"id"`
	// Issuer narrows Agent and Token to one issuer (its URL), and belongs to
	// Subject. Empty: of any issuer.
	Issuer string `json:"issuer,omitempty"`
	// Agent is the agent's name as the claim mapping gives it.
	Agent string `json:"agent,omitempty"`
	// Subject, with Issuer, is a party: what it does, and what is done for it,
	// ends.
	Subject string `json:"subject,omitempty"`
	// Token is a token id (gate.Principal.TokenID).
	Token string `json:"token,omitempty"`
	// Session is a session id. It ends that session and bars nobody.
	Session string `json:"session,omitempty"`
	// By says who revoked: a person of the API or the command line.
	By string `json:"by"`
	// At is when. Required.
	At time.Time `json:"at"`
	// Reason is why, for the record and the log; the agent is told only that it
	// was revoked.
	Reason string `json:"reason,omitempty"`
	// Until is when the revocation ends. Zero: never.
	Until time.Time `json:"until,omitzero"`
	// Lift undoes all revocations of the same agent, party or token that were
	// made at or before At.
	Lift bool `json:"lift,omitempty"`
}

// RevocationStore keeps revocations for the next start. Both methods are called
// from several goroutines.
type RevocationStore interface {
	// Load returns every revocation that was saved, in any order.
	Load(ctx context.Context) ([]Revocation, error)
	// Save adds one. When it returns nil, the revocation survives the process.
	Save(ctx context.Context, r Revocation) error
}

// Validate reports what is missing or contradictory.
func (r Revocation) Validate() error {
	set := 0
	for _, s := range []string{r.Agent, r.Subject, r.Token, r.Session} {
		if s != "" {
			set++
		}
	}
	switch {
	case set != 1:
		return errors.New("revocation: exactly one of agent, subject, token and session must be given")
	case r.Subject != "" && r.Issuer == "":
		return errors.New("revocation: a subject needs its issuer")
	case r.Lift && r.Session != "":
		return errors.New("revocation: a session that was ended cannot be revived")
	case r.At.IsZero() || r.By == "":
		return errors.New("revocation: who and when are required")
	}
	return nil
}

// Match reports whether the revocation ends a live session, for gate.Gateway.End.
// A Lift matches nothing.
func (r Revocation) Match(s *gate.SessionInfo) bool {
	if r.Lift || r.Validate() != nil {
		return false
	}
	if r.Session != "" {
		return r.Session == s.ID
	}
	return slices.Contains(keysOf(s.Principal), r.key())
}

// Lifts reports whether r is a Lift that ends o.
func (r Revocation) Lifts(o Revocation) bool {
	return r.Lift && o.Session == "" && r.key() == o.key() && !o.At.After(r.At)
}

func (r Revocation) describe() string {
	if r.Reason == "" {
		return "revoked by " + r.By
	}
	return "revoked by " + r.By + ": " + r.Reason
}

// revocationKey is what a revocation is looked up by.
type revocationKey struct {
	kind          byte // 'a' agent, 's' subject, 't' token
	issuer, value string
}

func (r Revocation) key() revocationKey {
	switch {
	case r.Agent != "":
		return revocationKey{'a', r.Issuer, r.Agent}
	case r.Subject != "":
		return revocationKey{'s', r.Issuer, r.Subject}
	default:
		return revocationKey{'t', r.Issuer, r.Token}
	}
}

// keysOf returns everything that a principal can be revoked by.
func keysOf(p *gate.Principal) []revocationKey {
	keys := []revocationKey{
		{'a', "", p.Agent}, {'a', p.Issuer, p.Agent},
		{'s', p.Issuer, p.Subject},
		{'t', "", p.TokenID}, {'t', p.Issuer, p.TokenID},
	}
	if !p.Actor.IsZero() {
		keys = append(keys, revocationKey{'s', p.Actor.Issuer, p.Actor.Subject})
	}
	return keys
}

// Revocations answers who is revoked, from memory. It is safe for concurrent use.
type Revocations struct {
	store RevocationStore
	now   func() time.Time

	mu        sync.RWMutex
	inForce   map[revocationKey][]Revocation // guarded by mu; without those that another covers
	lifted    map[revocationKey]time.Time    // guarded by mu; the newest Lift
	listeners []func(Revocation)             // guarded by mu
}

// OpenRevocations loads what was revoked before. A store that cannot be read is
// an error: starting without it would let the revoked in. now may be nil, for
// time.Now.
func OpenRevocations(ctx context.Context, store RevocationStore, now func() time.Time) (*Revocations, error) {
	if store == nil {
		return nil, errors.New("revocations: no store")
	}
	if now == nil {
		now = time.Now
	}
	l := &Revocations{store: store, now: now,
		inForce: map[revocationKey][]Revocation{}, lifted: map[revocationKey]time.Time{}}
	saved, err := store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load revocations: %w", err)
	}
	for _, r := range saved {
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("load revocations: %q: %w", r.ID, err)
		}
		l.apply(r)
	}
	return l, nil
}

// Revoke puts a revocation in force, tells the subscribers, and saves it. If it
// cannot be saved it is in force all the same until the process ends, and the
// error says so. A Lift is saved first: one that cannot be saved lifts nothing.
func (l *Revocations) Revoke(ctx context.Context, r Revocation) error {
	if err := r.Validate(); err != nil {
		return err
	}
	r = l.dated(r)
	if r.Lift {
		if err := l.store.Save(ctx, r); err != nil {
			return fmt.Errorf("nothing is lifted: save revocation: %w", err)
		}
		return l.Apply(r)
	}
	if err := l.Apply(r); err != nil {
		return err
	}
	if err := l.store.Save(ctx, r); err != nil {
		return fmt.Errorf("in force on this gateway only, and until it restarts: save revocation: %w", err)
	}
	return nil
}

// dated returns r with the time that puts it behind what it undoes. What is made now
// has the last word, though the clock may have been set back, and though stores keep
// microseconds: after a restart the order of times is all that is left.
func (l *Revocations) dated(r Revocation) Revocation {
	r.At = r.At.Truncate(time.Microsecond)
	l.mu.RLock()
	defer l.mu.RUnlock()
	k := r.key()
	switch lifted := l.lifted[k]; {
	case r.Session != "":
	case !r.Lift && !r.At.After(lifted):
		r.At = lifted.Add(time.Microsecond)
	case r.Lift:
		for _, o := range l.inForce[k] {
			if o.At.After(r.At) {
				r.At = o.At
			}
		}
	}
	return r
}

// Apply is Revoke without saving: for a revocation that another gateway made and
// saved. Applying the same one again changes nothing.
func (l *Revocations) Apply(r Revocation) error {
	if err := r.Validate(); err != nil {
		return err
	}
	for _, f := range l.apply(r) {
		f(r)
	}
	return nil
}

// Subscribe has f called with every revocation that comes into force from now
// on, after it is in force, by the goroutine that revokes. f ends the live
// sessions that Match picks; it must not call Subscribe.
func (l *Revocations) Subscribe(f func(Revocation)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listeners = append(slices.Clip(l.listeners), f)
}

// apply changes the memory and returns whom to tell.
func (l *Revocations) apply(r Revocation) []func(Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Session != "" {
		return l.listeners
	}
	k := r.key()
	switch {
	case r.Lift:
		if r.At.After(l.lifted[k]) {
			l.lifted[k] = r.At
		}
		l.keep(k, slices.DeleteFunc(l.inForce[k], r.Lifts))
		return nil
	case !r.At.After(l.lifted[k]):
		return nil
	case !slices.ContainsFunc(l.inForce[k], func(o Revocation) bool { return o.covers(r) }):
		l.keep(k, append(slices.DeleteFunc(l.inForce[k], r.covers), r))
	}
	return l.listeners
}

func (l *Revocations) keep(k revocationKey, list []Revocation) {
	if len(list) == 0 {
		delete(l.inForce, k)
		return
	}
	l.inForce[k] = list
}

// covers reports whether o adds nothing to r: r is as new and lasts as long.
// A shorter but newer one is kept, because a Lift may reach only the older.
func (r Revocation) covers(o Revocation) bool {
	lasts := r.Until.IsZero() || !o.Until.IsZero() && !r.Until.Before(o.Until)
	return lasts && !r.At.Before(o.At)
}

func (r Revocation) lasting(now time.Time) bool { return r.Until.IsZero() || now.Before(r.Until) }

// Revoked reports whether the principal's agent, subject, actor or token is
// revoked, and why.
func (l *Revocations) Revoked(p *gate.Principal) (reason string, revoked bool) {
	now := l.now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, k := range keysOf(p) {
		for _, r := range l.inForce[k] {
			if r.lasting(now) {
				return r.describe(), true
			}
		}
	}
	return "", false
}

// InForce returns the revocations in force, newest first. Revocations of
// sessions are not among them: they are over once the session has ended.
func (l *Revocations) InForce() []Revocation {
	now := l.now()
	l.mu.RLock()
	defer l.mu.RUnlock()
	var all []Revocation
	for _, list := range l.inForce {
		for _, r := range list {
			if r.lasting(now) {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b Revocation) int { return b.At.Compare(a.At) })
	return all
}
