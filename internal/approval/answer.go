package approval

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// maxComment bounds an approver's comment, in bytes.
const maxComment = 4 << 10

// Approve records that a person approves a request, and returns the request as
// it is then: approved once as many different people as its terms ask for have
// said so, and pending before. The grant lives as long again as the request did.
//
// Only a person in one of the groups of the terms may approve, and never the
// subject, the actor, or anybody who stands behind them. Why an approval is not
// taken is a *Refusal.
func (d *Desk) Approve(ctx context.Context, id string, by *gate.Principal, comment string) (*Request, error) {
	return d.answer(ctx, id, by, comment, true)
}

// Deny records that a person refuses a request. One denial ends it, and stands
// for the identical command as long as the terms' Within. Why a denial is not
// taken is a *Refusal.
func (d *Desk) Deny(ctx context.Context, id string, by *gate.Principal, comment string) (*Request, error) {
	return d.answer(ctx, id, by, comment, false)
}

func (d *Desk) answer(ctx context.Context, id string, by *gate.Principal, comment string, yes bool) (*Request, error) {
	now := d.now()
	if err := eligible(by, now); err != nil {
		return nil, err
	}
	if len(comment) > maxComment {
		return nil, refusef("the comment is longer than %d bytes", maxComment)
	}
	var late bool
	r, err := d.cfg.Store.Change(ctx, id, func(r *Request) error {
		if late = r.expire(now); late {
			return nil
		}
		if r.State != gate.RequestPending {
			return refusef("the request is %s already", r.State)
		}
		if err := d.mayAnswer(r, by, yes); err != nil {
			return err
		}
		r.Answers = append(r.Answers, Answer{By: by.Party, Name: by.String(), Approved: yes, Comment: comment, At: now})
		switch {
		case !yes:
			r.State, r.Expires, r.Ended = gate.RequestDenied, now.Add(r.Terms.Within), now
		case r.approvals() >= r.Terms.Count:
			r.State, r.Expires = gate.RequestApproved, now.Add(r.Terms.Within)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("answer request: %w", err)
	}
	d.changed(r)
	if late {
		return nil, refusef("the request has expired")
	}
	return r, nil
}

// eligible refuses who can answer no request at all.
func eligible(by *gate.Principal, now time.Time) error {
	switch {
	case by == nil || by.IsZero() || by.Subject == "":
		return refusef("nobody is named as the approver")
	case by.Kind != gate.KindPerson:
		return refusef("only a person can answer a request, never an agent")
	case !by.Actor.IsZero():
		return refusef("only a person can answer a request, not somebody acting for one")
	case !now.Before(by.Expiry):
		return refusef("the approver's log-in has expired")
	}
	return nil
}

// mayAnswer refuses who cannot answer this request.
func (d *Desk) mayAnswer(r *Request, by *gate.Principal, yes bool) error {
	if !slices.ContainsFunc(by.Groups, func(g string) bool { return slices.Contains(r.Terms.Groups, g) }) {
		return refusef("the approver is in none of the groups that may answer: %s", groupList(r.Terms.Groups))
	}
	if slices.ContainsFunc(r.Answers, func(a Answer) bool { return yes && a.By == by.Party }) {
		return refusef("this person has approved already; the request needs %d different people", r.Terms.Count)
	}
	if !yes {
		return nil // who asked may also withdraw
	}
	if by.Party == r.Asker.Subject || by.Party == r.Asker.Actor || owns(by, &r.Asker) {
		return refusef("nobody can approve a request of their own or of their own agent")
	}
	return nil
}

// AttributeOwner is the attribute of an agent that names the people who stand behind it,
// separated by commas or spaces.
const AttributeOwner = "owner"

// owns reports whether a person stands behind an agent: its owner attribute has the
// person's subject, or one of the person's own attributes (an e-mail address), whatever
// their case. Two issuers name one person differently, so the issuer is not compared:
// whoever is taken for an owner only cannot approve.
func owns(by *gate.Principal, a *Asker) bool {
	owners := strings.FieldsFunc(a.Attributes[AttributeOwner].Value, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	return slices.ContainsFunc(owners, func(owner string) bool {
		if strings.EqualFold(owner, by.Subject) {
			return true
		}
		for _, own := range by.Attributes {
			if strings.EqualFold(owner, own.Value) {
				return true
			}
		}
		return false
	})
}

// Withdraw implements gate.Approver: the agent gave the command up.
func (d *Desk) Withdraw(ctx context.Context, id string) error {
	_, err := d.Cancel(ctx, id, "withdrawn by the agent while it waited")
	return err
}

// Cancel ends a pending request or takes back an unused grant. why is kept with
// the request. Whether the caller may do so is for the caller to check.
func (d *Desk) Cancel(ctx context.Context, id, why string) (*Request, error) {
	now := d.now()
	r, err := d.cfg.Store.Change(ctx, id, func(r *Request) error {
		if r.expire(now) {
			return nil
		}
		if !r.open() {
			return refusef("the request is %s already", r.State)
		}
		r.State, r.Ended, r.Note = gate.RequestCancelled, now, why
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cancel request: %w", err)
	}
	d.changed(r)
	return r, nil
}

// Expire ends every request and grant whose time is over and returns how many
// that were. Nothing depends on it for safety: time is also looked at whenever
// a request is used.
func (d *Desk) Expire(ctx context.Context) (int, error) {
	now, n := d.now(), 0
	due := Filter{States: []gate.RequestState{gate.RequestPending, gate.RequestApproved}, Due: now, Limit: 1000}
	rs, err := d.cfg.Store.List(ctx, due)
	if err != nil {
		return 0, fmt.Errorf("expire requests: %w", err)
	}
	for _, r := range rs {
		var did bool
		r, err := d.cfg.Store.Change(ctx, r.ID, func(r *Request) error {
			did = r.expire(now)
			return nil
		})
		if err != nil {
			return n, fmt.Errorf("expire requests: %w", err)
		}
		if did {
			n++
			d.changed(r)
		}
	}
	return n, nil
}

// Run expires what is due, again and again, until ctx ends.
func (d *Desk) Run(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if _, err := d.Expire(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.Error("expiring access requests", "error", err)
		}
	}
}
