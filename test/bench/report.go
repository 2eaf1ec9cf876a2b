package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// writeReport writes the figures and the document.
func writeReport(c plan, b *bed, rows []row, took time.Duration) error {
	figures, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	text := fmt.Sprintf(document, c.seconds, c.rounds(), b.server.Programs.Version, machine(), c.seconds, took.Round(time.Second), table(rows))
	for path, content := range map[string][]byte{c.jsonPath: append(figures, '\n'), c.tablePath: []byte(text)} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

const document = `# Benchmarks

Written by ` + "`make bench`" + `; the figures are in bench/latest.json. One interleaved run on one machine: in each cell the systems take turns, %d s for each in %d rounds, and the median of the rounds stands here.

- **direct**: the client on PostgreSQL itself, with TLS.
- **pgbouncer**: PgBouncer in session mode, TLS and a plain password on the client's leg, none to the database.
- **sallyport**: the gateway, TLS and a token on the client's leg, none to the database; policy, labels, masking and recording all on. The bulk results hold a masked column, which the database computes: the same work is direct with the very text that the gateway sends, and for the target without labels the plain one. A labelled row is the same statement on the same database and gateway, at one target with labels and at one without; the same work is a statement that has the mask in the client's own text, at the target without labels.

PostgreSQL without fsync and without parallel workers, pgbench scale 10, built-in scripts; simple mode has a new literal in every text. Added latency is the difference to direct. CPU is the proxy's user and system time, with its child processes. Memory per session is the growth of the proxy's proportional share (PSS) over all idle sessions.

%s on %s; BENCH_SECONDS=%d; the whole run took %v.

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
	memory := ""
	if info, err := fields("/proc/meminfo"); err == nil {
		memory = fmt.Sprintf(", %d GiB of memory", (info["MemTotal"]+1<<29)>>30)
	}
	return fmt.Sprintf("%s, %d cores%s, %s, %s", model, runtime.NumCPU(), memory, runtime.GOOS, runtime.Version())
}

// table is the result in Markdown.
func table(rows []row) string {
	base, masked := map[cell]row{}, map[cell]row{}
	for _, r := range rows {
		switch r.System {
		case direct:
			base[cell{r.Workload, r.Mode, r.Clients}] = r
		case masking, asked:
			masked[cell{r.Workload, r.Mode, r.Clients}] = r
		}
	}
	var txn, labelled, bulk, memory strings.Builder
	for _, r := range rows {
		d := base[cell{r.Workload, r.Mode, r.Clients}]
		switch {
		case r.Workload == "start":
			fmt.Fprintf(&memory, "| %s | ready after | %.0f ms |\n| %s | memory when idle | %.1f MiB |\n", r.System, r.ReadyMs, r.System, r.IdleMiB)
		case r.Workload == "idle":
			fmt.Fprintf(&memory, "| %s | each of %d idle sessions | %.1f KiB |\n", r.System, r.Clients, r.KiBPerSession)
		case r.Workload == labelledRows:
			switch r.System {
			case unlabelled:
				base[cell{r.Workload, r.Mode, r.Clients}] = r
			case sallyport:
				same := masked[cell{r.Workload, r.Mode, r.Clients}]
				fmt.Fprintf(&labelled, "| %s | %d | %.0f | %.0f | %.0f | %s | %s | %s | %.1f | %.1f |\n", r.Mode, r.Clients, d.TPS, same.TPS, r.TPS, ratio(r.TPS, d.TPS),
					ratio(r.TPS, same.TPS), added(r.P50us, d.P50us), d.CPUusPerTxn, r.CPUusPerTxn)
			}
		case r.MBps > 0:
			same := d
			if r.System == sallyport {
				same = masked[cell{r.Workload, r.Mode, r.Clients}]
			}
			fmt.Fprintf(&bulk, "| %s | %s | %.1f | %s | %s | %.2f | %.0f |\n", r.Workload, r.System, r.MBps,
				ratio(r.TPS, d.TPS), ratio(r.TPS, same.TPS), r.CPUsPerGB, r.PeakMiB)
		default:
			fmt.Fprintf(&txn, "| %s | %s | %d | %s | %.0f | %s | %.0f | %s | %.0f | %s | %.1f |\n", r.Workload, r.Mode, r.Clients, r.System,
				r.TPS, ratio(r.TPS, d.TPS), r.P50us, added(r.P50us, d.P50us), r.P99us, added(r.P99us, d.P99us), r.CPUusPerTxn)
		}
	}
	return "| workload | mode | clients | system | tps | of direct | p50 µs | added | p99 µs | added | CPU µs/txn |\n" +
		"|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|\n" + txn.String() +
		"\n| a labelled row, mode | clients | tps, masking off | the same with the mask in the client's text | masking on | on of off | on of the same work | p50 added to off | CPU µs/txn off | on |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n" + labelled.String() +
		"\n| bulk | system | MB/s | rows/s of direct | of direct, same work | CPU-s/GB | peak MiB |\n|---|---|--:|--:|--:|--:|--:|\n" + bulk.String() +
		"\n| system | what | figure |\n|---|---|--:|\n" + memory.String()
}

func ratio(a, b float64) string {
	if b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", a/b)
}

func added(a, b float64) string {
	if b == 0 {
		return "–"
	}
	return fmt.Sprintf("%+.0f", a-b)
}
