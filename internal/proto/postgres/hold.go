package postgres

import (
	"fmt"
	"sync"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
)

// holding is a command that waits for a person.
type holding struct {
	withdrawn chan struct{}
	once      sync.Once
	watched   chan struct{} // closed when nobody reads from the client any more
	n         int           // bytes that the watcher read into the reader's small buffer
	err       error         // why the watcher stopped
}

func (h *holding) withdraw() { h.once.Do(func() { close(h.withdrawn) }) }

// startWait implements gate.Command.Wait: it tells the client, and watches for
// its leaving. What it sends meanwhile stays for later.
func (s *session) startWait(w gate.Held) {
	h := &holding{withdrawn: make(chan struct{}), watched: make(chan struct{})}
	s.cmd.Cancelled = h.withdrawn
	s.held.Store(h)
	reason := w.Reason
	if reason == "" {
		reason = "it needs approval"
	}
	f := &wire.Fault{Severity: "NOTICE", Code: "00000",
		Message: fmt.Sprintf("SALLYPORT held by rule %s: %s", w.Rule, reason),
		Detail:  fmt.Sprintf("request %s, waiting until %s for an approver: %s", w.Request, w.Until.UTC().Format(time.RFC3339), w.URL),
		Hint:    fmt.Sprintf("sallyport approvals approve %s", w.Request),
	}
	s.ans = f.Append(s.answers(), wire.NoticeResponse)
	if err := s.flush(); err != nil {
		h.withdraw()
		close(h.watched)
		return
	}
	go s.watch(h) // ends with endWait, which lets its read time out
}

// watch waits for the client to leave or to send more.
func (s *session) watch(h *holding) {
	defer close(h.watched)
	defer s.recovered()
	if s.in.buffered() > 0 {
		return // it already sent more; it is there
	}
	h.n, h.err = s.client.Read(s.in.small[:])
	left := h.err != nil && !timeout(h.err)
	if left || h.n > 0 && s.in.small[0] == wire.Terminate {
		h.withdraw()
	}
}

// endWait stops the watcher and takes over what it read.
func (s *session) endWait() error {
	h := s.held.Swap(nil)
	_ = s.client.SetReadDeadline(time.Unix(1, 0))
	<-h.watched
	_ = s.client.SetReadDeadline(time.Time{})
	if err := s.gate.Err(); err != nil { // End's own deadline may just have been lifted
		return err
	}
	s.in.put(s.in.small[:h.n])
	h.n = 0
	if h.err != nil && !timeout(h.err) {
		return s.clientError(h.err)
	}
	return nil
}
