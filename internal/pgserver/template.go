package pgserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// initdbArguments make the template. The password is set after the first start.
var initdbArguments = [...]string{
	"--username=" + Superuser, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync",
}

// fillData makes dir a fresh data folder, by copying the template of this
// version, which initdb makes once. Without a place for templates, initdb makes
// the folder itself.
func fillData(ctx context.Context, p Programs, acct *account, dir string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return initdb(ctx, p, acct, dir)
	}
	cache = filepath.Join(cache, "sallyport", "postgres")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return initdb(ctx, p, acct, dir)
	}
	template := filepath.Join(cache, templateKey(p))
	if _, err := os.Stat(template); err != nil {
		if err := initdb(ctx, p, acct, dir); err != nil {
			return err
		}
		return keepTemplate(cache, template, dir)
	}
	return copyTree(template, dir, acct)
}

// templateKey names the template of a version and a way of making it.
func templateKey(p Programs) string {
	sum := sha256.Sum256([]byte(p.Dir + "\x00" + p.Version + "\x00" + strings.Join(initdbArguments[:], "\x00")))
	return hex.EncodeToString(sum[:12])
}

func initdb(ctx context.Context, p Programs, acct *account, dir string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(p.Dir, "initdb"), append(initdbArguments[:], "-D", dir)...)
	cmd.Dir = filepath.Dir(dir)
	cmd.Env = serverEnv()
	cmd.SysProcAttr = acct.attributes()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out.String())
	}
	return nil
}

// keepTemplate copies a fresh data folder into the cache. The copy takes its
// name in one step, so two processes may do this at the same time.
func keepTemplate(cache, template, dir string) error {
	building, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return fmt.Errorf("keep template: %w", err)
	}
	defer func() { _ = os.RemoveAll(building) }()
	made := filepath.Join(building, "data")
	if err := os.Mkdir(made, 0o700); err != nil {
		return fmt.Errorf("keep template: %w", err)
	}
	if err := copyTree(dir, made, nil); err != nil {
		return fmt.Errorf("keep template: %w", err)
	}
	if err := os.Rename(made, template); err != nil {
		if _, statErr := os.Stat(template); statErr == nil {
			return nil // another process was first
		}
		return fmt.Errorf("keep template: %w", err)
	}
	return nil
}

// copyTree copies the folders and files under from into the folder to. A fresh
// data folder has neither links nor devices, so meeting one is an error.
func copyTree(from, to string, acct *account) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case rel == ".":
			return nil
		case d.IsDir():
			err = os.Mkdir(target, 0o700)
		case d.Type().IsRegular():
			err = copyFile(path, target)
		default:
			return fmt.Errorf("copy %s: neither file nor folder", path)
		}
		if err != nil {
			return err
		}
		return acct.own(target)
	})
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	// The wrappers hide copy_file_range, which took three times as long as plain
	// reads and writes for a thousand small files.
	_, err = io.Copy(struct{ io.Writer }{out}, struct{ io.Reader }{in})
	return err
}

// serverEnv is the environment of the server's programs: nothing of the
// caller's but where programs are, so that no PG… variable reaches them.
func serverEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}
