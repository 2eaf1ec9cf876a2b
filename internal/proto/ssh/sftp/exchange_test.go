package sftp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// exchange runs an operation that is allowed, and swaps what it names once it
// has been judged and before it is performed.
func exchange(t *testing.T, swap func(dir string) error, ops func(dir string) []Request, check func(t *testing.T, dir string)) {
	t.Helper()
	for i, n := 0, len(ops("")); i < n; i++ {
		dir := tempDir(t)
		put(t, dir+"/secret/token", []byte("CANARY"))
		put(t, dir+"/secret/sub/file", []byte("CANARY"))
		put(t, dir+"/pub/file", []byte("public"))
		put(t, dir+"/pub/sub/file", []byte("public"))
		q := ops(dir)[i]
		t.Run(fmt.Sprintf("%d/%T", i, q), func(t *testing.T) {
			p := &policy{secret: dir + "/secret"}
			swapped := false
			p.decide = func(*Command) error {
				if swapped {
					return nil
				}
				swapped = true
				return swap(dir)
			}
			c := dial(t, Config{Resolver: byInode{}}, p)
			r := c.do(q)
			switch r := r.(type) {
			case *Handle:
				t.Error("a handle of the exchanged file was given out")
			case *FileAttrs, *Name:
				t.Errorf("something of the exchanged file was told: %+v", r)
			}
			same(t, dir+"/secret/token", []byte("CANARY"))
			if check != nil {
				check(t, dir)
			}
			p.decide = nil
			c.want(&Stat{dir + "/pub"}, OK)
		})
	}
}

// byInode resolves as ByServer does and learns the inodes, as a resolver with
// a command on the host would.
type byInode struct{ ByServer }

func (b byInode) Resolve(ctx context.Context, h *Host, paths []Path) error {
	if err := b.ByServer.Resolve(ctx, h, paths); err != nil {
		return err
	}
	for i := range paths {
		var st unix.Stat_t
		if err := unix.Lstat(paths[i].Place.Real, &st); err == nil {
			paths[i].Place.Device, paths[i].Place.Inode = st.Dev, st.Ino
		}
	}
	return nil
}

func TestASymlinkSwappedInBeforeTheOpenIsRefused(t *testing.T) {
	exchange(t, func(dir string) error {
		return errors.Join(os.Remove(dir+"/pub/file"), os.Symlink(dir+"/secret/token", dir+"/pub/file"))
	}, func(dir string) []Request {
		return []Request{
			&Open{Path: dir + "/pub/file", Flags: FlagRead},
			&Open{Path: dir + "/pub/file", Flags: FlagWrite},
			&Open{Path: dir + "/pub/file", Flags: FlagWrite | FlagTrunc},
			&Open{Path: dir + "/pub/file", Flags: FlagWrite | FlagCreate | FlagTrunc},
			&Open{Path: dir + "/pub/file", Flags: FlagWrite | FlagAppend},
			&Setstat{dir + "/pub/file", Attrs{HasMode: true, Mode: 0o777}},
			&Setstat{dir + "/pub/file", Attrs{HasSize: true, Size: 1}},
			&Stat{dir + "/pub/file"},
		}
	}, func(t *testing.T, dir string) {
		if info, err := os.Stat(dir + "/secret/token"); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("the secret's mode: %v %v", info, err)
		}
	})
}

func TestAHardLinkSwappedInBeforeTheOpenIsRefused(t *testing.T) {
	exchange(t, func(dir string) error {
		return errors.Join(os.Remove(dir+"/pub/file"), os.Link(dir+"/secret/token", dir+"/pub/file"))
	}, func(dir string) []Request {
		return []Request{
			&Open{Path: dir + "/pub/file", Flags: FlagRead},
			&Open{Path: dir + "/pub/file", Flags: FlagWrite | FlagCreate | FlagTrunc},
			&Setstat{dir + "/pub/file", Attrs{HasMode: true, Mode: 0o777}},
			&Setstat{dir + "/pub/file", Attrs{HasSize: true, Size: 1}},
		}
	}, func(t *testing.T, dir string) {
		if info, err := os.Stat(dir + "/secret/token"); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("the secret's mode: %v %v", info, err)
		}
	})
}

func TestARenamedSecretSwappedInBeforeTheOpenIsRefused(t *testing.T) {
	exchange(t, func(dir string) error {
		return errors.Join(os.Link(dir+"/secret/token", dir+"/keep"), os.Rename(dir+"/keep", dir+"/pub/file"))
	}, func(dir string) []Request {
		return []Request{&Open{Path: dir + "/pub/file", Flags: FlagRead}}
	}, nil)
}

func TestADirectorySwappedForALinkToTheSecretIsRefused(t *testing.T) {
	exchange(t, func(dir string) error {
		return errors.Join(os.Rename(dir+"/pub/sub", dir+"/pub/old"), os.Symlink(dir+"/secret/sub", dir+"/pub/sub"))
	}, func(dir string) []Request {
		name := dir + "/pub/sub/file"
		return []Request{
			&Open{Path: name, Flags: FlagRead}, &Open{Path: name, Flags: FlagWrite | FlagTrunc | FlagCreate},
			&Open{Path: dir + "/pub/sub/new", Flags: FlagWrite | FlagCreate}, &Opendir{dir + "/pub/sub"},
			&Remove{name}, &Rename{name, dir + "/pub/taken"}, &PosixRename{name, dir + "/pub/taken"},
			&PosixRename{dir + "/pub/file", name}, &Rename{dir + "/pub/file", dir + "/pub/sub/new"},
			&Hardlink{name, dir + "/pub/taken"}, &Hardlink{dir + "/pub/file", dir + "/pub/sub/new"},
			&Mkdir{dir + "/pub/sub/new", Attrs{}}, &Symlink{"x", dir + "/pub/sub/new"},
			&Setstat{name, Attrs{HasMode: true, Mode: 0o777}}, &Lsetstat{name, Attrs{HasMode: true, Mode: 0o777}},
			&Stat{name}, &Lstat{name},
		}
	}, func(t *testing.T, dir string) {
		same(t, dir+"/secret/sub/file", []byte("CANARY"))
		if info, err := os.Stat(dir + "/secret/sub/file"); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("the secret's mode: %v %v", info, err)
		}
		entries, err := os.ReadDir(dir + "/secret/sub")
		if err != nil || len(entries) != 1 {
			t.Errorf("the secret directory holds %v %v", entries, err)
		}
		if _, err := os.Lstat(dir + "/pub/taken"); err == nil {
			t.Error("something was taken out of the secret directory")
		}
	})
}

func TestANewFileIsNeverMadeThroughALinkThatAppeared(t *testing.T) {
	dir := tempDir(t)
	put(t, dir+"/pub/file", nil)
	p := &policy{}
	p.decide = func(*Command) error { return os.Symlink(dir+"/elsewhere", dir+"/pub/new") }
	c := dial(t, Config{}, p)
	if code, _ := c.code(&Open{Path: dir + "/pub/new", Flags: FlagWrite | FlagCreate}); code == OK {
		t.Error("opened")
	}
	if _, err := os.Lstat(dir + "/elsewhere"); err == nil {
		t.Error("the file was made where the link leads")
	}
}

func TestARenameThatWasJudgedAsMakingANameReplacesNothing(t *testing.T) {
	dir := tempDir(t)
	put(t, dir+"/a", []byte("a"))
	p := &policy{}
	p.decide = func(c *Command) error {
		if got := c.Effects().String(); got != "write" {
			t.Errorf("effects %s, want write", got)
		}
		put(t, dir+"/b", []byte("b"))
		return nil
	}
	c := dial(t, Config{}, p)
	c.want(&PosixRename{dir + "/a", dir + "/b"}, Failure)
	same(t, dir+"/b", []byte("b"))
	p.decide = func(c *Command) error {
		if got := c.Effects().String(); got != "write,delete" {
			t.Errorf("effects %s, want write,delete", got)
		}
		return nil
	}
	c.want(&PosixRename{dir + "/a", dir + "/b"}, OK)
	same(t, dir+"/b", []byte("a"))
}

func TestAnotherFileUnderAJudgedNameIsNotRemovedOrRenamed(t *testing.T) {
	for i := range 4 {
		dir := tempDir(t)
		put(t, dir+"/judged", []byte("trash"))
		put(t, dir+"/precious", []byte("precious"))
		p := &policy{}
		p.decide = func(*Command) error { return os.Rename(dir+"/precious", dir+"/judged") }
		c := dial(t, Config{Resolver: byInode{}}, p)
		c.want([]Request{&Remove{dir + "/judged"}, &Rename{dir + "/judged", dir + "/x"}, &PosixRename{dir + "/judged", dir + "/x"},
			&Hardlink{dir + "/judged", dir + "/x"}}[i], PermissionDenied)
		same(t, dir+"/judged", []byte("precious"))
		if _, err := os.Lstat(dir + "/x"); err == nil {
			t.Error("renamed or linked")
		}
	}
}
