//go:build !linux

package record

// freeSpace is not known here; a full disk is met when it is written to.
func freeSpace(string) (int64, bool) { return 0, false }
