package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// stopPatience is how long a stopping server may take before it is killed.
const stopPatience = 15 * time.Second

// process is a running postgres.
type process struct {
	cmd *exec.Cmd
	// done is closed when the process has ended; err is set before.
	done chan struct{}
	err  error
}

// startProcess starts postgres and returns once it runs. One goroutine, tied to
// one thread until the process ends, starts it and waits for it: Linux sends the
// parent-death signal when the starting thread ends.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	return p, nil
}

// stop sends the signal and waits; a server that does not heed it is killed.
func (p *process) stop(signal os.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(signal); err != nil {
		<-p.done
		return nil
	}
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-p.done:
		return nil
	case <-patience.C:
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
	return fmt.Errorf("stop postgres: still running %v after %v; killed", stopPatience, signal)
}
