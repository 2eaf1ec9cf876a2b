package postgres

import (
	"cmp"
	"context"

	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// refer adds to a shape what the statements and cursors do that it runs again by
// name (EXECUTE, FETCH, MOVE), and notes them in the subject. A name that the
// session did not make is refused: nobody judged what is behind it.
func (s *session) refer(ctx context.Context, shape *sql.Shape) (*sql.Shape, *wire.Fault) {
	base := len(s.subject.refs)
	for i := range shape.Statements {
		st := &shape.Statements[i]
		var p *prepared
		switch st.Kind {
		case sql.KindExecute:
			if p = s.statements[st.Name]; p == nil && !madeBefore(shape.Statements[:i], sql.KindPrepare, st.Name) {
				return nil, fault(codeStatementName, "prepared statement \"%s\" does not exist", st.Name)
			}
			if p != nil && len(p.shape.NotNull) > 0 {
				return nil, fault(codeFeature, "through the gateway EXECUTE does not run this statement, of whose parameters it must know that they are not NULL: bind it")
			}
			if p != nil && p.streamed && !ordinary(p.shape) {
				return nil, fault(codeFeature, "through the gateway EXECUTE runs no statement about names, transactions, settings or COPY")
			}
		case sql.KindFetch, sql.KindMove:
			if c := s.portals[st.Name]; c != nil {
				p = c.statement
			} else if !madeBefore(shape.Statements[:i], sql.KindDeclare, st.Name) {
				return nil, fault(codeCursorName, "cursor \"%s\" does not exist", st.Name)
			}
		}
		if p != nil {
			if f := s.renew(ctx, p); f != nil {
				return nil, f
			}
			s.subject.refs = append(s.subject.refs, p)
		}
	}
	behind := s.subject.refs[base:]
	switch len(behind) {
	case 0:
		return shape, nil
	case 1:
		return behind[0].with(shape), nil
	}
	shapes := []*sql.Shape{shape}
	for _, p := range behind {
		shapes = append(shapes, p.shape)
	}
	return sql.Combine(shapes...), nil
}

// still reports whether a bound statement would run what it was judged to run: a name can
// have come to stand for something else.
func (s *session) still(po *portal) bool {
	refs := po.refs
	for i := range po.statement.shape.Statements {
		st := &po.statement.shape.Statements[i]
		var now *prepared
		switch st.Kind {
		case sql.KindExecute:
			now = s.statements[st.Name]
		case sql.KindFetch, sql.KindMove:
			if c := s.portals[st.Name]; c != nil {
				now = c.statement
			}
		default:
			continue
		}
		if len(refs) == 0 || now != refs[0] {
			return false
		}
		refs = refs[1:]
	}
	return true
}

// ordinary reports whether a shape leaves alone what the gateway follows by the
// texts it sees: names, transactions, settings, COPY. The server also executes
// other statements that a Parse has prepared, and the text would not tell.
func ordinary(shape *sql.Shape) bool {
	for i := range shape.Statements {
		if shape.Statements[i].Kind != sql.KindOther {
			return false
		}
	}
	return true
}

// with combines the prepared statement with the shape that runs it. The last one
// is kept, so that a repeated EXECUTE has the same facts by pointer.
func (p *prepared) with(shape *sql.Shape) *sql.Shape {
	if p.runner != shape {
		p.runner, p.combined = shape, sql.Combine(shape, p.shape)
	}
	return p.combined
}

func madeBefore(statements []sql.Statement, kind sql.Kind, name string) bool {
	for i := range statements {
		if statements[i].Kind == kind && statements[i].Name == name {
			return true
		}
	}
	return false
}

// applyNames changes the registry as the text's statements will, and returns
// what takes the changes back if the target answers with an error. Where a text
// has several statements an error does not say which of them took effect (an
// implicit COMMIT in the text may have made some permanent, and PREPARE is not
// undone at all), so the registry keeps both readings of a name: what it had and
// what it may have now.
func (s *session) applyNames(text *prepared) []undo {
	var undos []undo
	single := len(text.shape.Statements) == 1
	keep := func(u undo) {
		if single {
			undos = append(undos, u)
		}
	}
	for i := range text.shape.Statements {
		st := &text.shape.Statements[i]
		if st.Explain {
			continue
		}
		switch st.Kind {
		case sql.KindPrepare:
			p := text.named(st)
			if old := s.statements[st.Name]; old != nil && !single {
				p.merge(old)
			}
			keep(s.setStatement(p))
		case sql.KindDeclare:
			p := text.named(st)
			po := &portal{name: st.Name, statement: p, cursor: true, sync: s.syncs, columns: -1}
			if old := s.portals[st.Name]; old != nil && !single {
				p.merge(old.statement)
				if old.doubt != nil {
					d := *old.doubt
					d.stream, po.doubt = cmp.Or(d.stream, &old.stream), &d
				}
			}
			keep(s.setPortal(po))
		case sql.KindDeallocate:
			if single {
				keep(s.dropStatement(st.Name))
			}
		case sql.KindClose:
			if single {
				keep(s.dropPortal(st.Name))
			}
		case sql.KindDeallocateAll, sql.KindDiscard, sql.KindCloseAll:
			// In a longer text it is not clear what comes of it. What the registry
			// has and the target has not is harmless: running it fails there.
			if single {
				keep(s.dropAll(st.Kind != sql.KindCloseAll, st.Kind != sql.KindDeallocateAll, st.Kind == sql.KindDiscard))
			}
		default:
			if st.Word == "listen" {
				s.listening = true
			}
		}
	}
	return undos
}

// names reports whether running the shape changes what names stand for.
func names(shape *sql.Shape) bool {
	for i := range shape.Statements {
		switch st := &shape.Statements[i]; st.Kind {
		case sql.KindPrepare, sql.KindDeclare, sql.KindDeallocate, sql.KindClose, sql.KindDeallocateAll, sql.KindDiscard, sql.KindCloseAll:
			return true
		default:
			if st.Word == "listen" {
				return true
			}
		}
	}
	return false
}

// named makes the registry's entry for PREPARE and DECLARE. Its shape is that of
// the whole text: never less than what is behind the name.
func (p *prepared) named(st *sql.Statement) *prepared {
	return &prepared{name: st.Name, shape: p.shape, canonical: p.canonical, record: p.record, masks: p.masks, shown: p.shown,
		sent: p.sent, inspector: p.inspector, temporary: p.temporary, columns: -1, hold: st.Hold}
}

// merge makes p stand for either of two statements.
func (p *prepared) merge(old *prepared) {
	shown := map[string]string{}
	for _, q := range []*prepared{old, p} {
		for i, l := range q.shape.Labels {
			if was, ok := shown[l]; ok && was != q.shown[i] {
				shown[l] = "" // no mask is called so: it will have to be prepared again
				continue
			}
			shown[l] = q.shown[i]
		}
	}
	p.shape = sql.Combine(p.shape, old.shape)
	p.canonical += ";\n" + old.canonical
	p.sent = "" // it stands for two texts: after a change of definitions it has to be prepared again
	p.shown = nil
	for _, l := range p.shape.Labels {
		p.shown = append(p.shown, shown[l])
	}
}
