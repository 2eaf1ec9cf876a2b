package clients

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// sources are the programs of the clients that are not Go's.
//
//go:embed psycopg2/client.py jdbc/Client.java node/client.mjs node/package.json node/package-lock.json
var sources embed.FS

// maxLine bounds one JSON line of a program.
const maxLine = 1 << 20

// runProgram runs the small program of a client and reads its results.
func runProgram(ctx context.Context, c Config, client Client, scenarios []Scenario) ([]Result, error) {
	command, err := prepare(ctx, client)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(plainEnv(), c.environment(scenarios)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", command[0], err, stdout.String(), stderr.String())
	}
	var results []Result
	lines := bufio.NewScanner(&stdout)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var r Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("read result %q: %w", lines.Text(), err)
		}
		results = append(results, r)
	}
	return results, lines.Err()
}

// environment is the configuration as the programs read it.
func (c Config) environment(scenarios []Scenario) []string {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = string(s)
	}
	statements := make([]string, len(c.Statements))
	for i, s := range c.Statements {
		statements[i] = base64.StdEncoding.EncodeToString([]byte(s))
	}
	return []string{
		"CLIENT_HOST=" + c.Host,
		"CLIENT_PORT=" + strconv.Itoa(c.Port),
		"CLIENT_DATABASE=" + c.Database,
		"CLIENT_USER=" + c.User,
		"CLIENT_PASSWORD=" + c.Password,
		"CLIENT_CA=" + c.CAFile,
		"CLIENT_SLOW_SQL=" + c.SlowSQL,
		"CLIENT_REFUSED_SQL=" + c.RefusedSQL,
		"CLIENT_STATEMENTS=" + strings.Join(statements, ","),
		"CLIENT_SCENARIOS=" + strings.Join(names, ","),
	}
}

// plainEnv is this process's environment without what would change a client's
// connection or a program's meaning.
func plainEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "PG") || strings.HasPrefix(kv, "JAVA_TOOL_OPTIONS=") || strings.HasPrefix(kv, "NODE_OPTIONS=")
	})
	return append(env, "TZ=UTC", "LC_ALL=C.UTF-8")
}

// prepare puts the client's program into the cache, ready to run, and returns
// its command line.
func prepare(ctx context.Context, client Client) ([]string, error) {
	switch client {
	case Psycopg2:
		python, err := findPython(ctx)
		if err != nil {
			return nil, err
		}
		dir, err := unpack(string(client), func(string) error { return nil })
		return []string{python, filepath.Join(dir, "client.py")}, err
	case JDBC:
		jar, err := findJar()
		if err != nil {
			return nil, err
		}
		dir, err := unpack(string(client), func(dir string) error {
			return run(ctx, dir, "javac", "-encoding", "UTF-8", "-nowarn", "-cp", jar, "-d", dir, "Client.java")
		})
		return []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m",
			"-Duser.timezone=UTC", "-cp", dir + ":" + jar, "Client"}, err
	case Node:
		dir, err := unpack(string(client), func(dir string) error {
			return run(ctx, dir, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
		})
		return []string{"node", filepath.Join(dir, "client.mjs")}, err
	default:
		return nil, fmt.Errorf("client %s has no program", client)
	}
}

// findPython returns a Python that has psycopg2: Debian's package serves only
// Debian's own Python.
func findPython(ctx context.Context) (string, error) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(ctx, python, "-c", "import psycopg2.extras").Run() == nil {
			return python, nil
		}
	}
	return "", errors.New("no Python with psycopg2: install the package python3-psycopg2 (scripts/install-deps)")
}

func findJar() (string, error) {
	const jar = "/usr/share/java/postgresql.jar"
	if _, err := os.Stat(jar); err != nil {
		return "", errors.New("no PostgreSQL JDBC driver: install the package libpostgresql-jdbc-java (scripts/install-deps)")
	}
	return jar, nil
}

// unpack writes a client's sources into the cache folder named by their hash,
// builds them there, and returns the folder. The folder takes its name in one
// step after the build, so what has the name is complete.
func unpack(name string, build func(dir string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	cache = filepath.Join(cache, "sallyport", "clients")
	files, err := fs.Sub(sources, name)
	if err != nil {
		return "", err
	}
	key, err := hashFiles(files)
	if err != nil {
		return "", err
	}
	final := filepath.Join(cache, name+"-"+key)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	building, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(building) }()
	dir := filepath.Join(building, "program")
	if err := os.CopyFS(dir, files); err != nil {
		return "", err
	}
	if err := build(dir); err != nil {
		return "", err
	}
	if err := os.Rename(dir, final); err != nil {
		if _, statErr := os.Stat(final); statErr == nil {
			return final, nil // another process was first
		}
		return "", err
	}
	return final, nil
}

func hashFiles(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", path, len(content))
		_, _ = sum.Write(content) // a hash's Write never fails
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)[:8]), err
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
