//go:build amd64 || arm64

package loop

import (
	"iter"
	"net"
	"sync"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// task is a session as it is run. Everything in it belongs to whoever runs it: its
// coroutine, or the runner that has just seen it stop.
type task struct {
	poller *poller
	f      func(gate.Task) bool
	co     *coroutine // nil before it runs and while it rests
	rests  bool       // f has returned, and is to be called again
	parked *side      // what it stopped for
	free   bool       // it is not run by a loop: its waits are ordinary ones
	runner *runner    // who resumed it last
	turns  int        // reads since then that did not have to wait
}

// maxTurns is how many reads a task may do without a wait before it has to go on
// beside its loop: a peer that never lets it wait must not keep the others waiting.
const maxTurns = 64

// step runs the task to its next stop. It returns false when f has returned for
// good.
func (t *task) step() bool {
	if t.co == nil {
		t.co = t.poller.idle.take()
		t.co.task = t
	}
	co := t.co
	co.next()
	if co.task != nil {
		return true // it waits
	}
	// f has returned. From here on nobody but waits may touch a task that rests:
	// somebody else may resume it.
	t.co = nil
	t.poller.idle.put(co)
	return t.rests
}

// coroutine is a stack on which tasks run, one after the other.
type coroutine struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	task  *task // nil while it runs nobody
}

func newCoroutine() *coroutine {
	co := &coroutine{}
	co.next, co.stop = iter.Pull(func(yield func(struct{}) bool) {
		co.yield = yield
		for {
			co.task.rests = co.task.f(co.task)
			co.task = nil
			if !yield(struct{}{}) {
				return
			}
		}
	})
	return co
}

// maxIdle bounds the coroutines of a poller that run nobody.
const maxIdle = 64

// bench is where coroutines wait for a task.
type bench struct {
	mu    sync.Mutex
	all   []*coroutine // guarded by mu
	ended bool         // guarded by mu
}

func (b *bench) take() *coroutine {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.all)
	if n == 0 {
		return newCoroutine()
	}
	co := b.all[n-1]
	b.all = b.all[:n-1]
	return co
}

func (b *bench) put(co *coroutine) {
	b.mu.Lock()
	full := b.ended || len(b.all) == maxIdle
	if !full {
		b.all = append(b.all, co)
	}
	b.mu.Unlock()
	if full {
		co.stop()
	}
}

// end stops those that wait, and all that come.
func (b *bench) end() {
	b.mu.Lock()
	all := b.all
	b.all, b.ended = nil, true
	b.mu.Unlock()
	for _, co := range all {
		co.stop()
	}
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
