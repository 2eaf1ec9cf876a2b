//go:build !linux

package parse

import (
	"os"
	"syscall"
)

func executable() (string, error) { return os.Executable() }

// processAttributes sets nothing: a worker ends when its request pipe closes.
func processAttributes() *syscall.SysProcAttr { return nil }
