package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// openFiles is the limit of open files that the proxies get: two for each idle
// session and room.
const openFiles = 4*maxIdle + 1000

// child is a running proxy.
type child struct {
	cmd     *exec.Cmd
	logFile string
	ended   chan error
}

// startChild runs a proxy with its output in logFile. prepare may change the
// command before it starts.
func startChild(logFile string, prepare func(*exec.Cmd) error, name string, args ...string) (*child, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	// The shell raises the limit of open files and becomes the program.
	shell := append([]string{"-c", fmt.Sprintf(`ulimit -n %d 2>/dev/null; exec "$0" "$@"`, openFiles), name}, args...)
	cmd := exec.Command("/bin/sh", shell...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := prepare(cmd); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, logFile: logFile, ended: make(chan error, 1)}
	go func() { c.ended <- cmd.Wait() }()
	return c, nil
}

// withLog adds the end of the child's log to an error.
func (c *child) withLog(err error) error {
	text, readErr := os.ReadFile(c.logFile)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return fmt.Errorf("%w; its log ends with:\n%s", err, text[max(0, len(text)-3000):])
}

func (c *child) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		_ = c.cmd.Process.Kill()
		<-c.ended
		return fmt.Errorf("%s did not stop and was killed", c.cmd.Args[3])
	}
}
