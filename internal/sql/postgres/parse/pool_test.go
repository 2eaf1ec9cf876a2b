//go:build cgo && linux

package parse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) {
	WorkerMain()
	parentMain()
	os.Exit(m.Run())
}

func newPool(t testing.TB, cfg Config) *Pool {
	t.Helper()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// one returns the only worker of a pool; its pool has no other to offer until
// put back.
func one(t *testing.T, p *Pool) *process {
	t.Helper()
	w, err := p.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.idle <- w
	return w
}

// eventually waits for a condition that another process brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not in 10 s: %s", what)
		case <-tick.C:
		}
	}
}

func TestThePoolAndTheDirectParserGiveTheSameTree(t *testing.T) {
	p := newPool(t, Config{Workers: 1})
	for _, sql := range []string{
		"", "select 1", "select a, b from c where d = $1; delete from t",
		"with x as (insert into t values (1) returning *) select * from x",
		"values (" + strings.Repeat("1, ", 30_000) + "1)",
		"select '" + strings.Repeat("x", 3<<20) + "'",
	} {
		got, err := p.Parse(t.Context(), sql)
		if err != nil {
			t.Fatalf("%.60q: %v", sql, err)
		}
		want, err := Direct{}.Parse(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, want) {
			t.Errorf("%.60q: the trees differ", sql)
		}
	}
}

func TestSyntaxErrorsAreThoseOfTheParser(t *testing.T) {
	p := newPool(t, Config{Workers: 1})
	for _, c := range []struct {
		sql, message string
		position     int
	}{
		{"selec 1", `syntax error at or near "selec"`, 1},
		{"select 'é' from", "syntax error at end of input", 16},
		{"select 1\x00; delete from t", nulMessage, 0},
	} {
		for _, parser := range []interface {
			Parse(context.Context, string) (*pg_query.ParseResult, error)
		}{p, Direct{}} {
			_, err := parser.Parse(t.Context(), c.sql)
			var e *Error
			if !errors.As(err, &e) || e.Message != c.message || e.Position != c.position || e.Code != CodeSyntax || e.Err != nil {
				t.Errorf("%q: %+v", c.sql, err)
			}
		}
	}
	if s := p.Stats(); s.Started != 1 {
		t.Errorf("syntax errors cost workers: %+v", s)
	}
}

func TestHostileTextsEndTheWorkerAtWorst(t *testing.T) {
	p := newPool(t, Config{Workers: 1, Deadline: 5 * time.Second})
	for name, sql := range map[string]string{
		"a million terms":   "select 1" + strings.Repeat("+1", 1_000_000),
		"100,000 terms":     "select 1" + strings.Repeat("+1", 100_000),
		"20,000 brackets":   "select " + strings.Repeat("(", 20_000) + "1" + strings.Repeat(")", 20_000),
		"20,000 NOTs":       "select " + strings.Repeat("not ", 20_000) + "true",
		"100,000 casts":     "select 1" + strings.Repeat("::int", 100_000),
		"100,000 unions":    "select 1" + strings.Repeat(" union select 1", 100_000),
		"100,000 joins":     "select 1 from t" + strings.Repeat(" cross join t", 100_000),
		"5,000 sub-selects": "select " + strings.Repeat("(select ", 5_000) + "1" + strings.Repeat(")", 5_000),
	} {
		t.Run(name, func(t *testing.T) {
			tree, err := p.Parse(t.Context(), sql)
			var e *Error
			if err == nil || !errors.As(err, &e) || e.Code != CodeComplex && e.Code != CodeInternal || tree != nil {
				t.Errorf("got %v, %v", tree != nil, err)
			}
			t.Logf("%v", err)
			if _, err := p.Parse(t.Context(), "select 1"); err != nil {
				t.Errorf("the next text: %v", err)
			}
		})
	}
	t.Logf("%+v", p.Stats())
}

func TestASlowTextIsEndedAtItsDeadlineAndTheNextOneWorks(t *testing.T) {
	p := newPool(t, Config{Workers: 1, Deadline: time.Second})
	w := one(t, p)
	if err := w.proc.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	_, err := p.Parse(t.Context(), "select 1")
	if !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Parse(t.Context(), "select 1"); err != nil {
		t.Errorf("the next text: %v", err)
	}
	if s := p.Stats(); s.TimedOut != 1 || s.Started != 2 {
		t.Errorf("%+v", s)
	}
}

func TestAWorkerThatDiedWhileIdleCostsNoText(t *testing.T) {
	p := newPool(t, Config{Workers: 2})
	for range 5 {
		w := one(t, p)
		_ = w.proc.Kill()
		eventually(t, "the worker is gone", func() bool { return syscall.Kill(w.proc.Pid, 0) != nil })
		if _, err := p.Parse(t.Context(), "select 1"); err != nil {
			t.Errorf("got %v", err)
		}
	}
}

func TestAWorkerKilledInTheMiddleFailsOnlyItsText(t *testing.T) {
	p := newPool(t, Config{Workers: 1, Deadline: 10 * time.Second})
	w := one(t, p)
	if err := w.proc.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := p.Parse(context.Background(), "select 1")
		failed <- err
	}()
	eventually(t, "the text is under way", func() bool { return len(p.idle) == 0 })
	_ = w.proc.Kill()
	// Killed before or after it had the text: retried, or refused.
	if err := <-failed; err != nil && !errors.Is(err, ErrCrashed) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Parse(t.Context(), "select 1"); err != nil {
		t.Errorf("the next text: %v", err)
	}
}

func TestConcurrentCallersGetTheirOwnTreesWhileWorkersCrash(t *testing.T) {
	p := newPool(t, Config{Workers: 3})
	crash := "select 1" + strings.Repeat("+1", 300_000)
	var callers sync.WaitGroup
	for c := range 16 {
		callers.Go(func() {
			for i := range 60 {
				if c == 0 && i%20 == 0 {
					if _, err := p.Parse(context.Background(), crash); err == nil {
						t.Error("the crash was parsed")
					}
					continue
				}
				column := fmt.Sprintf("c_%d_%d", c, i)
				tree, err := p.Parse(context.Background(), "select "+column+strings.Repeat(", 1", i*40))
				if err != nil {
					t.Errorf("%s: %v", column, err)
					continue
				}
				first := tree.Stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget().Val.GetColumnRef().Fields[0].GetString_().Sval
				if first != column {
					t.Errorf("asked for %s, got %s", column, first)
				}
			}
		})
	}
	callers.Wait()
	t.Logf("%+v", p.Stats())
}

func TestAWorkerHasNoEnvironmentAndOnlyItsPipes(t *testing.T) {
	t.Setenv("SALLYPORT_TEST_SECRET", "hunter2")
	p := newPool(t, Config{Workers: 1})
	if _, err := p.Parse(t.Context(), "select 1"); err != nil {
		t.Fatal(err)
	}
	proc := fmt.Sprintf("/proc/%d/", one(t, p).proc.Pid)
	if environ, err := os.ReadFile(proc + "environ"); err != nil || len(environ) != 0 {
		t.Errorf("environment %q, %v", environ, err)
	}
	if dir, err := os.Readlink(proc + "cwd"); err != nil || dir != "/" {
		t.Errorf("working directory %q, %v", dir, err)
	}
	fds, err := os.ReadDir(proc + "fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, err := os.Readlink(proc + "fd/" + fd.Name())
		if err != nil {
			t.Fatal(err)
		}
		var ok bool
		switch fd.Name() {
		case "0", "1":
			ok = strings.HasPrefix(to, "pipe:")
		case "2":
			ok = to == os.DevNull
		default:
			// The Go runtime watches the processor quota and may have a poller.
			ok = to == "anon_inode:[eventpoll]" || to == "anon_inode:[eventfd]" || strings.HasPrefix(to, "/sys/fs/cgroup/")
		}
		if !ok {
			t.Errorf("descriptor %s is %s", fd.Name(), to)
		}
	}
	limits, err := os.ReadFile(proc + "limits")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(limits)), " ")
	for _, limit := range []string{"Max core file size 0 0 ", "Max file size 0 0 ", "Max open files 16 16 "} {
		if !strings.Contains(text, limit) {
			t.Errorf("not among the limits: %s\n%s", limit, text)
		}
	}
	if strings.Contains(text, "Max address space unlimited") {
		t.Error("the address space is unlimited")
	}
}

// parentMain is a program that starts a pool, prints its workers and waits to be
// killed. TestWorkersEndWithTheirParent runs it.
func parentMain() {
	if len(os.Args) != 2 || os.Args[1] != "parent-of-workers" {
		return
	}
	p, err := New(Config{Workers: 2})
	if err != nil {
		panic(err)
	}
	for range 2 {
		w, err := p.take(context.Background())
		if err != nil {
			panic(err)
		}
		fmt.Println(w.proc.Pid)
		// Stopped, so that it cannot notice that its pipe is closed.
		_ = w.proc.Signal(syscall.SIGSTOP)
	}
	select {}
}

func TestWorkersEndWithTheirParent(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "parent-of-workers")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var a, b int
	if _, err := fmt.Fscan(out, &a, &b); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, pid := range []int{a, b} {
		eventually(t, "the worker is gone", func() bool { return gone(pid) })
	}
}

// gone reports whether a process has ended; nobody may have waited for it yet.
func gone(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(status), ") ")
	return strings.HasPrefix(after, "Z") || strings.HasPrefix(after, "X")
}

func TestCloseEndsTheWorkersAndWhatWaits(t *testing.T) {
	p := newPool(t, Config{Workers: 2})
	w, err := p.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pid := w.proc.Pid
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if !gone(pid) {
		t.Error("a worker outlived Close")
	}
	for len(p.idle) > 0 {
		<-p.idle
	}
	if _, err := p.Parse(t.Context(), "select 1"); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestTheWaitForAWorkerEndsWithTheContext(t *testing.T) {
	p := newPool(t, Config{Workers: 1})
	if _, err := p.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Parse(ctx, "select 1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
