package sshproof_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tree makes a folder with the files that transfers trip over, and returns it.
func tree(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for name, content := range map[string]string{
		"plain.txt": "a line\n", "empty": "", "with space": "x", "grüße.txt": "ü", "-dash": "d", "sub/deep/er/leaf": "leaf\n",
		"sub/big": random(3<<20 + 17), "exe.sh": "#!/bin/sh\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o750
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		when := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// times are the times of change of the files below a folder.
func times(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintln(&b, strings.TrimPrefix(path, dir), info.ModTime().UTC())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSCPCopiesBothDirectionsInBothModes(t *testing.T) {
	for mode, flag := range map[string]string{"SFTP": "-s", "the old protocol": "-O"} {
		t.Run(mode, func(t *testing.T) {
			bothWays(t, func(t *testing.T, w *way, remote string) string {
				local := tree(t)
				back := t.TempDir()
				scp := func(args ...string) string {
					a := program(t, "", "scp", append([]string{"-q", "-F", w.config, flag}, args...)...)
					return fmt.Sprintf("exit %d %s%s\n", a.status, a.out, a.err)
				}
				host := w.host + ":" + remote
				said := scp(filepath.Join(local, "plain.txt"), host+"/renamed.txt")
				said += scp("-p", filepath.Join(local, "exe.sh"), filepath.Join(local, "with space"), filepath.Join(local, "grüße.txt"), host+"/")
				said += scp("-r", "-p", local, host+"/")
				said += scp(host+"/renamed.txt", filepath.Join(back, "one"))
				said += scp("-r", "-p", host+"/tree", back)
				said += scp(host+"/no-such-file", back)
				said += scp(filepath.Join(local, "plain.txt"), host+"/no/such/folder/")
				// The gateway serves the old protocol itself, in the words of SFTP.
				said = strings.NewReplacer(local, "LOCAL", "No such file or directory", "No such file").Replace(said)
				return said + listing(t, back) + times(t, filepath.Join(back, "tree")) + times(t, filepath.Join(remote, "tree"))
			})
		})
	}
}

func TestSFTPDoesTheSameBothWays(t *testing.T) {
	bothWays(t, func(t *testing.T, w *way, remote string) string {
		local := tree(t)
		back := t.TempDir()
		batch := filepath.Join(t.TempDir(), "batch")
		lines := []string{
			"cd " + remote, "pwd", "put " + local + "/plain.txt", "put -p " + local + "/exe.sh tool", "put -R " + local,
			"ls -1", "ls -1 tree/sub", "mkdir made", "rename plain.txt made/moved.txt", "ln -s moved.txt made/link", "ln made/moved.txt made/hard",
			"chmod 640 made/moved.txt", "get made/moved.txt " + back + "/one", "get -R tree " + back, "reget tree/sub/big " + back + "/tree/sub/big",
			"mkdir gone", "rmdir gone", "put " + local + "/empty gone", "rm gone", "-get no-such-file " + back, "-rm no-such-file", "-mkdir made",
			"-rename no-such-file other", "bye",
		}
		if err := os.WriteFile(batch, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		a := program(t, "", "sftp", "-q", "-F", w.config, "-b", batch, w.host)
		said := strings.NewReplacer(local, "LOCAL", back, "BACK").Replace(fmt.Sprintf("exit %d\n%s\n%s", a.status, a.out, a.err))
		return said + listing(t, back)
	})
}

func TestRsyncMirrorsBothDirections(t *testing.T) {
	bothWays(t, func(t *testing.T, w *way, remote string) string {
		local := tree(t)
		back := t.TempDir()
		rsync := func(args ...string) string {
			a := program(t, "", "rsync", append([]string{"-a", "-e", "ssh -F " + w.config}, args...)...)
			return fmt.Sprintf("exit %d %s%s\n", a.status, a.out, a.err)
		}
		said := rsync(local+"/", w.host+":"+remote+"/mirror/")
		if err := os.WriteFile(filepath.Join(local, "plain.txt"), []byte("another line\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		said += rsync("--checksum", local+"/", w.host+":"+remote+"/mirror/")
		said += rsync(w.host+":"+remote+"/mirror/", back)
		return said + listing(t, back) + times(t, filepath.Join(remote, "mirror/sub"))
	})
}
