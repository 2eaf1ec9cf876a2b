package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/identity"
	"github.com/sallyport-gateway/sallyport/internal/record"
	"github.com/sallyport-gateway/sallyport/internal/store"
)

// The adapters between packages that do not know each other: each has the words
// of one side on its left and of the other on its right, and nothing to decide.

// revocationStore keeps identity's revocations in the state.
type revocationStore struct{ in store.Revocations }

// Load implements identity.RevocationStore.
func (s revocationStore) Load(ctx context.Context) ([]identity.Revocation, error) {
	stored, err := s.in.Revoked(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	var all []identity.Revocation
	for _, r := range stored {
		v := identity.Revocation{Issuer: r.Issuer, By: r.Who, At: r.At, Reason: r.Why, Until: r.Until, Lift: r.Lift}
		switch r.Kind {
		case "agent":
			v.Agent = r.Value
		case "subject":
			v.Subject = r.Value
		case "token":
			v.Token = r.Value
		case "session":
			v.Session = r.Value
		default:
			return nil, fmt.Errorf("a stored revocation is of kind %q, which this release does not know", r.Kind)
		}
		v.ID = r.Kind + ":" + r.Value
		all = append(all, v)
	}
	return all, nil
}

// Save implements identity.RevocationStore.
func (s revocationStore) Save(ctx context.Context, r identity.Revocation) error {
	v := store.Revocation{Issuer: r.Issuer, Who: r.By, Why: r.Reason, At: r.At, Until: r.Until, Lift: r.Lift}
	switch {
	case r.Agent != "":
		v.Kind, v.Value = "agent", r.Agent
	case r.Subject != "":
		v.Kind, v.Value = "subject", r.Subject
	case r.Token != "":
		v.Kind, v.Value = "token", r.Token
	default:
		v.Kind, v.Value = "session", r.Session
	}
	return s.in.Revoke(ctx, v)
}

// journal keeps changes of documents in the state.
type journal struct{ in store.Changes }

// Record implements config.Journal.
func (j journal) Record(ctx context.Context, c *config.Change) error {
	var changes []store.Change
	for _, d := range c.Documents {
		changes = append(changes, store.Change{Who: or(c.Who, c.Source), At: c.Time, Kind: d.Kind, Name: d.Name, Diff: d.Diff})
	}
	if len(changes) == 0 {
		return nil
	}
	return j.in.Log(ctx, changes...)
}

// audit keeps calls of the API in the state.
type audit struct{ in store.Changes }

// Record implements api.Audit.
func (a audit) Record(ctx context.Context, e api.AuditEntry) error {
	who := "unknown"
	if e.By != nil {
		who = person(e.By)
	}
	return a.in.Log(ctx, store.Change{Who: who, At: e.Time, Kind: "api:" + e.Action, Name: e.Object,
		Diff: strings.TrimSpace(e.Outcome + " from " + e.Remote + " " + e.Detail)})
}

// person names a principal for a log.
func person(p *gate.Principal) string { return p.String() + " (" + p.Issuer + " " + p.Subject + ")" }

// authority answers from the Role documents.
type authority struct{ in *config.Store }

// Allowed implements api.Authority.
func (a authority) Allowed(p *gate.Principal, permission string) bool {
	return a.in.Set().May(p, permission)
}

// approvals shows and answers access requests.
type approvals struct{ desk *approval.Desk }

// List implements api.Approvals.
func (a approvals) List(ctx context.Context, f api.ApprovalFilter) ([]api.Approval, error) {
	filter := approval.Filter{Limit: f.Limit}
	if f.State != "" {
		filter.States = []gate.RequestState{gate.RequestState(f.State)}
	}
	requests, err := a.desk.List(ctx, filter)
	if err != nil {
		return nil, err
	}
	all := make([]api.Approval, 0, len(requests))
	for _, r := range requests {
		all = append(all, approvalView(r))
	}
	return all, nil
}

// Show implements api.Approvals.
func (a approvals) Show(ctx context.Context, id string) (api.Approval, error) {
	r, err := a.desk.Show(ctx, id)
	if err != nil {
		return api.Approval{}, approvalError(err)
	}
	return approvalView(r), nil
}

// Answer implements api.Approvals.
func (a approvals) Answer(ctx context.Context, by *gate.Principal, id string, approve bool, comment string) (api.Approval, error) {
	answer := a.desk.Deny
	if approve {
		answer = a.desk.Approve
	}
	r, err := answer(ctx, id, by, comment)
	if err != nil {
		return api.Approval{}, a.answerError(ctx, id, err)
	}
	return approvalView(r), nil
}

// answerError tells a request that is no longer pending from a person who may
// not answer.
func (a approvals) answerError(ctx context.Context, id string, err error) error {
	var refusal *approval.Refusal
	if !errors.As(err, &refusal) {
		return approvalError(err)
	}
	kind := api.Forbidden
	if r, showErr := a.desk.Show(ctx, id); showErr == nil && r.State != gate.RequestPending {
		kind = api.Conflict
	}
	return &api.Error{Kind: kind, Public: refusal.Public(), Err: err}
}

func approvalError(err error) error {
	if errors.Is(err, approval.ErrNotFound) {
		return api.NoApproval()
	}
	return err
}

func approvalView(r *approval.Request) api.Approval {
	v := api.Approval{
		ID: r.ID, State: string(r.State), Filed: r.Filed, Expires: r.Expires, Note: r.Note, Rule: r.Rule, Reason: r.Reason,
		Digest: r.Digest, Needs: api.Needs{Groups: r.Terms.Groups, Count: max(r.Terms.Count, 1)},
		By:     caller(r.Asker.Subject, r.Asker.Actor, r.Asker.Client, r.Asker.Agent, r.Asker.Attributes),
		Origin: api.Origin{Session: r.Asker.Session, Remote: r.Asker.Remote, Application: r.Asker.Application},
		Target: api.TargetView{Name: r.Target.Name, Protocol: r.Target.Protocol, Generation: r.Target.Generation, Labels: r.Target.Labels},
		Command: api.CommandView{Headline: r.Command.Headline, Text: r.Command.Text, Params: r.Command.Params,
			Effects: r.Command.Effects.List(), Labels: r.Command.Labels},
	}
	if !r.Ended.IsZero() {
		v.Ended = &r.Ended
	}
	for _, a := range r.Answers {
		decision := "deny"
		if a.Approved {
			decision = "approve"
		}
		v.Answers = append(v.Answers, api.Answer{By: party(a.By), Name: a.Name, Decision: decision, Comment: a.Comment, Time: a.At})
	}
	return v
}

func caller(subject, actor gate.Party, client, agent string, attributes map[string]gate.Attribute) api.Caller {
	return api.CallerOf(&gate.Principal{Party: subject, Actor: actor, ClientID: client, Agent: agent, Attributes: attributes})
}

func party(p gate.Party) api.Party { return api.Party{Issuer: p.Issuer, Subject: p.Subject} }

// sessions shows live and recorded sessions.
type sessions struct {
	gateway *gate.Gateway
	dir     string
}

// List implements api.Sessions.
func (s sessions) List(_ context.Context, f api.SessionFilter) ([]api.Session, error) {
	summaries, err := record.List(s.dir, record.Filter{Agent: f.Agent, Target: f.Target, Since: f.Since, Until: f.Until,
		Live: f.Live, Blocked: f.Blocked, Limit: f.Limit})
	if err != nil {
		return nil, err
	}
	all := make([]api.Session, 0, len(summaries))
	for i := range summaries {
		all = append(all, sessionOf(&summaries[i]))
	}
	return all, nil
}

// Show implements api.Sessions.
func (s sessions) Show(_ context.Context, id string) (api.Session, error) {
	summary, err := record.Summarise(s.dir, id)
	if err != nil {
		return api.Session{}, noSession(id, err)
	}
	return sessionOf(&summary), nil
}

// Export implements api.Sessions.
func (s sessions) Export(ctx context.Context, id, format string, w io.Writer) error {
	f := record.Format(format)
	if !slices.Contains([]record.Format{record.FormatJSONL, record.FormatAsciicast, record.FormatText}, f) {
		return &api.Error{Kind: api.Invalid, Public: "there is no such format"}
	}
	r, err := record.Open(s.dir, id)
	if err != nil {
		return noSession(id, err)
	}
	defer r.Close()
	return record.Export(ctx, w, r, f, record.ReplayOptions{Speed: 1, Renderer: rendererFor(r.Start().Protocol)})
}

// Follow implements api.Sessions.
func (s sessions) Follow(ctx context.Context, id string, w io.Writer) error {
	r, err := record.Open(s.dir, id)
	if err != nil {
		return noSession(id, err)
	}
	defer r.Close()
	return record.Follow(ctx, w, r, record.ReplayOptions{Renderer: liveRendererFor(r.Start().Protocol)})
}

func noSession(id string, err error) error {
	return &api.Error{Kind: api.NotFound, Public: fmt.Sprintf("there is no session %q", id), Err: err}
}

// revocations revokes and ends live sessions.
type revocations struct {
	in      *identity.Revocations
	gateway *gate.Gateway
}

// Revoke implements api.Revocations.
func (r revocations) Revoke(ctx context.Context, by *gate.Principal, v api.Revocation) (api.Revoked, error) {
	now := time.Now()
	i := identity.Revocation{Issuer: v.Issuer, Agent: v.Agent, Token: v.TokenID, Session: v.Session,
		By: person(by), At: now, Reason: v.Reason, Lift: v.Lift}
	if v.Until != nil {
		i.Until = *v.Until
	}
	i.ID = revocationID(i)
	ended := 0
	for _, s := range r.gateway.Sessions() {
		if i.Match(s.SessionInfo) {
			ended++
		}
	}
	if i.Session != "" && ended == 0 {
		return api.Revoked{}, &api.Error{Kind: api.NotFound, Public: fmt.Sprintf("there is no live session %q", i.Session)}
	}
	if i.Lift && !slices.ContainsFunc(r.in.InForce(), i.Lifts) {
		return api.Revoked{}, &api.Error{Kind: api.NotFound, Public: fmt.Sprintf("there is no revocation of %s in force, as it is written here", revocationID(i))}
	}
	// The sessions end through the subscription, before Revoke returns.
	if err := r.in.Revoke(ctx, i); err != nil {
		return api.Revoked{}, err
	}
	return api.Revoked{Revocation: revocationView(i, party(by.Party)), Ended: ended}, nil
}

// List implements api.Revocations.
func (r revocations) List(context.Context) ([]api.Revocation, error) {
	var all []api.Revocation
	for _, i := range r.in.InForce() {
		all = append(all, revocationView(i, api.Party{Subject: i.By}))
	}
	return all, nil
}

func revocationID(r identity.Revocation) string {
	switch {
	case r.Agent != "":
		return "agent:" + r.Agent
	case r.Token != "":
		return "token:" + r.Token
	default:
		return "session:" + r.Session
	}
}

func revocationView(r identity.Revocation, by api.Party) api.Revocation {
	v := api.Revocation{ID: r.ID, Agent: r.Agent, TokenID: r.Token, Session: r.Session, Issuer: r.Issuer, Reason: r.Reason,
		By: by, Created: r.At, Lift: r.Lift}
	if !r.Until.IsZero() {
		v.Until = &r.Until
	}
	return v
}

// documentsAPI shows and applies documents.
type documentsAPI struct{ in *config.Store }

// List implements api.Documents.
func (d documentsAPI) List(context.Context) ([]api.Document, error) {
	var all []api.Document
	set := d.in.Set()
	for _, k := range kinds() {
		for _, doc := range set.All(k.Name) {
			all = append(all, api.Document{Kind: doc.Kind, Name: doc.Name, Source: doc.File, Version: doc.Digest()})
		}
	}
	return all, nil
}

// Apply implements api.Documents.
func (d documentsAPI) Apply(ctx context.Context, by *gate.Principal, body []byte, dryRun bool) (api.Applied, error) {
	var change *config.Change
	var err error
	if dryRun {
		change, err = d.in.Plan("body", body)
	} else {
		change, err = d.in.Apply(ctx, "body", body, person(by))
	}
	if err != nil {
		return api.Applied{}, invalidDocuments(err)
	}
	return appliedView(change, dryRun), nil
}

// Remove implements api.Documents.
func (d documentsAPI) Remove(ctx context.Context, by *gate.Principal, kind, name string, dryRun bool) (api.Applied, error) {
	var change *config.Change
	var err error
	if dryRun {
		change, err = d.in.PlanRemove(kind, name)
	} else {
		change, err = d.in.Remove(ctx, kind, name, person(by))
	}
	if errors.Is(err, config.ErrNoDocument) {
		return api.Applied{}, &api.Error{Kind: api.NotFound, Public: fmt.Sprintf("there is no document %s %q", kind, name), Err: err}
	}
	if err != nil {
		return api.Applied{}, invalidDocuments(err)
	}
	return appliedView(change, dryRun), nil
}

func appliedView(change *config.Change, dryRun bool) api.Applied {
	applied := api.Applied{DryRun: dryRun}
	for _, c := range change.Documents {
		applied.Changes = append(applied.Changes, api.DocumentChange{Kind: c.Kind, Name: c.Name, Action: c.Action, Diff: c.Diff})
	}
	return applied
}

func invalidDocuments(err error) error {
	var errs config.Errors
	if !errors.As(err, &errs) {
		return err
	}
	invalid := &api.Error{Kind: api.Invalid, Public: "the documents are not valid; nothing was changed", Err: err}
	for _, e := range errs {
		invalid.Places = append(invalid.Places, api.Place{Where: e.File, Line: e.Line, Column: e.Column, Message: e.Message, Suggestion: e.Hint})
	}
	return invalid
}

// identifier verifies what agents show: a token, or a certificate that was issued for
// one.
type identifier struct {
	tokens       *identity.Verifier
	certificates func(certificate []byte) (*gate.Principal, error) // nil where none are issued
}

// Identify implements gate.Identifier.
func (i identifier) Identify(ctx context.Context, proof gate.Proof) (*gate.Principal, error) {
	if len(proof.Certificate) == 0 || i.certificates == nil {
		return i.tokens.Identify(ctx, proof.Token)
	}
	p, err := i.certificates(proof.Certificate)
	if err != nil {
		return nil, err
	}
	if err := i.tokens.Recheck(p); err != nil {
		return nil, err
	}
	return p, nil
}

// Revoked implements gate.Identifier. An issuer whose document changed, or is gone, vouches
// for nobody that was verified before.
func (i identifier) Revoked(p *gate.Principal) (string, bool) { return i.tokens.Revoked(p) }
