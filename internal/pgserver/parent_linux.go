package pgserver

import "syscall"

// dieWithParent makes the kernel stop the server (immediate shutdown) when this
// process dies without stopping it, as a killed test does.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
