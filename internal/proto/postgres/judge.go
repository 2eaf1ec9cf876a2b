package postgres

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// subject is what the command under decision is about, for the callbacks that
// the gate calls while it decides. It is valid during one Decide.
type subject struct {
	inspection *sql.Inspection // of a text; nil for a Bind
	again      *prepared       // in place of an inspection: the same text, sent before
	shape      *sql.Shape      // of the command
	canonical  string          // the exact statement, for the digest
	refs       []*prepared     // statements and cursors it runs again
	formats    []byte          // of the parameters: t, b or n, for the digest
	types      []byte          // the parameters' declared OIDs, four bytes each
	head       []byte          // the message's header and what precedes its text
	message    []byte          // head with the text after it, as AppendSQL made it
	masks      gate.Masks
	notice     string // for the agent, when it is sent
}

// inspect parses a text. A fault is for the client: the text is not SQL that the
// gateway can judge. It is on record then.
func (s *session) inspect(ctx context.Context, text []byte) (*sql.Inspection, *wire.Fault, error) {
	s.source = string(text)
	var in *sql.Inspection
	err := s.look(ctx, &in)
	if err == nil && len(in.Shape.Missing) > 0 && s.catalog.missing() {
		err = s.look(ctx, &in)
	}
	if err == nil {
		f := s.stale(in.Shape)
		if reserved(in.Shape) {
			f = reservedFault()
		}
		if f != nil {
			return nil, f, s.refuseUnjudged(ctx, in.Record(), f)
		}
		return in, nil, nil
	}
	f := inspectFault(err)
	end := s.refuseUnjudged(ctx, strings.ToValidUTF8(s.source, "\uFFFD"), f)
	return nil, f, end
}

// look inspects the source by the newest snapshot of the catalog.
func (s *session) look(ctx context.Context, in **sql.Inspection) (err error) {
	if s.inspector, err = s.current(ctx); err != nil {
		return err
	}
	if err = s.sees(ctx, s.inspector); err != nil {
		return err
	}
	if *in, err = s.inspector.Recall(&s.env, s.source, &s.buf); *in == nil && err == nil {
		s.gate.Block() // the parser is another process
		*in, err = s.inspector.Inspect(ctx, &s.env, s.source, &s.buf)
	}
	return err
}

// current returns the inspector of the newest snapshot, which the target may have
// to be asked for.
func (s *session) current(ctx context.Context) (*sql.Inspector, error) {
	if s.catalog.waits() {
		s.gate.Block()
	}
	return s.catalog.current(ctx, s.gateway)
}

// stale refuses what would be judged by definitions that this very transaction
// has changed: the snapshot cannot have seen them. Where nothing is labelled,
// what is new is unknown and what is known names the same relation, so only
// labelled data needs the refusal.
func (s *session) stale(shape *sql.Shape) *wire.Fault {
	if len(s.gate.Target.Marks) == 0 {
		return nil
	}
	if f := s.beside(shape); f != nil {
		return f
	}
	if f := s.ordered(shape); f != nil {
		return f
	}
	if len(shape.Statements) > 1 && shape.Effects.Has(gate.EffectSchema) {
		return fault(codePrivilege, "a change of definitions goes alone on a target with masked data: send one statement at a time")
	}
	if !s.redefined || s.status == wire.StatusIdle && !s.started {
		return nil
	}
	for i := range shape.Statements {
		switch shape.Statements[i].Kind {
		case sql.KindCommit, sql.KindRollback, sql.KindRollbackTo, sql.KindRelease, sql.KindSavepoint:
		default:
			f := fault(codePrivilege, "this transaction has changed definitions on a target with masked data: COMMIT before reading or writing")
			f.Hint = "Run changes of definitions in a transaction of their own."
			return f
		}
	}
	return nil
}

// ordered refuses to read rows in a session that began before there was an index over
// labelled columns, in whose order they could come.
func (s *session) ordered(shape *sql.Shape) *wire.Fault {
	if s.catalog.order() <= s.backend.order || len(shape.Facts.Tables) == 0 {
		return nil
	}
	f := fault(codePrivilege, "an index over labelled columns was made since this session began, and rows could come in its order")
	f.Hint = "Connect again."
	return f
}

// renew judges a prepared statement again when the catalog's snapshot has changed
// since. If it would be sent differently now, it has to be prepared again.
func (s *session) renew(ctx context.Context, p *prepared) *wire.Fault {
	inspector, err := s.current(ctx)
	if err != nil {
		return inspectFault(err)
	}
	if err := s.sees(ctx, inspector); err != nil {
		return inspectFault(err)
	}
	if inspector == p.inspector && s.env.Temporary == p.temporary {
		return s.stale(p.shape)
	}
	var buf sql.Buffer
	s.gate.Block() // the parser is another process
	in, err := inspector.Inspect(ctx, &s.env, p.canonical, &buf)
	if err != nil {
		return inspectFault(err)
	}
	sent, err := in.AppendSQL(nil, p.masks)
	if err != nil || string(sent) != p.sent {
		return fault(codeStatementName, "prepared statement \"%s\" was prepared before definitions changed: prepare it again", p.name)
	}
	p.shape, p.inspector, p.temporary, p.runner = in.Shape, inspector, s.env.Temporary, nil
	p.remember(p.masks)
	return s.stale(p.shape)
}

func inspectFault(err error) *wire.Fault {
	var e *sql.Error
	if !errors.As(err, &e) {
		return fault(codeInternal, "the statement could not be parsed")
	}
	return &wire.Fault{Severity: "ERROR", Code: e.SQLSTATE, Message: e.Message, Detail: e.Detail, Hint: e.Hint, Position: e.Position}
}

// refuseUnjudged puts on record a command that is refused whatever the policy
// says.
func (s *session) refuseUnjudged(ctx context.Context, text string, f *wire.Fault) error {
	s.cmd = gate.Command{Text: text, Effects: gate.EffectUnknown, Mask: func(gate.Masks) error { return errors.New(f.Message) }}
	_, err := s.gate.Decide(ctx, &s.cmd)
	s.last++
	var r *gate.Refusal
	if errors.As(err, &r) {
		return nil
	}
	if err == nil { // Mask refuses whatever is not blocked already
		return s.violation("internal error: an unjudged command was allowed")
	}
	return err
}

// judge takes the command in s.cmd through the gate. A fault means that it was
// refused and the session goes on.
func (s *session) judge(ctx context.Context, wait bool) (gate.Permit, *wire.Fault, error) {
	s.cmd.Mask, s.cmd.Binding = s.calls.mask, s.calls.binding
	if wait {
		s.cmd.Wait = s.calls.wait
	}
	p, err := s.gate.Decide(ctx, &s.cmd)
	s.last++
	if s.held.Load() != nil {
		if werr := s.endWait(); werr != nil {
			return gate.Permit{}, nil, werr
		}
	}
	if err == nil {
		return p, nil, nil
	}
	var r *gate.Refusal
	if !errors.As(err, &r) {
		return gate.Permit{}, nil, err
	}
	f := refusalFault(r)
	if hint := s.blockedHint(); hint != "" && r.Status == gate.StatusBlocked {
		f.Hint = hint
	} else if r.Status == gate.StatusBlocked && r.Rule == "" && s.cmd.Effects != 0 {
		f.Hint = "It has the effects " + strings.Join(s.cmd.Effects.List(), ", ") + ". " + f.Hint
	}
	if wait || s.status == wire.StatusIdle && r.Status != gate.StatusApprovalRequired {
		return gate.Permit{}, f, nil
	}
	if r.Status == gate.StatusApprovalRequired {
		f.Hint += " It was not waited for, because a transaction is open and its locks would be kept; run it outside of one to wait."
	}
	return gate.Permit{}, f, nil
}

// blockedHint says what a blocked statement would have to do without; empty if
// there is nothing to say.
func (s *session) blockedHint() string {
	if in := s.subject.inspection; in != nil && len(in.Shape.Missing) > 0 {
		return "The target has no " + strings.Join(in.Shape.Missing, ", ") + " that this statement can see."
	}
	facts, ok := s.cmd.Facts.(*sql.Facts)
	switch {
	case !ok:
	case len(facts.Unreviewed) > 0:
		return "Nobody has reviewed " + strings.Join(facts.Unreviewed, ", ") + ". Do without it, or have it reviewed by a document of kind Functions."
	case s.cmd.Effects != gate.EffectRead|gate.EffectAdmin: // it is not for a setting
	case slices.Contains(facts.Settings, "search_path"):
		return "The search_path stays what it is; name relations with their schemas. To set it is administration."
	case len(facts.Settings) > 0:
		return "To give " + strings.Join(facts.Settings, ", ") + " this value is administration."
	}
	return ""
}

// applyMasks implements gate.Command.Mask: it builds what is to be sent. The gate
// calls it again when a person has approved, because the masks may have changed.
func (s *session) applyMasks(m gate.Masks) error {
	s.subject.masks = m
	for _, p := range s.subject.refs {
		if !p.sameMasks(m) {
			return fmt.Errorf("statement %q was prepared under another policy: prepare it again", p.name)
		}
	}
	s.cmd.Cells = s.subject.shape.Cells(m)
	var err error
	if old := s.subject.again; old != nil && s.subject.inspection == nil {
		if old.sameMasks(m) {
			s.subject.message, s.subject.notice = append(s.subject.head, old.sent...), old.notice
			return nil
		}
		s.subject.inspection, err = s.inspector.Recall(&s.env, s.source, &s.buf)
		if err != nil {
			return err
		}
		if s.subject.inspection == nil {
			return errors.New("the masks of this statement have changed since it was last prepared: prepare it once more")
		}
	}
	if s.subject.inspection == nil {
		return nil
	}
	s.subject.message, err = s.subject.inspection.AppendSQL(s.subject.head, m)
	s.subject.notice = s.subject.inspection.Notice(m)
	return err
}

// tell passes on what there is to know of a text that was sent.
func (s *session) tell() {
	if s.subject.notice != "" {
		f := wire.Fault{Severity: "NOTICE", Code: "00000", Message: s.subject.notice}
		s.ans = f.Append(s.answers(), wire.NoticeResponse)
	}
}

// messageBuffer returns the empty buffer for a message to the target.
func (s *session) messageBuffer() []byte {
	if s.msg == nil {
		s.msg = getMessage()
	}
	return s.msg[:0]
}

// action is the part of the binding digest that says what runs. Every member is
// bound to a grant.
type action struct {
	Statement  string   `json:"statement"`
	Prepared   []string `json:"prepared"` // the statements behind EXECUTE and FETCH
	Params     []string `json:"params"`   // base64 of the bytes as they came
	Formats    string   `json:"formats"`  // t, b or n for NULL, one a parameter
	Types      string   `json:"types"`    // hex of the declared OIDs
	SearchPath []string `json:"search_path"`
	Temporary  []string `json:"temporary,omitempty"` // relations that hide others
}

// binding implements gate.Command.Binding.
func (s *session) binding() gate.Binding {
	statement := s.subject.canonical
	if s.subject.inspection != nil {
		statement = s.subject.inspection.Text()
	}
	a := action{Statement: statement, Formats: string(s.subject.formats),
		Types: hex.EncodeToString(s.subject.types), SearchPath: s.env.SearchPath, Temporary: s.env.Temporary.Names()}
	for _, p := range s.subject.refs {
		a.Prepared = append(a.Prepared, p.canonical)
	}
	if len(s.subject.formats) > 0 {
		for _, v := range s.bind.Params {
			a.Params = append(a.Params, base64.StdEncoding.EncodeToString(v))
		}
	}
	return gate.Binding{Role: s.backend.role, Database: s.backend.database, Action: a}
}

// showParams writes the parameters of s.bind for a reader, and their formats
// into the subject.
func (s *session) showParams() []string {
	if len(s.bind.Params) == 0 {
		return nil
	}
	shown := slices.Grow(s.shown[:0], len(s.bind.Params))[:len(s.bind.Params)]
	s.shown = shown
	for i, v := range s.bind.Params {
		switch {
		case v == nil:
			shown[i] = "NULL"
			s.subject.formats = append(s.subject.formats, 'n')
		case s.bind.Format(i) == 1 || !utf8.Valid(v):
			shown[i] = `\x` + hex.EncodeToString(v)
			s.subject.formats = append(s.subject.formats, 'b')
		default:
			shown[i] = "'" + string(v) + "'"
			s.subject.formats = append(s.subject.formats, 't')
		}
	}
	return shown
}
