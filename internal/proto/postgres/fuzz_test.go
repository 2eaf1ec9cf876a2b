package postgres

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

var update = flag.Bool("update", false, "capture testdata/traffic anew from a real server and client")

// traffic returns what was captured of the five clients: "startup", the parameters of
// a StartupMessage, or one direction, "frontend" or "backend".
func traffic(f *testing.F, what string) [][]byte {
	f.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "traffic", "*."+what))
	if err != nil || len(names) == 0 {
		f.Fatalf("no captured traffic (%v): run go test -run Traffic -update", err)
	}
	var all [][]byte
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// chunks gives a few bytes at a time, as a network may.
type chunks struct {
	b    []byte
	step int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.step)], c.b)
	c.b = c.b[n:]
	return n, nil
}

// FuzzReader: however the bytes arrive, the same messages are read, and never
// more than was sent.
func FuzzReader(f *testing.F) {
	for _, b := range append(traffic(f, "frontend"), traffic(f, "backend")...) {
		f.Add(b, uint16(1))
		f.Add(b, uint16(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint16) {
		read := func(step int, eager bool) (messages []byte, last error) {
			r := reader{src: &chunks{b, step}, eager: eager}
			for {
				typ, n, err := r.header()
				if err != nil {
					return messages, err
				}
				body, err := r.body(n)
				if err != nil {
					return messages, err
				}
				messages = wire.AppendMessage(messages, typ, body)
				r.release()
			}
		}
		one, err1 := read(1<<20, true)
		two, err2 := read(int(step)+1, false)
		if !bytes.Equal(one, two) || err1.Error() != err2.Error() {
			t.Fatalf("%d and %d bytes, %v and %v", len(one), len(two), err1, err2)
		}
		if !bytes.HasPrefix(b, one) {
			t.Fatal("read what was not sent")
		}
	})
}

// FuzzStartup: a startup packet gives a start or a fault, and no setting that is
// not allowed.
func FuzzStartup(f *testing.F) {
	for _, b := range traffic(f, "startup") {
		f.Add(b)
	}
	f.Add([]byte("user\x00agent\x00database\x00orders\x00options\x00-c search_path=a\\ b --jit=off\x00\x00"))
	f.Add([]byte("user\x00a\x00replication\x00database\x00\x00"))
	f.Add([]byte("user\x00a\x00options\x00-c standard_conforming_strings=off\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, _, fault := parseStartup(body)
		if (s == nil) == (fault == nil) {
			t.Fatal("neither or both")
		}
		if s == nil {
			return
		}
		for name, value := range s.settings {
			if err := startupSetting(name, value); err != nil {
				t.Fatalf("%s=%s passed: %v", name, value, err)
			}
		}
		if strings.Contains(strings.ToLower(s.settings["search_path"]), "pg_temp") {
			t.Fatal("pg_temp in search_path")
		}
	})
}

// stage is a gateway for one session with both of its peers played.
type stage struct{ target *once }

// once is a connection that can be had once: there is nobody to take a
// CancelRequest.
type once struct {
	conn net.Conn
	used atomic.Bool
}

func (stage) Identify(context.Context, gate.Proof) (*gate.Principal, error) {
	now := time.Now()
	return &gate.Principal{Party: gate.Party{Issuer: "i", Subject: "s"}, Kind: gate.KindAgent, IssuedAt: now, Expiry: now.Add(time.Hour)}, nil
}
func (stage) Revoked(*gate.Principal) (string, bool) { return "", false }
func (stage) Target(string) (*gate.Target, bool) {
	return &gate.Target{Name: "t", Protocol: "postgres", Limits: gate.Limits{Rows: 1000}}, true
}
func (stage) Generation() uint64 { return 1 }
func (stage) Decide(context.Context, *gate.SessionInfo, *gate.Command) (gate.Verdict, error) {
	return gate.Verdict{Decision: gate.Allow, Rule: "r"}, nil
}
func (stage) Ask(context.Context, *gate.Ask) (gate.Asked, error) {
	return gate.Asked{}, errors.New("no")
}
func (stage) Wait(context.Context, string) (gate.RequestState, error) {
	return gate.RequestDenied, nil
}
func (stage) Withdraw(context.Context, string) error          { return nil }
func (stage) Start(*gate.SessionInfo) (gate.Recording, error) { return stage{}, nil }
func (stage) Append(*gate.Event) error                        { return nil }
func (stage) Commit() error                                   { return nil }
func (stage) Close() error                                    { return nil }
func (s stage) Dial(context.Context, *gate.Target) (net.Conn, error) {
	if s.target == nil || s.target.used.Swap(true) {
		return nil, errors.New("no second connection")
	}
	return s.target.conn, nil
}
func (stage) Credential(context.Context, string) (*gate.Credential, error) {
	return &gate.Credential{Name: "c"}, nil
}

// FuzzLyingTarget: whatever a target sends in answer to a query or a pipeline,
// the session goes on or ends; nothing panics, nothing hangs, and the client gets
// whole messages or the end of the connection.
func FuzzLyingTarget(f *testing.F) {
	for _, b := range traffic(f, "backend") {
		f.Add(b, true)
		f.Add(b, false)
	}
	f.Add(wire.AppendMessage(nil, wire.CopyInResponse, []byte{0, 0, 0}), true)
	f.Add(wire.AppendParameterStatus(nil, "client_encoding", "SJIS"), true)
	f.Fuzz(func(t *testing.T, answer []byte, simple bool) {
		underLie(t, answer, func(s *session) {
			shape := &sql.Shape{Facts: &sql.Facts{}, Effects: gate.EffectRead, Statements: []sql.Statement{{Kind: sql.KindCopyOut}}}
			if simple {
				s.queue = []expect{{typ: wire.Query, command: 1, shape: shape, columns: -1, sync: 1}}
			} else {
				s.queue = []expect{{typ: wire.Parse, shape: shape}, {typ: wire.Bind, shape: shape}, {typ: wire.Describe, kind: 'P', shape: shape},
					{typ: wire.Execute, shape: shape, columns: -1}, {typ: wire.Close}, {typ: wire.Sync, sync: 1}}
			}
			_ = s.drive()
		})
	})
}

// FuzzLyingTemporaries is the same for what the gateway itself asks.
func FuzzLyingTemporaries(f *testing.F) {
	row := func(fields ...string) []byte {
		b := []byte{0, byte(len(fields))}
		for _, v := range fields {
			b = append(append(b, 0, 0, 0, byte(len(v))), v...)
		}
		return wire.AppendMessage(nil, wire.DataRow, b)
	}
	answer := wire.AppendMessage(wire.AppendMessage(nil, wire.ParseComplete, nil), wire.BindComplete, nil)
	answer = append(answer, row("16400", "t", "t", "1", "a", "23", "integer", "f", "f", "f", "")...)
	answer = append(answer, row("16400", "", "f", "0", "", "0", "", "f", "f", "f", "a > 0")...)
	answer = wire.AppendMessage(answer, wire.CommandComplete, []byte("SELECT 2\x00"))
	answer = wire.AppendMessage(wire.AppendMessage(answer, wire.CloseComplete, nil), wire.CloseComplete, nil)
	f.Add(answer, true)
	f.Add(wire.AppendReadyForQuery(answer, wire.StatusIdle), false)
	f.Add(wire.AppendReadyForQuery((&wire.Fault{Severity: "ERROR", Code: "57014"}).Append(nil, wire.ErrorResponse), wire.StatusIdle), false)
	f.Add(wire.AppendReadyForQuery(nil, wire.StatusInTx), false)
	f.Fuzz(func(t *testing.T, answer []byte, started bool) {
		underLie(t, answer, func(s *session) {
			s.temp, s.started = &temporaries{stale: true, made: map[string]bool{"t": true}}, started
			err := s.askTemporaries()
			if err == nil && s.temp.stale && len(s.temp.rows) > 0 {
				t.Error("rows of a question that failed are kept")
			}
		})
	})
}

// underLie runs a session whose target answers with some bytes and closes.
func underLie(t *testing.T, answer []byte, run func(*session)) {
	t.Helper()
	target, far := net.Pipe()
	client, near := net.Pipe()
	g, err := gate.New(gate.Config{Identifier: stage{}, Directory: stage{}, Policy: stage{}, Approver: stage{}, Recorder: stage{},
		Dialer: stage{&once{conn: target}}, Vault: stage{}})
	if err != nil {
		t.Fatal(err)
	}
	gs, err := g.Open(t.Context(), gate.Proof{Token: gate.NewSecret("t")}, "t", gate.Client{Conn: client, Protocol: "postgres"})
	if err != nil {
		t.Fatal(err)
	}
	up, err := gs.Dial(t.Context(), func(_ context.Context, c net.Conn, _ *gate.Target, _ *gate.Credential) (net.Conn, error) {
		return c, nil
	}, controlMessages...)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(&Server{keys: map[cancelKey]*session{}, log: g.Log()}, g, gs, client, up, &backend{}, &catalog{})
	gs.OnEnd(s.interrupt)
	done := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(near)
		done <- b
	}()
	go func() { _, _ = io.Copy(io.Discard, far) }() // ends with far
	go func() {
		_, _ = far.Write(answer)
		_ = far.Close()
	}()
	run(s)
	partial := s.partial
	s.close()
	got := <-done
	if partial {
		return
	}
	for len(got) > 0 {
		if len(got) < wire.HeaderSize {
			t.Fatalf("half a message: %q", got)
		}
		n := int(got[1])<<24 | int(got[2])<<16 | int(got[3])<<8 | int(got[4]) + 1
		if n > len(got) {
			t.Fatalf("half a message: %q", got)
		}
		got = got[n:]
	}
}
