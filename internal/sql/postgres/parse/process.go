package parse

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// WorkerArgument is the only argument of a worker process. See [WorkerMain].
const WorkerArgument = "sql-parse-worker"

// process is one worker. All but kill and wait belong to whoever took it from
// the pool.
type process struct {
	proc *os.Process
	in   *os.File // requests
	out  *os.File // responses

	pause  time.Duration // how long its start was held back
	useful bool          // it has answered
}

// startProcess runs this program as a worker. The worker inherits its two pipe
// ends and the null device as standard error, nothing else; its environment is
// empty. It must be called on a thread that outlives the worker.
func startProcess() (_ *process, err error) {
	exe, err := executable()
	if err != nil {
		return nil, err
	}
	requestR, requestW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer requestR.Close()
	responseR, responseW, err := os.Pipe()
	if err != nil {
		requestW.Close()
		return nil, err
	}
	defer responseW.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err == nil {
		defer null.Close()
		var proc *os.Process
		proc, err = os.StartProcess(exe, []string{"sallyport", WorkerArgument}, &os.ProcAttr{
			Dir:   "/",
			Env:   []string{}, // nil would be ours
			Files: []*os.File{requestR, responseW, null},
			Sys:   processAttributes(),
		})
		if err == nil {
			return &process{proc: proc, in: requestW, out: responseR}, nil
		}
	}
	requestW.Close()
	responseR.Close()
	return nil, fmt.Errorf("start %s: %w", exe, err)
}

// ready waits for the worker's first message.
func (w *process) ready() error {
	if err := w.out.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	var buf [responseHeader]byte
	kind, _, err := readResponse(w.out, buf[:], 0)
	if err == nil && kind != responseReady {
		err = errFrame
	}
	return err
}

// exchange sends a text and reads the answer. buf is scratch; the payload may lie
// in it. Any error leaves the worker unusable.
func (w *process) exchange(buf []byte, text string, deadline time.Duration, limit int) (responseKind, []byte, error) {
	at := time.Now().Add(deadline)
	if err := w.in.SetWriteDeadline(at); err != nil {
		return 0, nil, errNotSent
	}
	if err := w.out.SetReadDeadline(at); err != nil {
		return 0, nil, errNotSent
	}
	if _, err := w.in.Write(appendRequest(buf[:0], text)); err != nil {
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
			return 0, nil, errNotSent
		}
		return 0, nil, err
	}
	return readResponse(w.out, buf, limit)
}

// kill ends the worker and closes its pipes. It may be called more than once
// and from any goroutine.
func (w *process) kill() {
	_ = w.proc.Kill()
	_ = w.in.Close()
	_ = w.out.Close()
}

// wait waits for the end of the worker, so that it does not stay as a zombie.
func (w *process) wait() error {
	_, err := w.proc.Wait()
	return err
}
