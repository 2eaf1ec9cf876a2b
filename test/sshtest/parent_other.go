//go:build !linux

package sshtest

import "os/exec"

// dieWithParent does nothing: only Linux tells a process of its parent's death.
func dieWithParent(*exec.Cmd) {}
