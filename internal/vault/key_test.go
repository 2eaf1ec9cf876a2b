package vault_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/vault"
)

func TestMissingKeyFileIsMadeForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "key")
	old := syscall.Umask(0)
	k, err := vault.OpenKey("file:" + path)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("%v, %v", info, err)
	}
	if dir, err := os.Stat(filepath.Dir(path)); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", dir, err)
	}
	again, err := vault.OpenKey("file:" + path)
	if err != nil || again.ID() != k.ID() {
		t.Errorf("the key is another one when it is opened again: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestManyWhoMakeTheKeyAtOnceGetTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			k, err := vault.OpenKey("file:" + path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = k.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("ids differ: %v", ids)
		}
	}
}

func TestUnsafeKeyFileIsRefused(t *testing.T) {
	good := bytes.Repeat([]byte{7}, 32)
	for name, c := range map[string]struct {
		content []byte
		mode    os.FileMode
		says    string
	}{
		"group readable": {good, 0o640, "chmod 600"},
		"world readable": {good, 0o604, "chmod 600"},
		"group writable": {good, 0o620, "chmod 600"},
		"executable":     {good, 0o601, "chmod 600"},
		"empty":          {nil, 0o600, "0 bytes"},
		"short":          {good[:31], 0o600, "31 bytes"},
		"long":           {append(good[:32:32], 1), 0o600, "33 bytes"},
		"zeros":          {make([]byte, 32), 0o600, "zeros"},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, c.content, c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := vault.OpenKey("file:" + path); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, c.content) {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
	}
}

func TestKeyFileOfAnotherUserIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, -1); err != nil {
		t.Logf("this account cannot give files away (%v); nothing to see", err)
		return
	}
	if _, err := vault.OpenKey("file:" + path); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
		t.Error(err)
	}
}

func TestPipeOrFolderAsKeyIsRefusedWithoutBlocking(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, t.TempDir()} {
		if _, err := vault.OpenKey("file:" + path); err == nil || !strings.Contains(err.Error(), "regular") {
			t.Error(err)
		}
	}
}

func TestUnknownKeyLocationIsRefused(t *testing.T) {
	for _, location := range []string{"", "key", "file:", "vault://transit/x", "awskms://x"} {
		if _, err := vault.OpenKey(location); err == nil {
			t.Errorf("%q was taken", location)
		}
	}
}

func TestWrappedKeyOpensOnlyInItsContext(t *testing.T) {
	ctx := context.Background()
	k, err := vault.OpenKey("file:" + filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	key := bytes.Repeat([]byte{9}, 32)
	wrapped, id, err := k.Wrap(ctx, key, []byte("here"))
	if err != nil || bytes.Contains(wrapped, key) {
		t.Fatal(err)
	}
	if got, err := k.Unwrap(ctx, id, wrapped, []byte("here")); err != nil || !bytes.Equal(got, key) {
		t.Error(err)
	}
	if _, err := k.Unwrap(ctx, id, wrapped, []byte("there")); err == nil {
		t.Error("it opens elsewhere")
	}
	if _, err := k.Unwrap(ctx, "file:other", wrapped, []byte("here")); !errors.Is(err, vault.ErrWrongKey) {
		t.Error(err)
	}
}
