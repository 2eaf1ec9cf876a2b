//go:build amd64 || arm64

package loop

import (
	"syscall"
	"time"
	"unsafe"
)

// The calls below bypass the scheduler, which would otherwise be told before and
// after each. That is safe because none of them blocks for long: sockets here
// never block, and wait has a limit. It matters because a processor that the
// runtime's monitor takes away from a call costs the wake-up of two threads.

// Constants of the kernel that package syscall lacks (uapi/linux/socket.h,
// uapi/asm-generic/socket.h, uapi/asm-generic/poll.h).
const (
	msgMore     = 0x8000 // MSG_MORE
	pollinEvent = 0x1    // POLLIN
)

// readNow reads what a non-blocking socket has. b is not empty.
func readNow(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// writeNow writes what a non-blocking socket takes. b is not empty. more says that
// the rest of the same answer follows at once.
func writeNow(fd int, b []byte, more bool) (int, syscall.Errno) {
	flags := uintptr(syscall.MSG_NOSIGNAL)
	if more {
		flags |= msgMore
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// pollIn waits until a socket has as much as its SO_RCVLOWAT, or its end or an
// error, and no longer than the given time. The scheduler is told.
func pollIn(fd int, wait time.Duration) bool {
	p := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: pollinEvent} //nolint:gosec // descriptors are small
	t := syscall.NsecToTimespec(int64(max(0, wait)))
	n, _, _ := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
	return int(n) > 0
}

// waitShortly waits for events, for at most ms milliseconds, and keeps the
// processor meanwhile.
func waitShortly(epfd int, events []syscall.EpollEvent, ms int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(ms), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
