package slice_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

var sessionID = regexp.MustCompile(`ses_[a-z0-9]+`)

// identify returns the session's id.
func (a *agent) identify(t *testing.T) string {
	t.Helper()
	rows, err := a.run("SHOW sallyport.session")
	if err != nil || len(rows) != 1 || !sessionID.MatchString(rows[0][0]) {
		t.Fatalf("SHOW sallyport.session: %q %s", rows, describe(err))
	}
	return rows[0][0]
}

func TestARecordingTellsWhoDidWhatAndWhatWasAnswered(t *testing.T) {
	w := the(t)
	dba := w.person(t, alice)
	a := w.gw.connect(t, "shop", w.token(t, "mobile-agent"))
	id := a.identify(t)
	a.refused(t, "DROP TABLE orders", "42501", "migrations")
	a.want(t, "SELECT id, name, email, ssn FROM customers WHERE id = 2", "2|Ben|[redacted]|")
	if _, err := a.PgConn().ExecParams(t.Context(), "INSERT INTO ledger (entry) VALUES ($1)", [][]byte{[]byte("parameter-77")}, nil, nil, nil).Close(); err != nil {
		t.Fatal(describe(err))
	}
	a.refused(t, "SELECT 1/0", "22012", "division by zero")
	a.leave()
	var views []sessionView
	eventually(t, "the session is listed as ended", patience, func() bool {
		w.gw.list(t, &views, dba, "sessions", "list", "--agent", "mobile-agent", "--limit", "1000")
		for _, v := range views {
			if v.ID == id {
				return v.State == "ended"
			}
		}
		return false
	})
	for name, out := range map[string]string{
		"show":   w.gw.must(t, dba, "sessions", "show", id),
		"replay": w.gw.must(t, dba, "sessions", "replay", id, "--speed", "0"),
		"text":   w.gw.must(t, dba, "sessions", "export", id, "--format", "text"),
		"jsonl":  w.gw.must(t, dba, "sessions", "export", id, "--format", "jsonl"),
		"folder": w.gw.must(t, "", "sessions", "replay", id, "--speed", "0", "--dir", filepath.Join(w.gw.dir, "data", "recordings")),
	} {
		clean(t, name, out)
		wants := []string{"mobile-agent", "shop"}
		if name != "show" {
			wants = append(wants, "DROP TABLE orders", "no-destructive-ddl", "SELECT id, name, email, ssn FROM customers", "INSERT INTO ledger", "22012")
		}
		if name == "replay" || name == "text" || name == "folder" {
			wants = append(wants, "[redacted]", "Ben", "parameter-77", "division by zero")
		}
		for _, want := range wants {
			if !strings.Contains(strings.ToLower(out), strings.ToLower(want)) {
				t.Errorf("%s lacks %q:\n%s", name, want, out)
			}
		}
	}
	if a := w.gw.cli(t, w.token(t, reporter), "sessions", "replay", id, "--speed", "0"); a.code != 3 {
		t.Errorf("an agent replays a session: exit %d", a.code)
	}
}

func TestHostileTerminalSequencesComeOutHarmless(t *testing.T) {
	w := the(t)
	a := w.gw.connect(t, "shop", w.token(t, reporter))
	id := a.identify(t)
	a.want(t, "SELECT count(*) FROM hostile WHERE t <> ''", "2")
	if _, err := a.run("SELECT t FROM hostile"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.run("SELECT '\x1b]0;owned\x07' /* \u202e */"); err != nil && pgError(err) == nil {
		t.Fatal(err)
	}
	a.leave()
	dba := w.person(t, alice)
	for _, args := range [][]string{
		{"sessions", "replay", id, "--speed", "0"}, {"sessions", "export", id, "--format", "text"},
		{"sessions", "replay", id, "--speed", "0", "--dir", filepath.Join(w.gw.dir, "data", "recordings")},
	} {
		out := w.gw.must(t, dba, args...)
		if !strings.Contains(out, `\x1b`) && !strings.Contains(out, `\u001b`) {
			t.Errorf("%v shows no escape:\n%s", args, out)
		}
		for _, r := range out {
			if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u202e' {
				t.Errorf("%v prints %U", args, r)
				break
			}
		}
	}
}

func TestAKilledGatewayLosesNothingThatWasAnswered(t *testing.T) {
	w := the(t)
	g := startGateway(t, w, settings{documents: map[string]string{
		"issuers.yaml": issuers(w.idp.URL),
		"targets.yaml": w.target("open", "shop", "env: test") + credential + openPolicy,
	}})
	a := g.connect(t, "open", w.token(t, reporter))
	id := a.identify(t)
	const answered = 50
	for i := range answered {
		a.want(t, fmt.Sprintf("SELECT 'answer-%d-' || 'whole'", i), fmt.Sprintf("answer-%d-whole", i))
	}
	ended := a.slow(t, w, "killed_marker")
	g.kill()
	if err := await(t, ended); err == nil {
		t.Error("the statement ended without an error")
	}
	g.start(t)
	var v sessionView
	g.list(t, &v, w.person(t, alice), "sessions", "show", id)
	if v.State != "interrupted" {
		t.Errorf("the session is %q", v.State)
	}
	out := g.must(t, w.person(t, alice), "sessions", "replay", id, "--speed", "0")
	for i := range answered {
		if !strings.Contains(out, fmt.Sprintf("answer-%d-whole", i)) {
			t.Errorf("answer %d is not in the recording", i)
		}
	}
	if !strings.Contains(out, "killed_marker") {
		t.Error("the statement that was running is not in the recording")
	}
	g.connect(t, "open", w.token(t, reporter)).alive(t)
}

// smallDisk runs a program with a file system of 66 MiB on the folder $1, in name
// spaces of its own, so that no privilege is needed.
const smallDisk = `mkdir -p "$0" && mount -t tmpfs -o size=66m tmpfs "$0" && exec "$@"`

func TestAFullDiskEndsSessionsAndForwardsNothing(t *testing.T) {
	w := the(t)
	s := settings{documents: map[string]string{
		"issuers.yaml": issuers(w.idp.URL),
		"targets.yaml": w.target("open", "shop", "env: test") + credential + openPolicy,
	}}
	g := newGateway(t, w, s)
	g.prefix = []string{"unshare", "-rm", "/bin/sh", "-c", smallDisk, filepath.Join(g.dir, "data", "recordings")}
	if err := os.MkdirAll(filepath.Join(g.dir, "data", "recordings"), 0o700); err != nil {
		t.Fatal(err)
	}
	g.start(t)
	a := g.connect(t, "open", w.token(t, reporter))
	bystander := g.connect(t, "open", w.token(t, support))
	id := bystander.identify(t)
	var err error
	for i := 0; err == nil && i < 200; i++ { // a megabyte each, which does not compress
		_, err = a.run(fmt.Sprintf("SELECT md5(id::text || '%d'), md5('%d' || id) FROM wide LIMIT 15000", i, i))
	}
	wantError(t, "a full disk", err, "53100", "cannot be recorded")
	last := 0
	for err = nil; err == nil && last < 1000; last++ { // the last page of a file may have room
		_, err = bystander.run(fmt.Sprintf("INSERT INTO ledger (entry) VALUES ('full-%d-%s')", last, strings.Repeat("x", 500)))
	}
	wantError(t, "another session", err, "53100", "cannot be recorded")
	recorded := g.must(t, w.person(t, alice), "sessions", "export", id, "--format", "text")
	for _, row := range pgtest.Query(t, w.pg, "shop", "SELECT entry FROM ledger WHERE entry LIKE 'full-%'") {
		if !strings.Contains(recorded, row[0]) {
			t.Errorf("%.20s… was forwarded and is not in the recording", row[0])
		}
	}
	_, err = g.tryConnect("open", w.token(t, reporter))
	wantError(t, "a new session", err, "53100", "cannot be recorded")
}
