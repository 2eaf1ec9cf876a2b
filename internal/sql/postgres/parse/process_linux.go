package parse

import "syscall"

// executable is this very program, even if its file was replaced meanwhile.
func executable() (string, error) { return "/proc/self/exe", nil }

// processAttributes has the kernel end a worker with its parent.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
