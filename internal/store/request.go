package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// requests implements approval.Store.
type requests struct{ db *database }

// facts is the unchanging part of a request that a list shows.
type facts struct {
	Asker    approval.Asker  `json:"asker"`
	Target   approval.Target `json:"target"`
	Headline string          `json:"headline"`
	Effects  gate.Effects    `json:"effects"`
	Labels   []string        `json:"labels"`
	Rule     string          `json:"rule"`
	Reason   string          `json:"reason"`
	Terms    gate.Approval   `json:"terms"`
}

// command is the unchanging part that only the reader of one request needs. It
// has bytes instead of strings, since JSON would mend what is not UTF-8, and an
// approver must see what runs.
type command struct {
	Text   []byte   `json:"text"`
	Params [][]byte `json:"params"`
}

const (
	requestColumns = `id, digest, subject_iss, subject_sub, actor_iss, actor_sub, client,
		state, filed_at, expires_at, ended_at, note, answers, facts, revision`
	samePrincipal = `subject_iss = ? AND subject_sub = ? AND actor_iss = ? AND actor_sub = ? AND client = ?`
)

func principalArgs(p approval.Principal) []any {
	return []any{p.Subject.Issuer, p.Subject.Subject, p.Actor.Issuer, p.Actor.Subject, p.Client}
}

// loaded is a request as it was read, with what tells whether it was changed.
type loaded struct {
	*approval.Request
	revision int64
}

func scanRequest(row interface{ Scan(...any) error }, more ...any) (loaded, error) {
	var r approval.Request
	var filed, expires, ended, revision int64
	var answers, rest []byte
	var f facts
	var p approval.Principal
	into := append([]any{&r.ID, &r.Digest, &p.Subject.Issuer, &p.Subject.Subject, &p.Actor.Issuer, &p.Actor.Subject,
		&p.Client, &r.State, &filed, &expires, &ended, &r.Note, &answers, &rest, &revision}, more...)
	if err := row.Scan(into...); err != nil {
		return loaded{}, err
	}
	if err := errors.Join(json.Unmarshal(answers, &r.Answers), json.Unmarshal(rest, &f)); err != nil {
		return loaded{}, fmt.Errorf("request %s: %w", r.ID, err)
	}
	r.Asker, r.Target, r.Rule, r.Reason, r.Terms = f.Asker, f.Target, f.Rule, f.Reason, f.Terms
	// Who asked is compared with who approves: take it as it was found by.
	r.Asker.Subject, r.Asker.Actor, r.Asker.Client = p.Subject, p.Actor, p.Client
	r.Command.Headline, r.Command.Effects, r.Command.Labels = f.Headline, f.Effects, f.Labels
	r.Filed, r.Expires, r.Ended = fromMicros(filed), fromMicros(expires), fromMicros(ended)
	return loaded{&r, revision}, nil
}

// Ask implements approval.Store. The write lock excludes more than the contract
// asks for: every other writer.
func (s requests) Ask(ctx context.Context, key approval.Key, at approval.Window,
	judge func([]*approval.Request, approval.Load) (*approval.Request, error)) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		found, err := live(ctx, tx, key, at.Now)
		if err != nil {
			return err
		}
		load, err := countLoad(ctx, tx, key.Principal, at)
		if err != nil {
			return err
		}
		rs := make([]*approval.Request, len(found))
		for i := range found {
			rs[i] = found[i].Request
		}
		fresh, err := judge(rs, load)
		if err != nil {
			return err
		}
		for _, l := range found {
			if err := update(ctx, tx, l); err != nil {
				return err
			}
		}
		if fresh != nil {
			return insert(ctx, tx, fresh)
		}
		return nil
	})
}

// live returns the requests of a key that still matter.
func live(ctx context.Context, tx *sql.Tx, key approval.Key, now time.Time) ([]loaded, error) {
	args := append([]any{key.Digest}, principalArgs(key.Principal)...)
	rows, err := tx.QueryContext(ctx, `SELECT `+requestColumns+` FROM access_request
		WHERE digest = ? AND `+samePrincipal+`
		AND (state IN ('pending', 'approved') OR state = 'denied' AND expires_at > ?)
		ORDER BY filed_at DESC`, append(args, micros(now))...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var found []loaded
	for rows.Next() {
		l, err := scanRequest(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, l)
	}
	return found, rows.Err()
}

func countLoad(ctx context.Context, tx *sql.Tx, p approval.Principal, at approval.Window) (l approval.Load, err error) {
	args := principalArgs(p)
	for _, c := range []struct {
		into  *int
		where string
		args  []any
	}{
		{&l.Pending, samePrincipal + ` AND state = 'pending' AND expires_at > ?`, append(args, micros(at.Now))},
		{&l.Filed, samePrincipal + ` AND filed_at >= ?`, append(args, micros(at.Since))},
		{&l.All, `state = 'pending' AND expires_at > ?`, []any{micros(at.Now)}},
	} {
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM access_request WHERE `+c.where, c.args...).Scan(c.into)
		if err != nil {
			return l, err
		}
	}
	return l, nil
}

func insert(ctx context.Context, tx *sql.Tx, r *approval.Request) error {
	c := command{Text: []byte(r.Command.Text), Params: make([][]byte, len(r.Command.Params))}
	for i, p := range r.Command.Params {
		c.Params[i] = []byte(p)
	}
	answers, err1 := json.Marshal(r.Answers)
	rest, err2 := json.Marshal(facts{r.Asker, r.Target, r.Command.Headline, r.Command.Effects, r.Command.Labels,
		r.Rule, r.Reason, r.Terms})
	full, err3 := json.Marshal(c)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	args := append([]any{r.ID, r.Digest}, principalArgs(r.Key().Principal)...)
	args = append(args, r.Target.Name, string(r.State), micros(r.Filed), micros(r.Expires), micros(r.Ended), r.Note,
		string(answers), string(rest), full)
	_, err := tx.ExecContext(ctx, `INSERT INTO access_request (id, digest, subject_iss, subject_sub, actor_iss, actor_sub,
		client, target, state, filed_at, expires_at, ended_at, note, answers, facts, command, revision)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`, args...)
	return err
}

// update writes what may change of a request. The revision is compared although
// the write lock is held: a row that changed under a transaction means that the
// lock does not work, and then nothing may be granted.
func update(ctx context.Context, tx *sql.Tx, l loaded) error {
	answers, err := json.Marshal(l.Answers)
	if err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, `UPDATE access_request
		SET state = ?, expires_at = ?, ended_at = ?, note = ?, answers = ?, revision = revision + 1
		WHERE id = ? AND revision = ?`,
		string(l.State), micros(l.Expires), micros(l.Ended), l.Note, string(answers), l.ID, l.revision)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("request %s changed during a transaction (%d rows, %w)", l.ID, n, errors.Join(err, errLock))
	}
	return nil
}

var errLock = errors.New("the write lock was not held")

// Change implements approval.Store.
func (s requests) Change(ctx context.Context, id string, change func(*approval.Request) error) (*approval.Request, error) {
	var r *approval.Request
	err := s.db.write(ctx, func(tx *sql.Tx) error {
		l, err := get(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := change(l.Request); err != nil {
			return err
		}
		r = l.Request
		return update(ctx, tx, l)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Get implements approval.Store.
func (s requests) Get(ctx context.Context, id string) (*approval.Request, error) {
	l, err := get(ctx, s.db.r, id)
	return l.Request, err
}

func get(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, id string) (loaded, error) {
	var full []byte
	l, err := scanRequest(q.QueryRowContext(ctx,
		`SELECT `+requestColumns+`, command FROM access_request WHERE id = ?`, id), &full)
	if errors.Is(err, sql.ErrNoRows) {
		return loaded{}, approval.ErrNotFound
	}
	if err != nil {
		return loaded{}, err
	}
	var c command
	if err := json.Unmarshal(full, &c); err != nil {
		return loaded{}, fmt.Errorf("request %s: %w", id, err)
	}
	l.Command.Text = string(c.Text)
	for _, p := range c.Params {
		l.Command.Params = append(l.Command.Params, string(p))
	}
	return l, nil
}

// List implements approval.Store.
func (s requests) List(ctx context.Context, f approval.Filter) ([]*approval.Request, error) {
	where, args := []string{"1"}, []any{}
	add := func(cond string, vs ...any) { where, args = append(where, cond), append(args, vs...) }
	if len(f.States) > 0 {
		states := make([]any, len(f.States))
		for i, st := range f.States {
			states[i] = string(st)
		}
		add(`state IN (?`+strings.Repeat(", ?", len(states)-1)+`)`, states...)
	}
	if f.Target != "" {
		add(`target = ?`, f.Target)
	}
	if !f.Due.IsZero() {
		add(`expires_at <= ?`, micros(f.Due))
	}
	if !f.Before.IsZero() {
		add(`filed_at < ?`, micros(f.Before))
	}
	rows, err := s.db.r.QueryContext(ctx, `SELECT `+requestColumns+` FROM access_request WHERE `+
		strings.Join(where, " AND ")+` ORDER BY filed_at DESC, id LIMIT ?`, append(args, f.Bound())...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var rs []*approval.Request
	for rows.Next() {
		l, err := scanRequest(rows)
		if err != nil {
			return nil, err
		}
		rs = append(rs, l.Request)
	}
	return rs, rows.Err()
}
