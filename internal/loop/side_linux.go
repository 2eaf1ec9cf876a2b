//go:build amd64 || arm64

package loop

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// What is known of one direction, and who waits for it.
const (
	ready    = 1 << iota // an event came that no call has answered yet
	gone                 // the peer has closed or reset it: every call has an answer
	waiting              // the task waits: whoever clears this resumes it
	sleeping             // another goroutine waits, or the task when it blocks freely
	closed               // by us
)

// side is one direction of a connection.
type side struct {
	conn  *Conn
	state atomic.Uint32
	// deadline is a distance; 0 is none, past is over.
	deadline atomic.Int64
	wakes    chan struct{} // for who sleeps; made by the first

	mu    sync.Mutex
	timer *time.Timer // guarded by mu
	fires int64       // guarded by mu; when the timer does; 0 if it does not
}

// past is a deadline that needs no look at the clock.
const past = 1

func (s *side) init(c *Conn) { s.conn = c }

func (s *side) set(bits uint32) { s.state.Or(bits) }

// clear takes the event and reports whether there was one.
func (s *side) clear() bool {
	old := s.state.Load()
	if old&ready != 0 {
		old = s.state.And(^uint32(ready))
	}
	return old&(ready|gone) != 0
}

// rouse adds bits and takes who waits: it wakes a sleeper, and returns the task
// for the caller to resume.
func (s *side) rouse(bits uint32) (t *task, woke bool) {
	for {
		old := s.state.Load()
		if !s.state.CompareAndSwap(old, (old|bits)&^(waiting|sleeping)) {
			continue
		}
		if old&sleeping != 0 {
			select {
			case s.wakes <- struct{}{}:
			default:
			}
		}
		if old&waiting != 0 {
			t = s.conn.task
		}
		return t, old&sleeping != 0
	}
}

// enter makes how one who waits, unless what it waits for is there.
func (s *side) enter(how uint32) bool {
	if s.deadline.Load() != 0 {
		s.arm()
	}
	for {
		old := s.state.Load()
		if old&(ready|closed) != 0 {
			return false
		}
		if s.state.CompareAndSwap(old, old|how) {
			break
		}
	}
	if !s.expired() {
		return true
	}
	// It ran out meanwhile: take the wait back, unless somebody else has.
	return s.state.And(^how)&how == 0
}

// wait returns when the direction may be ready, or its deadline may be over.
func (s *side) wait() error {
	if s.state.Load()&closed != 0 {
		return net.ErrClosed
	}
	if t := s.conn.task; !t.free {
		t.parked = s
		t.co.yield(struct{}{})
		return s.verdict()
	}
	if s.wakes == nil {
		s.wakes = make(chan struct{}, 1)
	}
	if s.enter(sleeping) {
		<-s.wakes
	}
	return s.verdict()
}

func (s *side) verdict() error {
	if s.state.Load()&closed != 0 {
		return net.ErrClosed
	}
	return nil
}

// bound sets the deadline, and lets one who waits see it.
func (s *side) bound(t time.Time) {
	at := int64(0)
	if !t.IsZero() {
		if at = s.distance(t); at <= s.distance(time.Now()) {
			at = past
		}
	}
	s.deadline.Store(at)
	switch {
	case at == past:
		s.stir()
	case at != 0 && s.state.Load()&(waiting|sleeping) != 0:
		s.arm()
	}
}

func (s *side) expired() bool {
	at := s.deadline.Load()
	return at == past || at != 0 && s.distance(time.Now()) >= at
}

// distance is how far a time is from the start of the poller, at least past.
func (s *side) distance(t time.Time) int64 {
	return max(past, int64(t.Sub(s.conn.task.poller.start)))
}

// arm lets the timer fire no later than the deadline. A timer that fires earlier
// is left alone: most deadlines are moved long before they matter.
func (s *side) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.deadline.Load()
	if at == 0 || s.fires != 0 && s.fires <= at {
		return
	}
	wait := time.Duration(at - s.distance(time.Now()))
	s.fires = at
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.fire)
		return
	}
	s.timer.Reset(wait)
}

func (s *side) fire() {
	s.mu.Lock()
	s.fires = 0
	s.mu.Unlock()
	switch {
	case s.expired():
		s.stir()
	case s.state.Load()&(waiting|sleeping) != 0:
		s.arm()
	}
}

// stir lets who waits look again.
func (s *side) stir() {
	if t, _ := s.rouse(0); t != nil {
		t.wake()
	}
}

func (s *side) close() {
	s.deadline.Store(0)
	if t, _ := s.rouse(closed); t != nil {
		t.wake()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}
