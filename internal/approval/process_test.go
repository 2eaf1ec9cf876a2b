package approval_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/store"
)

// childState names the state for a copy of this test that runs as a process of
// its own.
const childState = "SALLYPORT_TEST_CHILD_STATE"

// child asks many times at once, prints how many grants it got, and dies as by
// kill -9 without closing anything.
func child(t *testing.T, path string) {
	s, err := store.Open(context.Background(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, clock: &clock{}}
	d, err := approval.New(approval.Config{Store: s.Requests, Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	var granted atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if got, err := d.Ask(context.Background(), ask()); err != nil {
				t.Error(err)
			} else if got.Granted {
				granted.Add(1)
			}
		})
	}
	wg.Wait()
	fmt.Printf("granted=%d\n", granted.Load())
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func TestOneGrantIsConsumedOnceByProcessesThatAreKilled(t *testing.T) {
	if path := os.Getenv(childState); path != "" {
		child(t, path)
	}
	w := newWorld(t)
	id := w.ask(ask()).Request
	w.approve(id, "dana")
	outs := make([]bytes.Buffer, 3)
	var wg sync.WaitGroup
	for i := range outs {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
			cmd.Env = append(os.Environ(), childState+"="+w.path)
			cmd.Stdout, cmd.Stderr = &outs[i], &outs[i]
			_ = cmd.Run() // it was killed; what it printed tells
		})
	}
	wg.Wait()
	total := 0
	for i := range outs {
		var n int
		line := outs[i].String()
		if at := strings.Index(line, "granted="); at < 0 {
			t.Fatalf("a process said %q", line)
		} else if _, err := fmt.Sscanf(line[at:], "granted=%d", &n); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if total != 1 {
		t.Errorf("%d were granted", total)
	}
	w.expect(id, gate.RequestConsumed)
	if w.ask(ask()).Granted {
		t.Error("granted again after the crash")
	}
}
