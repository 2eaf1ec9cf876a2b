//go:build cgo && unix && !linux

package parse

import "syscall"

// confine turns core dumps off. Other limits are set on Linux only, where the
// gateway is meant to run.
func confine() error {
	return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}
