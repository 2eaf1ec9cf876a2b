package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
	"github.com/sallyport-gateway/sallyport/internal/record"
)

func TestMain(m *testing.M) {
	startWorker() // the parser's workers are this program, started again
	testscript.Main(m, map[string]func(){"sallyport": main})
}

// TestTheCommandsSpeakWithAGateway runs testdata/client: the real command line
// against the real HTTP interface over TLS, with a double of what is behind it.
func TestTheCommandsSpeakWithAGateway(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/client",
		RequireExplicitExec: true,
		Setup:               setupClient,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// TestDocumentsOfHostsAreChecked runs testdata/hosts: what documents may say of SSH
// targets, and what is said of those that are wrong.
func TestDocumentsOfHostsAreChecked(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/hosts",
		RequireExplicitExec: true,
		UpdateScripts:       *updateScripts,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

var updateScripts = flag.Bool("update", false, "write what commands print into the scripts")

// exits runs a command that must end with the given code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// hostile is what an agent may call itself.
const hostile = "rep\x1b[2J\u202eorting\u009b31m"

func setupClient(env *testscript.Env) error {
	dir := filepath.Join(env.WorkDir, "recordings")
	if err := makeRecording(dir); err != nil {
		return err
	}
	d := &double{dir: dir}
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	s, err := api.New(api.Config{Identifier: d, Authority: d, Approvals: doubleApprovals{d}, Sessions: doubleSessions{d},
		Revocations: doubleRevocations{d}, Documents: doubleDocuments{d}, Audit: d, SSH: doubleSSH{authority}})
	if err != nil {
		return err
	}
	srv := httptest.NewTLSServer(s)
	env.Defer(srv.Close)
	env.Setenv("SALLYPORT_API", srv.URL)
	env.Setenv("SALLYPORT_CA", filepath.Join(env.WorkDir, "ca.pem"))
	env.Setenv("SALLYPORT_TOKEN", "person")
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return os.WriteFile(filepath.Join(env.WorkDir, "ca.pem"), raw, 0o600)
}

// makeRecording records a short session of a hostile agent.
func makeRecording(dir string) error {
	r, err := record.New(record.Config{Dir: dir})
	if err != nil {
		return err
	}
	start := time.Now().Add(-time.Minute)
	rec, err := r.Start(&gate.SessionInfo{ID: sessionID, Protocol: "postgres", Remote: "192.0.2.1:5", Started: start, Deadline: start.Add(time.Hour),
		Principal: &gate.Principal{Party: gate.Party{Issuer: "https://idp", Subject: "agent"}, Agent: hostile},
		Target:    &gate.Target{Name: "orders", Protocol: "postgres"}})
	if err != nil {
		return err
	}
	for _, e := range []gate.Event{
		{Kind: gate.EventCommand, Command: 1, Text: "SELECT '\x1b]0;owned\x07'", Effects: gate.EffectRead, Verdict: &gate.Verdict{Decision: gate.Allow, Rule: "p/reads"}},
		{Kind: gate.EventAnswer, Command: 1, Data: []byte("\x1b[31manswer\r\n")},
		{Kind: gate.EventEffect, Command: 1, Text: "SELECT 1", Rows: 1},
		{Kind: gate.EventEnd, Text: string(gate.EndClosed)},
	} {
		e.Time = start.Add(time.Second)
		if err := rec.Append(&e); err != nil {
			return err
		}
	}
	return errors.Join(rec.Close(), r.Close())
}

const sessionID = "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa"

// double stands for everything behind the interface. Tokens are the names of
// the callers.
type double struct {
	dir     string
	revoked []api.Revocation
}

func (d *double) Identify(_ context.Context, token gate.Secret) (*gate.Principal, error) {
	p := &gate.Principal{Party: gate.Party{Issuer: "https://idp", Subject: token.Reveal()}, Expiry: time.Now().Add(time.Hour)}
	switch token.Reveal() {
	case "person", "stranger":
		p.Kind = gate.KindPerson
	case "agent":
		p.Kind = gate.KindAgent
	default:
		return nil, errors.New("unknown token")
	}
	return p, nil
}

func (d *double) Revoked(*gate.Principal) (string, bool) { return "", false }

func (d *double) Allowed(p *gate.Principal, _ string) bool { return p.Subject == "person" }

func (d *double) Record(context.Context, api.AuditEntry) error { return nil }

type doubleApprovals struct{ *double }

func (doubleApprovals) Show(_ context.Context, id string) (api.Approval, error) {
	if id != "apr_1" && id != "apr_done" {
		return api.Approval{}, api.NoApproval()
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return api.Approval{ID: id, State: "pending", Filed: at, Expires: at.Add(time.Hour), Digest: "sha256:00", Rule: "p/writes",
		By:     api.Caller{Subject: api.Party{Issuer: "https://idp", Subject: "agent"}, Agent: hostile},
		Target: api.TargetView{Name: "orders", Protocol: "postgres"}, Needs: api.Needs{Groups: []string{"dba"}, Count: 1},
		Command: api.CommandView{Headline: "UPDATE t", Text: "UPDATE t SET a = 1\n-- \x1b[8m hidden", Effects: []string{"write"}}}, nil
}

func (a doubleApprovals) List(ctx context.Context, f api.ApprovalFilter) ([]api.Approval, error) {
	one, err := a.Show(ctx, "apr_1")
	if f.State != "" && f.State != one.State {
		return nil, err
	}
	return []api.Approval{one}, err
}

func (a doubleApprovals) Answer(ctx context.Context, _ *gate.Principal, id string, approve bool, _ string) (api.Approval, error) {
	one, err := a.Show(ctx, id)
	if id == "apr_done" {
		return one, &api.Error{Kind: api.Conflict, Public: "The request is denied already."}
	}
	one.State = map[bool]string{true: "approved", false: "denied"}[approve]
	return one, err
}

type doubleSessions struct{ *double }

func (s doubleSessions) List(_ context.Context, f api.SessionFilter) ([]api.Session, error) {
	found, err := record.List(s.dir, recordFilter(f))
	var all []api.Session
	for i := range found {
		all = append(all, sessionOf(&found[i]))
	}
	return all, err
}

func (s doubleSessions) Show(_ context.Context, id string) (api.Session, error) {
	found, err := record.Summarise(s.dir, id)
	if err != nil {
		return api.Session{}, &api.Error{Kind: api.NotFound, Public: "There is no such session.", Err: err}
	}
	return sessionOf(&found), nil
}

func (s doubleSessions) Export(ctx context.Context, id, format string, w io.Writer) error {
	r, err := record.Open(s.dir, id)
	if err != nil {
		return &api.Error{Kind: api.NotFound, Public: "There is no such session.", Err: err}
	}
	defer r.Close()
	return record.Export(ctx, w, r, record.Format(format), record.ReplayOptions{})
}

func (s doubleSessions) Follow(ctx context.Context, id string, w io.Writer) error {
	r, err := record.Open(s.dir, id)
	if err != nil {
		return &api.Error{Kind: api.NotFound, Public: "There is no such session.", Err: err}
	}
	defer r.Close()
	return record.Follow(ctx, w, r, record.ReplayOptions{})
}

// doubleSSH issues real certificates of an authority of its own.
type doubleSSH struct{ in *ssh.Authority }

func newAuthority() (*ssh.Authority, error) {
	var keys ssh.Keys
	var err error
	for _, k := range []*gate.Secret{&keys.Host, &keys.HostAuthority, &keys.UserAuthority} {
		if *k, err = ssh.GenerateKey(); err != nil {
			return nil, err
		}
	}
	return ssh.NewAuthority(keys, nil)
}

func (d doubleSSH) Issue(_ context.Context, p *gate.Principal, key string) (string, error) {
	return d.in.Issue(p, []byte(key))
}

func (d doubleSSH) Access() api.SSHAccess {
	return api.SSHAccess{Address: "0.0.0.0:6422", HostAuthority: d.in.HostAuthorityKey()}
}

type doubleRevocations struct{ *double }

func (d doubleRevocations) Revoke(_ context.Context, by *gate.Principal, r api.Revocation) (api.Revoked, error) {
	r.ID, r.Created, r.By = "rev_1", time.Now(), api.Party{Issuer: by.Issuer, Subject: by.Subject}
	d.revoked = append(d.revoked, r)
	return api.Revoked{Revocation: r, Ended: 1}, nil
}

func (d doubleRevocations) List(context.Context) ([]api.Revocation, error) { return d.revoked, nil }

type doubleDocuments struct{ *double }

func (doubleDocuments) List(context.Context) ([]api.Document, error) { return nil, nil }

// Apply finds a fault in every line that holds the word wrong.
func (doubleDocuments) Apply(_ context.Context, _ *gate.Principal, body []byte, dryRun bool) (api.Applied, error) {
	var places []api.Place
	for i, line := range bytes.Split(body, []byte("\n")) {
		if at := bytes.Index(line, []byte("wrong")); at >= 0 {
			places = append(places, api.Place{Where: "apply", Line: i + 1, Column: at + 1, Message: "unknown field wrong", Suggestion: "did you mean when?"})
		}
	}
	if places != nil {
		return api.Applied{}, &api.Error{Kind: api.Invalid, Public: "The documents are not valid; nothing was changed.", Places: places}
	}
	return api.Applied{DryRun: dryRun, Changes: []api.DocumentChange{
		{Kind: "Target", Name: "orders", Action: "added", Diff: "+ name: orders\n+ note: \x1b[2J\n"},
		{Kind: "Target", Name: "old", Action: "unchanged"},
	}}, nil
}

func (doubleDocuments) Remove(_ context.Context, _ *gate.Principal, kind, name string, dryRun bool) (api.Applied, error) {
	return api.Applied{DryRun: dryRun, Changes: []api.DocumentChange{{Kind: kind, Name: name, Action: "removed", Diff: "-name: " + name + "\n"}}}, nil
}

func TestNoTextOfOthersReachesATerminalAsControl(t *testing.T) {
	for _, s := range []string{hostile, "\x1b[31m", "a\u2066b", "\x00\x7f\u0085\u009b", "back\bspace", "bell\a", "\r over", string([]byte{0xff, 0x9b})} {
		for name, out := range map[string]string{"clean": clean(s), "screen": screen(s)} {
			if strings.ContainsFunc(out, func(r rune) bool {
				return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x2066 || r == 0xfffd
			}) {
				t.Errorf("%s(%q) is %q", name, s, out)
			}
		}
	}
	if got := clean(`C:\keys\token`); got != `C:\keys\token` {
		t.Errorf("a file name is shown as %s", got)
	}
	if got := string(escapeJSON([]byte(`"é😀` + "\u202e\u009b\x7f" + `"`))); got != `"\u00e9\ud83d\ude00\u202e\u009b\u007f"` {
		t.Errorf("JSON is printed as %s", got)
	}
}

func TestAnExpiredOrBrokenTokenIsRefusedBeforeItIsSent(t *testing.T) {
	for _, token := range []string{"", " \n", "two words", "tok\x00en", "h.eyJleHAiOjF9.s"} {
		if _, err := checkToken(token, "the test"); err == nil || exitCode(err) != exitRefused {
			t.Errorf("%q: %v", token, err)
		}
	}
	if got, err := checkToken("  opaque-token\n", "the test"); err != nil || got.Reveal() != "opaque-token" {
		t.Errorf("%v", err)
	}
}
