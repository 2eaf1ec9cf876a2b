package ssh_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// A client of OpenSSH that has nothing more to send closes a channel at the end of its
// data, so what comes behind that end is not always heard.
func TestEveryExitIsHeardOnASharedConnection(t *testing.T) {
	b := newBed(t)
	socket := filepath.Join(t.TempDir(), "master")
	through := b.through[:len(b.through)-1]
	master := exec.Command("ssh", append(append([]string{"-o", "ControlMaster=yes", "-o", "ControlPath=" + socket}, through...), "-N", "127.0.0.1")...)
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = master.Process.Kill()
		_ = master.Wait()
	}()
	eventually(t, "the master answers", func() bool {
		return exec.Command("ssh", "-o", "ControlPath="+socket, "-O", "check", "host").Run() == nil
	})
	for i := range 100 {
		if out, err := exec.Command("ssh", "-o", "ControlPath="+socket, "host", "true").CombinedOutput(); err != nil {
			t.Fatalf("command %d: %v: %s", i, err, out)
		}
	}
}
