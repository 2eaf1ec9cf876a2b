package ssh_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
	"github.com/sallyport-gateway/sallyport/internal/record"
)

// stage is a gateway whose policy allows everything and whose recorder is the real one.
type stage struct {
	mu         sync.Mutex
	target     gate.Target // guarded by mu
	credential gate.Credential
	authority  *ssh.Authority
}

func (s *stage) Identify(_ context.Context, p gate.Proof) (*gate.Principal, error) {
	if len(p.Certificate) > 0 {
		return s.authority.Principal(p.Certificate)
	}
	return nil, errors.New("no certificate")
}
func (*stage) Revoked(*gate.Principal) (string, bool) { return "", false }
func (s *stage) Target(name string) (*gate.Target, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.target
	return &t, name == t.Name
}
func (*stage) Generation() uint64 { return 1 }
func (*stage) Decide(context.Context, *gate.SessionInfo, *gate.Command) (gate.Verdict, error) {
	return gate.Verdict{Decision: gate.Allow, Rule: "bench/all"}, nil
}
func (*stage) Ask(context.Context, *gate.Ask) (gate.Asked, error) {
	return gate.Asked{}, errors.New("nothing is held")
}
func (*stage) Wait(context.Context, string) (gate.RequestState, error) {
	return "", errors.New("nothing is held")
}
func (*stage) Withdraw(context.Context, string) error { return nil }
func (*stage) Dial(ctx context.Context, t *gate.Target) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", t.Address)
}
func (s *stage) Credential(context.Context, string) (*gate.Credential, error) {
	return &s.credential, nil
}

// bed is the gateway under measurement, a real sshd behind it, and what OpenSSH's
// client needs to reach either.
type bed struct {
	direct, through []string // arguments of ssh up to the command
	folder          string
	stage           *stage
}

func newBed(b testing.TB) *bed {
	b.Helper()
	server, _, folder := host(b)
	s := &stage{authority: authority(b), credential: gate.Credential{Name: "c", Username: account, Password: gate.NewSecret(password)},
		target: gate.Target{Name: "bench", Protocol: "ssh", Address: server.Address(), Keys: []string{server.Host.Line()}, Credential: "c", Generation: "1"}}
	recorder, err := record.New(record.Config{Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = recorder.Close() })
	g, err := gate.New(gate.Config{Identifier: s, Directory: s, Policy: s, Approver: s, Recorder: recorder, Dialer: s, Vault: s})
	if err != nil {
		b.Fatal(err)
	}
	p, err := ssh.New(ssh.Config{Authority: s.authority})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Listen(ctx, l, p, 0) }()
	b.Cleanup(func() { cancel(); <-done })
	keys := b.TempDir()
	key := filepath.Join(keys, "id")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		b.Fatal(err)
	}
	line, err := s.authority.Issue(principal(time.Now().Add(time.Hour)), public)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(key+"-cert.pub", []byte(line+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	common := []string{"-F", "none", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-c", "aes128-gcm@openssh.com"}
	args := func(key, user string, address net.Addr) []string {
		return append([]string{"-i", key, "-p", fmt.Sprint(address.(*net.TCPAddr).Port), "-l", user}, append(common, "127.0.0.1")...)
	}
	return &bed{direct: args(server.ClientKeyFile(), account, &net.TCPAddr{Port: server.Port}), through: args(key, "bench", l.Addr()), folder: folder, stage: s}
}

func run(b testing.TB, args []string, command string) time.Duration {
	b.Helper()
	cmd := exec.Command("ssh", append(append([]string{}, args...), command)...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for no known argument
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBulk reads a file over and over: what a direct connection moves, what
// comes through the gateway, and what that costs the gateway's processor. All in one
// run, in turn.
func BenchmarkBulk(b *testing.B) {
	bd := newBed(b)
	const size = 256 << 20
	for name, fill := range map[string]func([]byte){
		"random": func(p []byte) { _, _ = rand.Read(p) },
		"log": func(p []byte) {
			for i, n := 0, 0; n < len(p); i++ {
				n += copy(p[n:], fmt.Sprintf("2026-05-01T08:%02d:%02d INFO worker-%d req=%05d took=%dms path=/api/v1/items/%d\n", i/60%60, i%60, i%7, i, i*7919%900, i*104729%100000))
			}
		},
	} {
		file := filepath.Join(bd.folder, name)
		p := make([]byte, size)
		fill(p)
		if err := os.WriteFile(file, p, 0o644); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			var direct, through, used time.Duration
			for b.Loop() {
				direct += run(b, bd.direct, "cat "+file)
				before := cpu()
				through += run(b, bd.through, "cat "+file)
				used += cpu() - before
			}
			mb := float64(b.N) * size / 1e6
			b.ReportMetric(mb/direct.Seconds(), "direct-MB/s")
			b.ReportMetric(mb/through.Seconds(), "through-MB/s")
			b.ReportMetric(direct.Seconds()/through.Seconds(), "of-direct")
			b.ReportMetric(used.Seconds()/mb*1e3, "cpu-s/GB")
		})
	}
}

// BenchmarkSetUp connects and runs true, in turn directly and through the gateway.
func BenchmarkSetUp(b *testing.B) {
	bd := newBed(b)
	var direct, through time.Duration
	for b.Loop() {
		direct += run(b, bd.direct, "true")
		through += run(b, bd.through, "true")
	}
	b.ReportMetric(float64(direct.Milliseconds())/float64(b.N), "direct-ms")
	b.ReportMetric(float64(through.Milliseconds())/float64(b.N), "through-ms")
	b.ReportMetric(float64((through-direct).Microseconds())/1e3/float64(b.N), "added-ms")
}
