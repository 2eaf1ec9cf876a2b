//go:build amd64 || arm64

package loop

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// watchEvery is how often the watch looks for a task that blocks its poller. A
// task must be seen at work in two looks before it counts as blocked.
const watchEvery = 10 * time.Millisecond

// batch is how many events one epoll_wait brings.
const batch = 128

// Loop spreads sessions over its pollers. It is safe for concurrent use.
type Loop struct {
	pollers []*poller
	next    atomic.Uint32
	watch   *watch
}

// New starts a loop with n pollers. Close ends it.
func New(n int) (*Loop, error) {
	l := &Loop{watch: newWatch()}
	for range n {
		p, err := newPoller(l.watch)
		if err != nil {
			l.closePollers()
			return nil, err
		}
		l.pollers = append(l.pollers, p)
		go (&runner{p: p, owner: true}).run() // ends with Close
	}
	go l.watch.run(l.pollers) // ends with Close
	return l, nil
}

// Close ends the pollers. It is called when no session is left.
func (l *Loop) Close() {
	l.closePollers()
	close(l.watch.stop)
	<-l.watch.ended
	for _, p := range l.pollers {
		p.idle.end()
	}
}

func (l *Loop) closePollers() {
	for _, p := range l.pollers {
		p.close()
	}
}

// Conn readies a fresh connection for Run. Until then it works as c itself.
func (l *Loop) Conn(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		if socket, err := tcp.SyscallConn(); err == nil {
			return &Conn{plain: &plain{tcp, socket}, fd: -1}
		}
	}
	return c
}

// Run runs f on a goroutine of its own and returns. See gate.Loop.
func (l *Loop) Run(f func(gate.Task) bool, conns ...net.Conn) {
	p := l.pollers[l.next.Add(1)%uint32(len(l.pollers))]
	t := &task{poller: p, f: f}
	if err := t.adopt(conns); err != nil {
		go f(blockingTask{}) // one of them is no socket: the runtime's poller serves
		return
	}
	go (&runner{p: p}).resume(t) // ends at f's first wait
}

// poller is one epoll instance and what waits for it.
type poller struct {
	epfd  int
	start time.Time // deadlines are kept as distances from it, on the monotonic clock
	watch *watch
	stop  int // an eventfd that ends the loop
	ended chan struct{}

	mu    sync.Mutex
	conns map[int32]*Conn // guarded by mu; by descriptor

	idle bench // coroutines that run nobody

	// events[at:n] is not yet handled. It belongs to the runner that owns the
	// poller.
	events [batch]syscall.EpollEvent
	at, n  int
	woke   bool // a goroutine was woken since the last epoll_wait
	keeps  bool // there are more processors: it may keep one for a moment

	// owner is who runs the loop now; for the watch.
	owner atomic.Pointer[runner]
}

func newPoller(w *watch) (*poller, error) {
	epfd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("loop: epoll_create1: %w", err)
	}
	stop, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		_ = syscall.Close(epfd)
		return nil, fmt.Errorf("loop: eventfd: %w", errno)
	}
	p := &poller{epfd: epfd, start: time.Now(), watch: w, stop: int(stop), ended: make(chan struct{}), conns: map[int32]*Conn{},
		keeps: runtime.GOMAXPROCS(0) > 1}
	e := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(p.stop)} //nolint:gosec // descriptors are small
	if err := syscall.EpollCtl(epfd, syscall.EPOLL_CTL_ADD, p.stop, &e); err != nil {
		_ = syscall.Close(epfd)
		_ = syscall.Close(p.stop)
		return nil, fmt.Errorf("loop: epoll_ctl: %w", err)
	}
	return p, nil
}

func (p *poller) close() {
	_, _ = syscall.Write(p.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	<-p.ended
	_ = syscall.Close(p.epfd)
	_ = syscall.Close(p.stop)
}

func (p *poller) find(fd int32) *Conn {
	p.mu.Lock()
	c := p.conns[fd]
	p.mu.Unlock()
	return c
}

// bothWays is what a connection is watched for: both directions at once,
// edge-triggered.
const bothWays = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | 1<<31 // EPOLLET, which package syscall has as a negative number

// add watches a connection from now on.
func (p *poller) add(c *Conn) error {
	p.mu.Lock()
	p.conns[int32(c.fd)] = c //nolint:gosec // descriptors are small
	p.mu.Unlock()
	e := syscall.EpollEvent{Events: bothWays, Fd: int32(c.fd)} //nolint:gosec // as above
	if err := syscall.EpollCtl(p.epfd, syscall.EPOLL_CTL_ADD, c.fd, &e); err != nil {
		p.remove(c)
		return fmt.Errorf("loop: epoll_ctl: %w", err)
	}
	return nil
}

// remove forgets a connection. An event of it that is still on its way finds
// nothing, or a later connection with its descriptor, which then reads in vain.
func (p *poller) remove(c *Conn) {
	p.mu.Lock()
	delete(p.conns, int32(c.fd)) //nolint:gosec // as above
	p.mu.Unlock()
}

// What a runner is doing.
const (
	polling  = iota // it owns its poller
	inTask          // it owns its poller and has resumed a task
	replaced        // it has resumed a task, and another runner owns the poller
)

// runner is a goroutine that resumes tasks. One of them owns the poller and runs
// its loop; others only see a task to its next wait.
type runner struct {
	p     *poller
	owner bool // as far as it knows: state tells when it has resumed a task
	state atomic.Int32
	count atomic.Uint64 // tasks resumed, for the watch
}

// run is the loop. It ends when the runner is replaced, or with the poller.
func (r *runner) run() {
	p := r.p
	p.owner.Store(r)
	for {
		for p.at < p.n {
			e := p.events[p.at]
			p.at++
			if int(e.Fd) == p.stop {
				close(p.ended)
				return
			}
			if c := p.find(e.Fd); c != nil && !r.event(c, e.Events) {
				return
			}
		}
		if p.woke {
			// Who was woken may be in this processor's queue, and must not wait there
			// for the end of our system call.
			p.woke = false
			runtime.Gosched()
		}
		p.wait()
	}
}

// wait fills events. A busy loop waits with its processor in hand; one that has
// nothing to do for a millisecond gives it up.
func (p *poller) wait() {
	p.at, p.n = 0, 0
	if p.keeps {
		n, errno := waitShortly(p.epfd, p.events[:], 1)
		if n > 0 || errno != 0 {
			p.n = n
			return
		}
	}
	n, err := syscall.EpollWait(p.epfd, p.events[:], -1)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		panic(fmt.Sprintf("loop: epoll_wait: %v", err)) // only a closed descriptor can do this
	}
	p.n = max(n, 0)
}

// event notes what a connection is ready for and resumes who waits for it. It
// returns false when the runner was replaced meanwhile.
func (r *runner) event(c *Conn, events uint32) bool {
	const gone = syscall.EPOLLHUP | syscall.EPOLLERR
	if events&(syscall.EPOLLIN|syscall.EPOLLRDHUP|gone) != 0 {
		r.signal(&c.read, events&(syscall.EPOLLRDHUP|gone) != 0)
	}
	if events&(syscall.EPOLLOUT|gone) != 0 {
		r.signal(&c.write, events&gone != 0)
	}
	return r.owner
}

// signal notes an event of one direction.
func (r *runner) signal(s *side, isGone bool) {
	bits := uint32(ready)
	if isGone {
		bits |= gone
	}
	t, woke := s.rouse(bits)
	if woke && r.owner {
		r.p.woke = true
	}
	if t != nil {
		r.resume(t)
	}
}

// resume runs a task to its next wait. The runner may not own its poller any more
// when it returns.
func (r *runner) resume(t *task) {
	if r.owner {
		r.count.Add(1)
		r.state.Store(inTask)
		r.p.watch.wake()
	} else {
		r.state.Store(replaced)
	}
	t.runner, t.turns = r, 0
	for t.step() && !t.waits() {
	}
	r.owner = r.owner && r.state.CompareAndSwap(inTask, polling)
}

// replace lets another goroutine run the loop if this runner, which is in a task,
// still does.
func (r *runner) replace() {
	if r.state.CompareAndSwap(inTask, replaced) {
		go (&runner{p: r.p, owner: true}).run() // ends as the first one does
	}
}

// watch replaces runners whose task has blocked without saying so. It sleeps
// while nothing happens.
type watch struct {
	asleep atomic.Bool
	call   chan struct{}
	stop   chan struct{}
	ended  chan struct{}
}

func newWatch() *watch {
	return &watch{call: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{})}
}

// wake is called at every resumption.
func (w *watch) wake() {
	if w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
		w.call <- struct{}{} // there is room: only who wakes it sends
	}
}

func (w *watch) run(pollers []*poller) {
	defer close(w.ended)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	seen := make([]sight, len(pollers))
	for {
		select {
		case <-tick.C:
		case <-w.stop:
			return
		}
		if !look(pollers, seen) {
			continue
		}
		w.asleep.Store(true)
		// A task that was resumed before that has woken nobody.
		if !look(pollers, seen) {
			if !w.asleep.CompareAndSwap(true, false) {
				<-w.call
			}
			continue
		}
		tick.Stop()
		select {
		case <-w.call:
		case <-w.stop:
			return
		}
		tick.Reset(watchEvery)
	}
}

// sight is what one look at a poller saw: who runs it, and how many tasks that one
// had resumed.
type sight struct {
	owner *runner
	count uint64
}

// look replaces owners that are in the same task as at the last look. It reports
// whether nothing has happened since.
func look(pollers []*poller, seen []sight) (quiet bool) {
	quiet = true
	for i, p := range pollers {
		r := p.owner.Load()
		if r == nil {
			continue
		}
		now := sight{r, r.count.Load()}
		busy := r.state.Load() == inTask
		if busy && now == seen[i] {
			r.replace()
		}
		if busy || now != seen[i] {
			quiet = false
		}
		seen[i] = now
	}
	return quiet
}
