//go:build amd64 || arm64

package loop

import (
	"iter"
	"net"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// task is a session's goroutine. But for next, everything in it belongs to
// whoever runs it: the goroutine itself, or the runner that has just seen it stop.
type task struct {
	poller *poller
	next   func() (struct{}, bool)
	yield  func(struct{}) bool
	parked *side   // what it stopped for
	free   bool    // it is not run by a loop: its waits are ordinary ones
	runner *runner // who resumed it last
	turns  int     // reads since then that did not have to wait
}

// maxTurns is how many reads a task may do without a wait before it has to go on
// beside its loop: a peer that never lets it wait must not keep the others waiting.
const maxTurns = 64

// begin makes the task run f when it is resumed for the first time. It is always
// resumed until f returns, so nothing is left to stop.
func (t *task) begin(f func(gate.Task)) {
	t.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		f(t)
	})
}

// adopt moves connections to the task's poller. It does all or nothing.
func (t *task) adopt(conns []net.Conn) error {
	for i, c := range conns {
		own, ok := c.(*Conn)
		err := errNoSocket
		if ok {
			err = own.adopt(t)
		}
		if err != nil {
			for _, done := range conns[:i] {
				done.(*Conn).giveBack()
			}
			return err
		}
	}
	for _, c := range conns {
		c.(*Conn).settle()
	}
	return nil
}

// waits makes the stop of a task a wait. It returns false if what the task waits
// for is there already.
func (t *task) waits() bool { return t.parked.enter(waiting) }

// Block implements gate.Task.
func (t *task) Block() {
	if !t.free {
		t.free = true
		t.runner.replace()
	}
}

// turn counts a read that did not have to wait.
func (t *task) turn() {
	if t.free {
		return
	}
	if t.turns++; t.turns == maxTurns {
		t.runner.replace()
	}
}

// Resume implements gate.Task.
func (t *task) Resume() { t.free = false }

// wake resumes a task on a goroutine of its own, for what is not an event.
func (t *task) wake() { go (&runner{p: t.poller}).resume(t) }
