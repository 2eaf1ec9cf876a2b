package sftp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// batch runs OpenSSH's sftp with commands through the relay and returns its
// output and what the relay saw.
func batch(t *testing.T, dir, secret, commands string) (out, log string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	logFile := filepath.Join(t.TempDir(), "log")
	cmd := exec.CommandContext(t.Context(), "sftp", "-b", "-", "-D", self)
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), relayVariable+"="+logFile, relayVariable+"_SECRET="+secret)
	cmd.Stdin = strings.NewReader(commands)
	b, err := cmd.CombinedOutput()
	seen, _ := os.ReadFile(logFile)
	return string(b), string(seen), err
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes differ from the %d expected", path, len(got), len(want))
	}
}

func digest(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// tempDir is a temporary directory by its real path.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOpenSSHClientDoesItsWorkThroughTheRelay(t *testing.T) {
	dir := tempDir(t)
	big, small := random(20<<20+7), []byte("hello\n")
	put(t, dir+"/local/big", big)
	put(t, dir+"/local/tree/a/b/c", small)
	put(t, dir+"/local/tree/d", small)
	out, log, err := batch(t, dir, "", strings.ReplaceAll(`
cd DIR
mkdir up
put local/big up/big
get up/big back
put -rp local/tree up/tree
get -rp up/tree tree2
ls -la up
rename up/big up/large
ln -s large up/link
ln up/large up/hard
chmod 600 up/large
get up/link throughlink
df up
df -h up
mkdir up/gone
rmdir up/gone
rm up/tree/d
pwd
ls up/tree/a/*
cp up/large up/copy
symlink /etc/passwd up/pw
put -f local/big up/synced
ls -l up/large
`, "DIR", dir))
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, log)
	}
	same(t, dir+"/up/large", big)
	same(t, dir+"/back", big)
	same(t, dir+"/throughlink", big)
	same(t, dir+"/up/hard", big)
	same(t, dir+"/up/copy", big)
	same(t, dir+"/up/synced", big)
	same(t, dir+"/tree2/a/b/c", small)
	if target, err := os.Readlink(dir + "/up/link"); err != nil || target != "large" {
		t.Errorf("link: %q %v", target, err)
	}
	if target, err := os.Readlink(dir + "/up/pw"); err != nil || target != "/etc/passwd" {
		t.Errorf("link: %q %v", target, err)
	}
	if _, err := os.Stat(dir + "/up/tree/d"); err == nil {
		t.Error("the removed file is still there")
	}
	if info, err := os.Stat(dir + "/up/large"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info, err)
	}
	for _, part := range []string{
		"closed " + dir + "/up/big down=0  up=20971527 " + digest(big) + " inorder=true/true closed=true",
		"closed " + dir + "/up/big down=20971527 " + digest(big),
		"judge sftp symlink to " + dir + "/up/link target " + dir + "/up/large (given as large) [write]",
		"[write]",
	} {
		if !strings.Contains(log, part) {
			t.Errorf("the relay did not see %q in\n%s", part, log)
		}
	}
	if strings.Contains(log, "refused") {
		t.Errorf("something was refused:\n%s", log)
	}
}

func TestOpenSSHClientResumes(t *testing.T) {
	dir := tempDir(t)
	big := random(5 << 20)
	put(t, dir+"/remote", big)
	put(t, dir+"/part", big[:1<<20])
	put(t, dir+"/whole", big)
	put(t, dir+"/remote2", big[:3<<20])
	out, log, err := batch(t, dir, "", "cd "+dir+"\nreget remote part\nreput whole remote2\n")
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, log)
	}
	same(t, dir+"/part", big)
	same(t, dir+"/remote2", big)
}

func TestOpenSSHClientSeesRefusalsAndGoesOn(t *testing.T) {
	dir := tempDir(t)
	put(t, dir+"/secret/token", []byte("CANARY"))
	put(t, dir+"/open", []byte("fine"))
	if err := os.Symlink("secret/token", dir+"/innocent"); err != nil {
		t.Fatal(err)
	}
	out, log, err := batch(t, dir, dir+"/secret", strings.ReplaceAll(`
-get DIR/secret/token stolen1
-get DIR/innocent stolen2
-get DIR/x/../secret/token stolen3
-rename DIR/secret/token DIR/moved
-rename DIR/open DIR/secret/token
-ln DIR/secret/token DIR/hard
-ln -s DIR/secret DIR/sym
-chmod 777 DIR/secret/token
-rm DIR/secret/token
-put open DIR/secret/new
-ls DIR/secret
get DIR/open fetched
`, "DIR", dir))
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, log)
	}
	same(t, dir+"/fetched", []byte("fine"))
	same(t, dir+"/secret/token", []byte("CANARY"))
	for _, name := range []string{"stolen1", "stolen2", "stolen3", "moved", "hard", "sym", "secret/new"} {
		if _, err := os.Lstat(dir + "/" + name); err == nil {
			t.Errorf("%s exists\n%s", name, log)
		}
	}
	if strings.Contains(out, "CANARY") {
		t.Error("the secret is in the output")
	}
}
