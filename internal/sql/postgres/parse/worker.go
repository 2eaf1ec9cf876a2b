package parse

import "os"

// WorkerMain turns the process into a worker and does not return if the process
// was started as one, with [WorkerArgument] as its only argument. Otherwise it
// returns at once. Call it first in main and in TestMain of programs that use
// [Pool].
func WorkerMain() {
	if len(os.Args) != 2 || os.Args[1] != WorkerArgument {
		return
	}
	os.Exit(work())
}
