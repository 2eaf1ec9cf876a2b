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

// process is a running sshd.
type process struct {
	cmd *exec.Cmd
	// done is closed when the process has ended; err is set before.
	done chan struct{}
	err  error
}

// startProcess starts sshd; what it prints goes to a file, since its sessions
// hold its standard output for as long as they live. One goroutine, tied to one thread until the process
// ends, starts it and waits for it: Linux sends the parent-death signal when the
// starting thread ends.
func startProcess(out *os.File, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	dieWithParent(p.cmd)
	started := make(chan error)
	go func() { // ends with the process
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// stop ends the listener and then the processes of its sessions, which would go
// on without it.
func (p *process) stop() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	sessions := Descendants(p.cmd.Process.Pid)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	var err error
	select {
	case <-p.done:
	case <-patience.C:
		_ = p.cmd.Process.Kill()
		<-p.done
		err = fmt.Errorf("sshd still ran %v after SIGTERM; killed", stopPatience)
	}
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
