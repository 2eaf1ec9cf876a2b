//go:build cgo && unix

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/api"
)

// running is how many sessions of the gateway's role run the long query, asked
// at the target itself.
const running = `SELECT count(*) FROM pg_stat_activity
  WHERE usename = '` + demoRole + `' AND state = 'active' AND query LIKE '%generate_series(1,%'`

func playRevoked(ctx context.Context, s *demoStory) error {
	token, err := s.w.token("agent3")
	if err != nil {
		return err
	}
	s.p.command("batch-agent", "PGPASSWORD=$(cat agent3.token) psql … -c "+shellWords([]string{longStatement}))
	type ended struct {
		out  string
		code int
		err  error
		at   time.Time
	}
	end := make(chan ended, 1)
	go func() { // ends with psql, which ends with ctx
		out, code, err := s.w.once(ctx, token, longStatement)
		end <- ended{out, code, err, time.Now()}
	}()
	is := func(want string) func() (bool, error) {
		return func() (bool, error) {
			got, err := s.w.direct(ctx, running)
			return got == want, err
		}
	}
	if err := until(ctx, "wait for the query to run in the database", is("1")); err != nil {
		return err
	}
	began := time.Now()
	if out, code := s.as(ctx, "approver", "revoke", "agent", "batch-agent", "--reason", "it left its task"); code != exitOK {
		return &mismatch{"a revocation", out}
	}
	e := <-end
	s.p.note("The psql of batch-agent at the same moment:")
	s.p.answer(e.out)
	if e.err != nil {
		return e.err
	}
	if err := until(ctx, "wait for the query to end in the database", is("0")); err != nil {
		return err
	}
	gone := time.Since(began)
	s.p.note(fmt.Sprintf("psql was cut after %d ms; the database had stopped the query after %d ms.", e.at.Sub(began).Milliseconds(), gone.Milliseconds()))
	if err := errors.Join(expectIn(e.out, "access was revoked"), expect(e.code != 0, "a psql that failed", e.out),
		expect(gone < time.Second, "the query cancelled within a second", gone.String())); err != nil {
		return err
	}
	out, code, err := s.psqlOnce(ctx, "batch-agent", "agent3.token", token, "SELECT 1")
	return errors.Join(err, expect(code == 2 && strings.Contains(out, "revoked"), "no new session", out))
}

// haystack is all that the gateway keeps, readable: files, and recordings
// decoded.
type haystack struct {
	files, sessions int
	parts           [][]byte
	names           []string
}

func (h *haystack) add(name string, content []byte) {
	h.names, h.parts = append(h.names, name), append(h.parts, content)
}

// find names the first part that has the text; empty if none has.
func (h *haystack) find(text string) string {
	for i, part := range h.parts {
		if bytes.Contains(part, []byte(text)) {
			return h.names[i]
		}
	}
	return ""
}

func playSecrets(ctx context.Context, s *demoStory) error {
	h, err := s.collect(ctx)
	if err != nil {
		return err
	}
	values, err := s.labelled(ctx)
	if err != nil {
		return err
	}
	groups := []struct {
		what    string
		secrets []string
	}{{"the database's password", []string{s.w.password}}, {"the agents' and Dana's tokens", nil}, {"e-mail, social security and card numbers", append(values, demoHostCard)}, {"keys on the host", []string{demoStripeKey}}}
	for _, who := range []string{"agent", "agent2", "agent3", "approver"} {
		token, err := s.w.token(who)
		if err != nil {
			return err
		}
		groups[1].secrets = append(groups[1].secrets, token)
	}
	s.p.gap()
	s.p.answer(fmt.Sprintf("searched: %d files of state and log, %d recordings in full\n", h.files, h.sessions))
	// A search that finds nothing proves something only if it can find.
	for _, there := range []string{"[redacted]", strings.TrimSuffix(refundStatement, ";"), "no-destructive-ddl"} {
		if err := expect(h.find(there) != "", fmt.Sprintf("%q in what was searched", there), "nothing"); err != nil {
			return err
		}
	}
	var errs []error
	for _, g := range groups {
		found := 0
		for _, secret := range g.secrets {
			if where := h.find(secret); where != "" {
				found++
				errs = append(errs, &mismatch{"nowhere " + g.what, "it is in " + where})
			}
		}
		s.p.answer(fmt.Sprintf("%-42s %4d values, found %d times\n", g.what, len(g.secrets), found))
	}
	if len(errs) > 3 {
		errs = errs[:3]
	}
	return errors.Join(errs...)
}

// collect reads everything that the gateway keeps.
func (s *demoStory) collect(ctx context.Context) (*haystack, error) {
	h := &haystack{}
	for _, root := range []string{s.w.file("data"), s.w.file("gateway.log")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) { // the database's own temporary files come and go
				return nil
			}
			h.files++
			h.add(path, content)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	var list []api.Session
	if err := s.query(ctx, &list, "sessions", "list"); err != nil {
		return nil, err
	}
	for _, v := range list {
		out, err := s.quietly(ctx, "approver", "sessions", "export", v.ID, "--format", "jsonl")
		if err != nil {
			return nil, err
		}
		h.sessions++
		h.add("the recording of session "+v.ID, []byte(out))
		answers, err := answersOf(out)
		if err != nil {
			return nil, err
		}
		h.add("the answers of session "+v.ID, answers)
	}
	return h, nil
}

// encoded are the members of an exported event that hold bytes.
var encoded = regexp.MustCompile(`_base64$`)

// answersOf joins the bytes of an exported recording, so that nothing hides at
// the border of two events.
func answersOf(export string) ([]byte, error) {
	var all []byte
	for line := range strings.Lines(export) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			return nil, err
		}
		for name, v := range event {
			text, ok := v.(string)
			if !ok || !encoded.MatchString(name) {
				continue
			}
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, err
			}
			all = append(all, raw...)
		}
	}
	return all, nil
}

func playReplay(ctx context.Context, s *demoStory) error {
	if s.first == nil || s.session == "" {
		return errors.New("the first agent had no session")
	}
	if err := s.first.quit(ctx); err != nil {
		return err
	}
	s.first = nil
	var v api.Session
	if err := until(ctx, "wait for the session to end", func() (bool, error) {
		err := s.query(ctx, &v, "sessions", "show", s.session)
		return v.State == "ended", err
	}); err != nil {
		return err
	}
	if out, code := s.as(ctx, "approver", "sessions", "list"); code != exitOK {
		return &mismatch{"a list of sessions", out}
	}
	out, code := s.as(ctx, "approver", "sessions", "replay", s.session, "--speed", "0.1", "--max-idle", "700ms")
	if err := expect(code == exitOK, "a replay", out); err != nil {
		return err
	}
	return expectIn(out, "reporting-agent", "[redacted]", "DROP TABLE customers", "no-destructive-ddl", "writes-need-a-person", "refunded + 25.00")
}
