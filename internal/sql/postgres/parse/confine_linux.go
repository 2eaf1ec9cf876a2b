//go:build cgo

package parse

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// addressSpace is what a worker may map on top of what the Go runtime
	// reserves at its start: trees of the largest texts need some hundred MiB.
	addressSpace = 1 << 30
	// maxFiles is enough for the standard descriptors, the runtime's poller
	// and the pipe that libpg_query makes for every parse.
	maxFiles = 16
)

// confine gives up what a worker does not need: inherited descriptors, core dumps, written files, more
// memory, more descriptors, new privileges, and being read by other processes
// of the same user.
func confine() error {
	if err := closeInherited(); err != nil {
		return err
	}
	mapped, err := mappedBytes()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		resource int
		limit    uint64
	}{
		{unix.RLIMIT_AS, mapped + addressSpace},
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_NOFILE, maxFiles},
	} {
		if err := syscall.Setrlimit(l.resource, &syscall.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			return fmt.Errorf("limit %d: %w", l.resource, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// mappedBytes is the size of the address space now (proc(5), statm).
func mappedBytes() (uint64, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, _, _ := bytes.Cut(statm, []byte(" "))
	n, err := strconv.ParseUint(string(pages), 10, 64)
	return n * uint64(os.Getpagesize()), err
}

// closeInherited closes what the parent's own parent left open for all its
// descendants. What the Go runtime has opened here is marked close-on-exec,
// which nothing inherited can be.
func closeInherited() error {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range fds {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return err
		}
		if fd <= 2 {
			continue
		}
		// The descriptor that read the directory is gone by now.
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			if err := unix.Close(fd); err != nil {
				return err
			}
		}
	}
	return nil
}
