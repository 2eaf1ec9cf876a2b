package ssh

import "syscall"

// acknowledge has the kernel acknowledge at once what has come in.
func acknowledge(socket syscall.RawConn) {
	_ = socket.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // no TCP socket: nothing to acknowledge
	})
}
