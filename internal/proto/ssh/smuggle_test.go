package ssh_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/sftp"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
)

// tree makes files for an arena's account: names that end in a slash are directories,
// the text of others that begins with -> is that of a link.
func (a *arena) tree(files ...[2]string) {
	a.t.Helper()
	for _, f := range files {
		name := filepath.Join(a.folder, f[0])
		to, link := strings.CutPrefix(f[1], "->")
		var err error
		switch {
		case strings.HasSuffix(f[0], "/"):
			err = errors.Join(os.MkdirAll(name, 0o777), os.Chmod(name, 0o777))
		case link:
			err = os.Symlink(to, name)
		default:
			err = errors.Join(os.WriteFile(name, []byte(f[1]), 0o666), os.Chmod(name, 0o666))
		}
		if err != nil {
			a.t.Fatal(err)
		}
	}
}

func (a *arena) sftp() *sftp.Client {
	a.t.Helper()
	c, err := sftp.NewClient(a.dial())
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestALabelIsNotTakenOffByRenamingWhatLeadsToIt(t *testing.T) {
	a := newArena(t, "", "")
	a.tree([2]string{"releases/", ""}, [2]string{"releases/5/", ""}, [2]string{"releases/5/keys", "CANARY-3"},
		[2]string{"current", "->releases/5"}, [2]string{"plain", "text"}, [2]string{"other/", ""}, [2]string{"done", "text"})
	a.set(func() {
		a.target.Marks = map[string][]string{"secret": {a.folder + "/current/keys"}}
	})
	c := a.sftp()
	in := func(name string) string { return filepath.Join(a.folder, name) }
	for name, err := range map[string]error{
		"the real directory":              c.Rename(in("releases/5"), in("releases/6")),
		"the real directory, over others": c.PosixRename(in("releases/5"), in("releases/6")),
		"a directory above":               c.Rename(in("releases"), in("old")),
		"a link on the way":               c.Rename(in("current"), in("old")),
		"a link on the way, over others":  c.PosixRename(in("current"), in("old")),
		"a link on the way, replaced":     c.PosixRename(in("plain"), in("current")),
	} {
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"releases/6/keys", "old/keys", "releases/5/keys", "current/keys"} {
		if f, err := c.Open(in(name)); err == nil {
			_ = f.Close()
			t.Errorf("%s can be opened", name)
		}
	}
	// Below a file lies nothing, whatever the patterns say.
	a.set(func() { a.target.Marks = map[string][]string{"secret": {a.folder + "/*/token"}} })
	c = a.sftp()
	if err := errors.Join(c.Rename(in("plain"), in("moved")), c.Remove(in("done"))); err != nil {
		t.Error(err)
	}
}

func TestNothingIsWrittenThroughALinkAboveALabelledPlace(t *testing.T) {
	a := newArena(t, "", "")
	a.tree([2]string{"data/", ""}, [2]string{"data/keys/", ""}, [2]string{"data/keys/token", "CANARY-7"}, [2]string{"link", "->data"},
		[2]string{"mine/", ""}, [2]string{"mine/keys/", ""}, [2]string{"mine/keys/token", "mine"}, [2]string{"free/", ""}, [2]string{"way", "->free"})
	if out, err := exec.Command("tar", "-C", a.folder+"/mine", "-cf", a.folder+"/mine.tar", "keys").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a.set(func() { a.target.Marks = map[string][]string{"secret": {a.folder + "/data/keys"}} })
	c := a.dial()
	for _, to := range []string{"/link", "/link/", "/data"} {
		for _, line := range []string{"cp -r " + a.folder + "/mine/keys ", "tar -xf " + a.folder + "/mine.tar -C ", "mv " + a.folder + "/mine/keys "} {
			if got := command(t, c, line+a.folder+to); got.status != 77 || !strings.Contains(got.err, `labelled "secret"`) {
				t.Errorf("%s%s: %+v", line, to, got)
			}
		}
	}
	if b, err := os.ReadFile(a.folder + "/data/keys/token"); err != nil || string(b) != "CANARY-7" {
		t.Errorf("%q, %v", b, err)
	}
	for _, line := range []string{"cp -r " + a.folder + "/mine/keys ", "tar -xf " + a.folder + "/mine.tar -C "} {
		if got := command(t, c, line+a.folder+"/way"); got.status != 0 {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func TestTarDoesNotWriteThroughALinkBelowItsFolder(t *testing.T) {
	a := newArena(t, "", "")
	a.tree([2]string{"data/", ""}, [2]string{"data/keys/", ""}, [2]string{"data/keys/token", "CANARY-8"}, [2]string{"in/", ""},
		[2]string{"in/sub", "->../data"}, [2]string{"mine/", ""}, [2]string{"mine/sub/", ""}, [2]string{"mine/sub/keys/", ""},
		[2]string{"mine/sub/keys/token", "mine"}, [2]string{"free/", ""})
	if out, err := exec.Command("tar", "-C", a.folder+"/mine", "-cf", a.folder+"/mine.tar", "sub/keys/token").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a.set(func() { a.target.Marks = map[string][]string{"secret": {a.folder + "/data/keys"}} })
	c := a.dial()
	if got := command(t, c, "tar -xf "+a.folder+"/mine.tar -C "+a.folder+"/in"); got.status != 77 {
		t.Errorf("%+v", got)
	}
	if b, err := os.ReadFile(a.folder + "/data/keys/token"); err != nil || string(b) != "CANARY-8" {
		t.Errorf("%q, %v", b, err)
	}
	if got := command(t, c, "tar -xf "+a.folder+"/mine.tar -C "+a.folder+"/free"); got.status != 0 {
		t.Errorf("%+v", got)
	}
}

func TestASlashBehindAFileDoesNotHideWhatItIs(t *testing.T) {
	a := newArena(t, "", "")
	a.tree([2]string{"private/", ""}, [2]string{"private/key", "CANARY-4"})
	if err := os.Link(a.folder+"/private/key", a.folder+"/hard"); err != nil {
		t.Fatal(err)
	}
	a.set(func() { a.target.Marks = map[string][]string{"secret": {a.folder + "/private"}} })
	c := a.sftp()
	for name, err := range map[string]error{
		"remove": c.Remove(a.folder + "/hard/"), "rename": c.Rename(a.folder+"/hard/", a.folder+"/free"),
		"link": c.Link(a.folder+"/hard/", a.folder+"/free"), "truncate": c.Truncate(a.folder+"/hard/", 0),
	} {
		if err == nil {
			t.Errorf("%s was done", name)
		}
	}
	if b, err := os.ReadFile(a.folder + "/hard"); err != nil || string(b) != "CANARY-4" {
		t.Errorf("another name of a labelled file: %q, %v", b, err)
	}
}

// TestNothingIsToldOfALabelledPlace by looking at it: not even whether it is there.
func TestNothingIsToldOfALabelledPlace(t *testing.T) {
	a := newArena(t, "", "")
	a.tree([2]string{"private/", ""}, [2]string{"private/lock", "->CANARY-5"}, [2]string{"private/key", "CANARY-6"}, [2]string{"open", "->plain"}, [2]string{"in", "->private/key"})
	a.set(func() { a.target.Marks = map[string][]string{"secret": {a.folder + "/private"}} })
	c := a.sftp()
	look := map[string]func(string) (any, error){
		"stat":     func(path string) (any, error) { return c.Stat(path) },
		"lstat":    func(path string) (any, error) { return c.Lstat(path) },
		"realpath": func(path string) (any, error) { return c.RealPath(path) },
		"readlink": func(path string) (any, error) { return c.ReadLink(path) },
	}
	for operation, f := range look {
		for _, name := range []string{"private/lock", "private/key", "private/absent", "private/key/.", "private"} {
			if told, err := f(a.folder + "/" + name); !errors.Is(err, os.ErrPermission) {
				t.Errorf("%s %s: %v, %v", operation, name, told, err)
			}
		}
	}
	for _, operation := range []string{"stat", "realpath"} {
		if told, err := look[operation](a.folder + "/in"); err == nil {
			t.Errorf("%s through a link: %v", operation, told)
		}
	}
	if text, err := c.ReadLink(a.folder + "/open"); err != nil || text != "plain" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := c.Lstat(a.folder + "/in"); err != nil {
		t.Errorf("a link that leads there: %v", err)
	}
}

func TestANameThatCannotBeJudgedIsRefusedWithTheReason(t *testing.T) {
	b := newBed(t)
	b.stage.mu.Lock()
	b.stage.target.Marks = map[string][]string{"secret": {b.folder + "/private"}}
	b.stage.mu.Unlock()
	local := filepath.Join(t.TempDir(), "caf\xe9")
	if err := os.WriteFile(local, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"-s", "-O"} {
		out, err := b.transfer(t, "scp", "", mode, local, "127.0.0.1:"+b.folder+"/")
		if err == nil || !strings.Contains(out, "bytes of UTF-8") {
			t.Errorf("scp %s: %v: %s", mode, err, out)
		}
	}
}

func TestRsyncDoesWhatItsWordsWereReadAs(t *testing.T) {
	a := newArena(t, "", "")
	a.tree([2]string{"in/", ""})
	a.set(func() {
		a.verdict = func(cmd *gate.Command) gate.Verdict {
			if f, ok := cmd.Facts.(*ssh.Facts); ok && f.Operation == "read" {
				return gate.Verdict{Decision: gate.Allow, Rule: "arena/reads"}
			}
			return gate.Verdict{Decision: gate.Block, Rule: "arena/writes"}
		}
	})
	c := a.dial()
	for _, line := range []string{
		"rsync --server -e --sender . " + a.folder + "/in",
		"rsync --server -vlogDtpre --sender . " + a.folder + "/in",
		"rsync --server --sender - . " + a.folder + "/in",
	} {
		if got := command(t, c, line); got.status != 77 {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func TestRsyncDoesNotWriteThroughALinkAboveALabelledPlace(t *testing.T) {
	if _, err := exec.LookPath("rsync"); err != nil {
		t.Fatal("rsync is needed: ", err)
	}
	b := newBed(t)
	data, local := b.folder+"/data", t.TempDir()
	for _, d := range []string{data, data + "/keys"} {
		if err := errors.Join(os.Mkdir(d, 0o777), os.Chmod(d, 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	key := data + "/keys/token"
	if err := errors.Join(os.WriteFile(key, []byte("CANARY-6"), 0o666), os.Chmod(key, 0o666), os.Symlink("data", b.folder+"/link"),
		os.Mkdir(local+"/keys", 0o755), os.WriteFile(local+"/keys/token", []byte("mine"), 0o644), os.WriteFile(local+"/plain", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	b.stage.mu.Lock()
	b.stage.target.Marks = map[string][]string{"secret": {data + "/keys"}}
	b.stage.mu.Unlock()
	over := "ssh " + strings.Join(b.through[:len(b.through)-1], " ")
	for _, args := range [][]string{{"-r"}, {"-r", "--delete"}, {"-a", "--ignore-times"}} {
		for _, to := range []string{"/link", "/link/", "/link/.", "/data"} {
			out, err := exec.Command("rsync", append(args, "-e", over, local+"/", "127.0.0.1:"+b.folder+to)...).CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte(`labelled "secret"`)) {
				t.Errorf("rsync %v to %s: %v: %s", args, to, err, out)
			}
		}
	}
	if got, err := os.ReadFile(key); err != nil || string(got) != "CANARY-6" {
		t.Errorf("%q, %v", got, err)
	}
	// A link to a directory with nothing labelled in it is as good as the directory.
	if err := errors.Join(os.Mkdir(b.folder+"/free", 0o777), os.Chmod(b.folder+"/free", 0o777), os.Symlink("free", b.folder+"/way")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("rsync", "-r", "-e", over, local+"/", "127.0.0.1:"+b.folder+"/way").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(b.folder + "/free/plain"); err != nil {
		t.Error(err)
	}
}
