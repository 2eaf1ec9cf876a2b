package scp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/sftp"
)

const (
	// window is how many requests are under way when a file is carried.
	window = 32
	// chunk is how much of a file one request carries. With the rest of the request, a
	// handle of 256 bytes at most in it, it fits one packet of an SSH channel.
	chunk = 32<<10 - 512
	// backlog is how much is read and written at once.
	backlog = 128 << 10
)

// packets holds answers with the content of files.
var packets = sync.Pool{New: func() any {
	b := make([]byte, 0, chunk+64)
	return &b
}}

// remote is a client of SFTP. Requests are answered in the order in which they
// were made, as OpenSSH's server does. It belongs to one goroutine; another one
// reads the answers.
type remote struct {
	to      *bufio.Writer
	next    uint32
	asked   []asked
	answers chan *[]byte
	ended   chan struct{} // closed when the reading goroutine ends
	endErr  error         // read after ended is closed
	scratch []byte
}

type asked struct {
	id uint32
	q  sftp.Request
}

// newRemote agrees on the version. What it starts ends when from does.
func newRemote(to io.Writer, from io.Reader, start func(func())) (*remote, error) {
	r := &remote{to: bufio.NewWriterSize(to, backlog), answers: make(chan *[]byte, window+1), ended: make(chan struct{})}
	start(func() { r.read(from) })
	if _, err := r.to.Write(sftp.AppendInit(nil)); err != nil {
		return nil, fmt.Errorf("scp: write: %w", err)
	}
	packet, err := r.packet()
	if err != nil {
		return nil, err
	}
	_, _, err = sftp.DecodeVersion(*packet)
	return r, err
}

// read takes answers as they come, so that a relay that has something to say is
// never blocked by requests that are not written yet.
func (r *remote) read(from io.Reader) {
	defer close(r.ended)
	in := sftp.NewReader(from)
	defer in.Close()
	for {
		packet, err := in.Next()
		if err != nil {
			r.endErr = err
			return
		}
		b := packets.Get().(*[]byte)
		*b = append((*b)[:0], packet...)
		select {
		case r.answers <- b:
		default:
			r.endErr = errors.New("scp: answers that nobody waits for")
			return
		}
	}
}

// packet waits for an answer, and has what was asked for sent before.
func (r *remote) packet() (*[]byte, error) {
	select {
	case b := <-r.answers:
		return b, nil
	default:
	}
	if err := r.flush(); err != nil {
		return nil, err
	}
	select {
	case b := <-r.answers:
		return b, nil
	case <-r.ended:
	}
	select {
	case b := <-r.answers: // what came before the end
		return b, nil
	default:
		return nil, fmt.Errorf("scp: server: %w", r.endErr)
	}
}

// send makes a request, which goes out when an answer is waited for or with flush;
// full says that an answer must be taken first.
func (r *remote) send(q sftp.Request) error {
	r.next++
	r.scratch = sftp.AppendRequest(r.scratch, r.next, q)
	if _, err := r.to.Write(r.scratch); err != nil {
		return fmt.Errorf("scp: write: %w", err)
	}
	r.asked = append(r.asked, asked{r.next, q})
	return nil
}

func (r *remote) flush() error {
	if err := r.to.Flush(); err != nil {
		return fmt.Errorf("scp: write: %w", err)
	}
	return nil
}

func (r *remote) full() bool { return len(r.asked) >= window }

// receive takes the answer to the oldest request. It aliases the packet, which
// the caller gives back with packets.Put when it is done with the answer.
func (r *remote) receive() (sftp.Response, *[]byte, error) {
	oldest := r.asked[0]
	r.asked = r.asked[:copy(r.asked, r.asked[1:])]
	packet, err := r.packet()
	if err != nil {
		return nil, nil, err
	}
	id, answer, err := sftp.DecodeResponse(*packet, oldest.q)
	if err != nil {
		return nil, nil, err
	}
	if id != oldest.id {
		return nil, nil, errors.New("scp: the server answers out of order")
	}
	return answer, packet, nil
}

// do makes a request while none is under way and takes its answer, which may be
// kept.
func (r *remote) do(q sftp.Request) (sftp.Response, error) {
	if err := r.send(q); err != nil {
		return nil, err
	}
	answer, _, err := r.receive()
	return answer, err
}

// failure is a refusal of the server or of the policy; nil if the answer is none.
func failure(answer sftp.Response) *sftp.Status {
	if s, ok := answer.(*sftp.Status); ok && s.Code != sftp.OK {
		return s
	}
	return nil
}
