package sshtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopPatience is how long a stopping server may take before it is killed.
const stopPatience = 10 * time.Second

// Process is a child that ends with this process, also when this is killed.
type Process struct {
	cmd *exec.Cmd
	// done is closed when the child has ended; err is set before.
	done chan struct{}
	err  error
}

// StartProcess starts a child. Its output must be a file or nothing: what it starts
// itself may hold a pipe for longer than it lives. One goroutine, tied to one
// thread until the child ends, starts it and waits for it: Linux sends the
// parent-death signal when the starting thread ends.
func StartProcess(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	dieWithParent(cmd)
	started := make(chan error)
	go func() { // ends with the child
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
		return nil, err
	}
	return p, nil
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how the child ended, once Done is closed.
func (p *Process) Err() error { return p.err }

// Stop sends SIGTERM and waits; a child that does not heed it for a time is killed,
// which is an error. How it ended is no error.
func (p *Process) Stop(patience time.Duration) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("%s still ran %v after SIGTERM; killed", filepath.Base(p.cmd.Path), patience)
}

// stopAll ends a listening sshd and then the processes of its sessions, which would
// go on without it.
func (p *Process) stopAll() error {
	sessions := Descendants(p.PID())
	err := p.Stop(stopPatience)
	for _, pid := range sessions {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return err
}

// Descendants are the ids of the processes below one, as /proc has them now.
// Elsewhere than on Linux there are none.
func Descendants(root int) []int {
	children := map[int][]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		// The name of the program, in parentheses, may hold anything (proc(5)).
		after := text[bytes.LastIndexByte(text, ')')+1:]
		fields := strings.Fields(string(after))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	var found []int
	for next := children[root]; len(next) > 0; next = next[1:] {
		found = append(found, next[0])
		next = append(next, children[next[0]]...)
	}
	return found
}
