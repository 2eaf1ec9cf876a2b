package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNotInstalled means that the machine has no PostgreSQL server programs.
var ErrNotInstalled = errors.New("PostgreSQL server programs (initdb, postgres) not found: " +
	"install the package \"postgresql\" (Debian, Ubuntu: apt-get install postgresql; or run scripts/install-deps)")

// Programs are the PostgreSQL programs of one version.
type Programs struct {
	// Dir is the folder that holds initdb, postgres and, usually, pgbench.
	Dir string
	// Version is what `postgres --version` says, such as
	// "postgres (PostgreSQL) 15.18".
	Version string
}

// binVariable is an environment variable that names the folder of the programs of
// one release, for a test of another one than the newest.
const binVariable = "PGBIN"

// Find returns the PostgreSQL server programs in the folder that PGBIN names, or
// else the newest of this machine: it looks in Debian's and other usual folders
// first and in PATH last. Without any, the error is [ErrNotInstalled].
func Find() (Programs, error) {
	for _, dir := range candidates() {
		if !executable(filepath.Join(dir, "initdb")) || !executable(filepath.Join(dir, "postgres")) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
		cancel()
		if err != nil {
			return Programs{}, fmt.Errorf("ask %s for its version: %w", filepath.Join(dir, "postgres"), err)
		}
		return Programs{Dir: dir, Version: strings.TrimSpace(string(out))}, nil
	}
	return Programs{}, ErrNotInstalled
}

// Path returns the path of one of the programs ("pgbench", "psql"); where the
// server's folder lacks it, the one in PATH.
func (p Programs) Path(program string) (string, error) {
	if path := filepath.Join(p.Dir, program); executable(path) {
		return path, nil
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("find %s: not in %s and not in PATH", program, p.Dir)
	}
	return path, nil
}

// candidates lists the folders to look in, newest major version first.
func candidates() []string {
	if dir := os.Getenv(binVariable); dir != "" {
		return []string{dir}
	}
	var dirs []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // the project's RPMs
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are constants and well formed
		dirs = append(dirs, found...)
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return major(b) - major(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	return dirs
}

// major is the version number in a folder such as /usr/lib/postgresql/15/bin;
// 0 when there is none.
func major(dir string) int {
	name := filepath.Base(filepath.Dir(dir))
	n, _ := strconv.Atoi(name[strings.LastIndexAny(name, "-@")+1:])
	return n
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
