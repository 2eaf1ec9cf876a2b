package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// writeReport writes the figures and the document.
func writeReport(ctx context.Context, p plan, rows []row, took time.Duration) error {
	figures, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	version, err := exec.CommandContext(ctx, "ssh", "-V").CombinedOutput()
	if err != nil {
		return err
	}
	text := fmt.Sprintf(document, p.bulkBytes()>>20, p.rounds(), p.setups(), strings.TrimSpace(string(version)), machine(), took.Round(time.Second), table(rows))
	for path, content := range map[string][]byte{p.jsonPath: append(figures, '\n'), p.tablePath: []byte(text)} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

const document = `# Benchmarks: SSH

Written by ` + "`make bench-ssh`" + `; the figures are in bench/ssh.json. One interleaved run on one machine: the systems take turns, and the median stands here.

- **direct**: OpenSSH's client on OpenSSH's server.
- **relay**: the same client and server with a program between them that passes on every channel by the SSH library that the gateway uses, golang.org/x/crypto/ssh, and does nothing else: no policy, no recording. It is what the library costs where nothing is done to spare it system calls.
- **sallyport**: the same client and server with the gateway between them: a certificate on the client's leg, a key to the host, policy and recording on.

Clients use ` + cipher + ` and ` + kex + ` with both. Files of %d MiB that the machine has in memory (its page cache), %d rounds; %d set-ups of each kind. CPU is the gateway's user and system time. Memory is the growth of the gateway's proportional share (PSS) over all open sessions, each a connection of its own on which a command waits for input.

%s on %s; the whole run took %v.

%s`

// machine describes the machine in a line, without its name.
func machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.Version())
}

// table is the result in Markdown.
func table(rows []row) string {
	base := map[string]row{}
	for _, r := range rows {
		if r.System == "direct" {
			base[r.What] = r
		}
	}
	var bulk, rest strings.Builder
	for _, r := range rows {
		d := base[r.What]
		switch {
		case r.MBps > 0:
			fmt.Fprintf(&bulk, "| %s | %s | %.0f | %.2f | %.2f |\n", r.What, r.System, r.MBps, r.MBps/d.MBps, r.CPUsPerGB)
		case r.Ms > 0:
			fmt.Fprintf(&rest, "| %s | %s | %.1f ms | %+.1f ms |\n", r.What, r.System, r.Ms, r.Ms-d.Ms)
		default:
			fmt.Fprintf(&rest, "| each of %d open sessions | %s | %.1f KiB | – |\n", r.Sessions, r.System, r.KiBPerSession)
		}
	}
	return "| bulk | system | MB/s | of direct | CPU-s/GB |\n|---|---|--:|--:|--:|\n" + bulk.String() +
		"\n| what | system | figure | added |\n|---|---|--:|--:|\n" + rest.String()
}
