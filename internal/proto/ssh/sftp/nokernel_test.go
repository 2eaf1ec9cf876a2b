package sftp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// withoutProc starts a real server behind a filter to which /proc does not
// exist, as in a chroot or on a system without it.
func withoutProc(t *testing.T) (to io.WriteCloser, from io.Reader) {
	t.Helper()
	server := exec.Command(serverPath)
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Wait() })
	requests, toFilter := io.Pipe()
	go func() {
		defer in.Close()
		r := NewReader(requests)
		for {
			packet, err := r.Next()
			if err != nil {
				return
			}
			packet = bytes.ReplaceAll(packet, []byte("/proc/"), []byte("/none/"))
			if _, err := in.Write(append([]byte{0, 0, byte(len(packet) >> 8), byte(len(packet))}, packet...)); err != nil { //nolint:gosec // short
				return
			}
		}
	}()
	return toFilter, out
}

func TestWithoutProcNothingIsOpenedUnlessPathsAreAccepted(t *testing.T) {
	dir := tempDir(t)
	put(t, dir+"/f", []byte("x"))
	to, from := withoutProc(t)
	c := connect(t, Config{}, &policy{}, to, from)
	for _, q := range []Request{&Open{Path: dir + "/f", Flags: FlagRead}, &Opendir{dir}, &Open{Path: dir + "/n", Flags: FlagWrite | FlagCreate},
		&Remove{dir + "/f"}, &Mkdir{dir + "/d", Attrs{}}, &PosixRename{dir + "/f", dir + "/g"}, &Setstat{dir + "/f", Attrs{HasMode: true}}} {
		code, message := c.code(q)
		if code != PermissionDenied || !strings.Contains(message, "/proc is missing") {
			t.Errorf("%T: %d %q", q, code, message)
		}
	}
	same(t, dir+"/f", []byte("x"))
}

func TestPathsAloneStillShowAnExchange(t *testing.T) {
	dir := tempDir(t)
	put(t, dir+"/secret/token", []byte("CANARY"))
	put(t, dir+"/f", []byte("x"))
	to, from := withoutProc(t)
	p := &policy{secret: dir + "/secret"}
	c := connect(t, Config{PathOnly: true, Resolver: byInode{}}, p, to, from)
	h := bytes.Clone(c.open(dir+"/f", FlagRead))
	c.want(&Read{h, 0, 10}, OK)
	c.want(&Close{h}, OK)
	c.open(dir+"/new", FlagWrite|FlagCreate)
	c.want(&PosixRename{dir + "/new", dir + "/newer"}, OK)
	c.want(&Remove{dir + "/newer"}, OK)
	for _, swap := range []func() error{
		func() error { return os.Symlink(dir+"/secret/token", dir+"/f") },
		func() error { return os.Link(dir+"/secret/token", dir+"/f") },
	} {
		for _, q := range []Request{&Open{Path: dir + "/f", Flags: FlagRead}, &Open{Path: dir + "/f", Flags: FlagWrite | FlagTrunc},
			&Setstat{dir + "/f", Attrs{HasSize: true}}} {
			p.decide = func(*Command) error { return errors.Join(os.Remove(dir+"/f"), swap()) }
			if _, ok := c.do(q).(*Handle); ok {
				t.Errorf("%T: a handle of the exchanged file was given out", q)
			}
			p.decide = nil
			same(t, dir+"/secret/token", []byte("CANARY"))
			if err := os.Remove(dir + "/f"); err != nil {
				t.Fatal(err)
			}
			put(t, dir+"/f", []byte("x"))
		}
	}
}
