package sshproof_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/test/sshtest/hostile"
)

// mostMemory bounds what the gateway may hold while hosts lie to it.
const mostMemory = 400 << 20

func TestHostsThatLieHurtNobody(t *testing.T) {
	w := the(t)
	before := memory(t, w.gw.PID())
	t.Run("lies", func(t *testing.T) {
		for i, l := range hostile.Lies() {
			t.Run(l.Name, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				a := w.at(liar(i)).ssh(t, "", "echo hello")
				if took := time.Since(began); took > patience {
					t.Errorf("it took %v", took)
				}
				survived := a.status == 0 && a.out == hostile.Greeting
				switch {
				case strings.Contains(a.out+a.err, hostile.Smuggled):
					t.Errorf("what the host smuggled came through: %s", a)
				case strings.Contains(a.out+a.err, "\x1b"):
					t.Errorf("control characters came through: %s", a)
				case l.Outcome == hostile.Survives && !survived, l.Outcome == hostile.Ends && a.status == 0:
					t.Errorf("%s", a)
				case l.Outcome == hostile.Either && a.status == 0 && !survived:
					t.Errorf("half an answer: %s", a)
				}
			})
		}
	})
	if a := w.gateway.ssh(t, "", "echo still here"); a.out != "still here\n" {
		t.Errorf("others: %s", a)
	}
	if after := memory(t, w.gw.PID()); after > mostMemory {
		t.Errorf("the gateway holds %d MiB, before %d MiB", after>>20, before>>20)
	}
	if log := w.gw.Log(); strings.Contains(log, "panic") {
		t.Errorf("the gateway panicked:\n%s", lastLines(log))
	}
}

// memory is the peak of a process's resident memory (VmHWM of proc(5)).
func memory(t testing.TB, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
