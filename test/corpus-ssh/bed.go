package sshcorpus

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The accounts of the cases: two shells, one uid and one home.
const (
	bashAccount = "shx"
	dashAccount = "shxd"
	accountUID  = 1777
	home        = "/home/shx"
)

// serverPrograms are what serves a session under the account's own uid.
var serverPrograms = []string{"/usr/sbin/sshd", "/usr/lib/openssh/sshd-session"}

// bed is the home folder that cases run in.
type bed struct {
	template string
	// fresh is the home as it was copied; nil before the first time.
	fresh snapshot
}

// snapshot is every file below the home folder, by path.
type snapshot map[string]fileState

// fileState is what tells that somebody touched a file, its content included: a
// write changes the time of change, which nobody can set.
type fileState struct {
	mode           uint32
	uid, gid       uint32
	size           int64
	modified       syscall.Timespec
	changed        syscall.Timespec
	inode, linksOf uint64
}

func stateOf(path string) (fileState, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return fileState{}, err
	}
	return fileState{mode: st.Mode, uid: st.Uid, gid: st.Gid, size: st.Size, modified: st.Mtim, changed: st.Ctim, inode: st.Ino, linksOf: uint64(st.Nlink)}, nil
}

func (s *fileState) isFolder() bool { return s.mode&syscall.S_IFMT == syscall.S_IFDIR }

// look takes a snapshot. The size of a folder and how many links it has say how
// it was filled, not what it holds.
func look() snapshot {
	found := snapshot{}
	_ = filepath.WalkDir(home, func(path string, _ fs.DirEntry, _ error) error { // what is gone meanwhile is missing
		if s, err := stateOf(path); err == nil {
			if s.isFolder() {
				s.size, s.linksOf = 0, 0
			}
			found[path] = s
		}
		return nil
	})
	return found
}

// difference lists the paths that differ. What git status refreshes by itself
// does not count: the index, and the times of the folder where its lock came and
// went.
func difference(a, b snapshot) []string {
	paths := maps.Clone(a)
	maps.Copy(paths, b)
	var out []string
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		x, inA := a[path]
		y, inB := b[path]
		if path == home+"/repo/.git/index" || inA && inB && x == y {
			continue
		}
		sameFolder := inA && inB && x.isFolder() && x.mode == y.mode && x.uid == y.uid && x.gid == y.gid
		if sameFolder && strings.HasSuffix(path, "/.git") {
			continue
		}
		out = append(out, path)
	}
	return out
}

// spool lists what the account has in the folders that everybody may write to.
func spool() []string {
	var out []string
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm", "/var/spool/cron/crontabs", "/var/spool/cron/atjobs", "/var/spool/cron/atspool", "/var/mail"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if s, err := stateOf(path); err == nil && (s.uid == accountUID || strings.HasPrefix(e.Name(), bashAccount+"-")) {
				out = append(out, path)
			}
		}
	}
	return out
}

// running is a process of the account.
type running struct {
	pid     int
	command string
}

// processes are those of the account but for the servers of its sessions.
func processes() []running {
	var out []running
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range folders {
		if !ofAccount(dir) {
			continue
		}
		text, err := os.ReadFile(dir + "/cmdline")
		if err != nil {
			continue // it ended meanwhile
		}
		command := string(bytes.ReplaceAll(text, []byte{0}, []byte(" ")))
		program, _ := os.Readlink(dir + "/exe")
		if slices.Contains(serverPrograms, program) && strings.HasPrefix(command, "sshd: "+bashAccount) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			out = append(out, running{pid, command})
		}
	}
	return out
}

// ofAccount says whether a process lives and has the account's uid as any of its
// uids (proc(5), status).
func ofAccount(dir string) bool {
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return false
	}
	is, lives := false, true
	for l := range strings.SplitSeq(string(status), "\n") {
		key, value, _ := strings.Cut(l, ":")
		switch fields := strings.Fields(value); {
		case key == "State":
			lives = len(fields) > 0 && fields[0] != "Z" && fields[0] != "X"
		case key == "Uid":
			is = slices.Contains(fields, strconv.Itoa(accountUID))
		}
	}
	return is && lives
}

// reset ends what the last case left and gives the home folder back its content.
func (b *bed) reset() error {
	if err := endProcesses(); err != nil {
		return err
	}
	for _, path := range spool() {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if b.fresh != nil && maps.Equal(look(), b.fresh) {
		return nil
	}
	entries, err := os.ReadDir(home)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(home, e.Name())); err != nil {
			return err
		}
	}
	// cp keeps times, owners and hard links, which the cases look at.
	if out, err := exec.Command("cp", "-a", b.template+"/.", home+"/").CombinedOutput(); err != nil {
		return fmt.Errorf("copy the template: %w: %s", err, out)
	}
	b.fresh = look()
	return nil
}

// endProcesses kills what runs as the account, also what is started meanwhile.
func endProcesses() error {
	const patience = 5 * time.Second
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; {
		left := processes()
		if len(left) == 0 {
			return nil
		}
		for _, p := range left {
			if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end %q: %w", p.command, err)
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes of a case still run: %q", left[0].command)
		}
		<-tick.C
	}
}
