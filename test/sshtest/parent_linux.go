package sshtest

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel end the child when this process dies without
// stopping it, as a killed test does.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
