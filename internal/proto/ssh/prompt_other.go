//go:build !linux

package ssh

import "syscall"

// acknowledge does nothing: only Linux can be told when to acknowledge.
func acknowledge(syscall.RawConn) {}
