package ssh_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// transfer runs scp or sftp of OpenSSH through the gateway.
func (b *bed) transfer(t *testing.T, program string, stdin string, args ...string) (string, error) {
	t.Helper()
	// -p and -l of ssh are -P and User of the others.
	common := []string{"-F", "none", "-P", b.through[3], "-o", "User=bench"}
	for i := 6; i < len(b.through)-1; i++ {
		common = append(common, b.through[i])
	}
	cmd := exec.Command(program, append(append([]string{"-i", b.through[1]}, common...), args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestFilesMoveBothWaysInEveryProtocol(t *testing.T) {
	b := newBed(t)
	local := t.TempDir()
	content := make([]byte, 3<<20)
	_, _ = rand.Read(content)
	from := filepath.Join(local, "from")
	if err := os.WriteFile(from, content, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"scp over SFTP": {"-s"}, "scp of old": {"-O"}} {
		remote := filepath.Join(b.folder, strings.ReplaceAll(name, " ", "-"))
		if out, err := b.transfer(t, "scp", "", append(args, "-q", from, "127.0.0.1:"+remote)...); err != nil {
			t.Fatalf("%s up: %v: %s", name, err, out)
		}
		back := filepath.Join(local, "back-"+filepath.Base(remote))
		if out, err := b.transfer(t, "scp", "", append(args, "-q", "127.0.0.1:"+remote, back)...); err != nil {
			t.Fatalf("%s down: %v: %s", name, err, out)
		}
		for _, file := range []string{remote, back} {
			if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %s has other content (%v)", name, file, err)
			}
		}
	}
	batch := "put " + from + " " + b.folder + "/put\nls -l " + b.folder + "\nget " + b.folder + "/put " + local + "/got\nrename " +
		b.folder + "/put " + b.folder + "/moved\nrm " + b.folder + "/moved\n"
	if out, err := b.transfer(t, "sftp", batch, "-b", "-", "127.0.0.1"); err != nil {
		t.Fatalf("sftp: %v: %s", err, out)
	}
	if got, err := os.ReadFile(filepath.Join(local, "got")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("sftp: other content (%v)", err)
	}
	if _, err := os.Lstat(b.folder + "/moved"); err == nil {
		t.Error("sftp: the file was not removed")
	}
}

func TestLabelledFilesDoNotMove(t *testing.T) {
	b := newBed(t)
	secret := filepath.Join(b.folder, "private")
	if err := os.MkdirAll(secret, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(secret, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret+"/key", []byte("CANARY-5b7e"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, link := range map[string]error{"soft": os.Symlink(secret+"/key", b.folder+"/soft"), "hard": os.Link(secret+"/key", b.folder+"/hard"), "dir": os.Symlink(secret, b.folder+"/dir")} {
		if link != nil {
			t.Fatal(name, link)
		}
	}
	b.stage.mu.Lock()
	b.stage.target.Marks = map[string][]string{"secret": {secret}}
	b.stage.mu.Unlock()
	for _, path := range []string{secret + "/key", b.folder + "/soft", b.folder + "/hard", b.folder + "/dir/key", b.folder + "/dir/../private/key"} {
		for _, mode := range []string{"-s", "-O"} {
			to := filepath.Join(t.TempDir(), "stolen")
			out, err := b.transfer(t, "scp", "", mode, "127.0.0.1:"+path, to)
			if got, _ := os.ReadFile(to); err == nil || bytes.Contains(got, []byte("CANARY")) || strings.Contains(out, "CANARY") {
				t.Errorf("scp %s %s: %v: %s: got %q", mode, path, err, out, got)
			}
			if !strings.Contains(out, `labelled "secret"`) {
				t.Errorf("scp %s %s does not say why: %s", mode, path, out)
			}
		}
	}
	batch := "-get " + secret + "/key /dev/null\n-rename " + secret + " " + b.folder + "/open\n-rename " + secret + "/key " + b.folder + "/free\n-ln " +
		secret + "/key " + b.folder + "/third\n-put /etc/hostname " + secret + "/new\n-rm " + b.folder + "/hard\n-chmod 777 " + b.folder + "/soft\n"
	out, err := b.transfer(t, "sftp", batch, "-b", "-", "127.0.0.1")
	if err != nil {
		t.Fatalf("sftp: %v: %s", err, out)
	}
	for _, made := range []string{"open", "free", "third", "private/new"} {
		if _, err := os.Lstat(filepath.Join(b.folder, made)); err == nil {
			t.Errorf("sftp made %s: %s", made, out)
		}
	}
	if _, err := os.Lstat(b.folder + "/hard"); err != nil {
		t.Errorf("sftp removed another name of a labelled file: %s", out)
	}
}
