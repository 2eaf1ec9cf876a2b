package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pgbench runs one cell once and reads throughput, latencies and the proxy's CPU.
func (b *bed) pgbench(ctx context.Context, s *system, c cell, seconds int) (row, error) {
	program, err := b.server.Programs.Path("pgbench")
	if err != nil {
		return row{}, err
	}
	logs, err := os.MkdirTemp(b.dir, "pgbench-")
	if err != nil {
		return row{}, err
	}
	defer func() { _ = os.RemoveAll(logs) }()
	password, err := s.password()
	if err != nil {
		return row{}, err
	}
	script := []string{"-b", c.workload}
	if c.workload == labelledRows {
		file := filepath.Join(logs, "script.sql")
		if err := os.WriteFile(file, fmt.Appendf(nil, labelledScript, s.card()), 0o600); err != nil {
			return row{}, err
		}
		script = []string{"-f", file}
	}
	cmd := exec.CommandContext(ctx, program, append(script, "-n", "-M", c.mode, "-c", strconv.Itoa(c.clients),
		"-j", strconv.Itoa(min(2, c.clients)), "-T", strconv.Itoa(seconds), "-l", "--log-prefix", filepath.Join(logs, "txn"))...)
	cmd.Env = append(os.Environ(), clientEnv(s, password)...)
	before, err := usageOf(s.pid)
	if err != nil {
		return row{}, err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return row{}, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	after, err := usageOf(s.pid)
	if err != nil {
		return row{}, err
	}
	tps, transactions, err := parsePgbench(string(out))
	if err != nil {
		return row{}, err
	}
	latencies, err := readLatencies(logs)
	if err != nil {
		return row{}, err
	}
	return row{TPS: tps, P50us: percentile(latencies, 50), P99us: percentile(latencies, 99),
		CPUusPerTxn: float64((after.cpu - before.cpu).Microseconds()) / transactions}, nil
}

// parsePgbench reads pgbench's report and refuses one with failed transactions.
func parsePgbench(out string) (tps, transactions float64, err error) {
	number := func(pattern string) (float64, error) {
		m := regexp.MustCompile(pattern).FindStringSubmatch(out)
		if m == nil {
			return 0, fmt.Errorf("pgbench's report lacks %q:\n%s", pattern, out)
		}
		return strconv.ParseFloat(m[1], 64)
	}
	if tps, err = number(`tps = ([0-9.]+) \(without initial`); err != nil {
		return 0, 0, err
	}
	if transactions, err = number(`transactions actually processed: (\d+)`); err != nil {
		return 0, 0, err
	}
	if strings.Contains(out, "aborted") || transactions == 0 {
		return 0, 0, fmt.Errorf("pgbench's clients were aborted:\n%s", out)
	}
	if m := regexp.MustCompile(`failed transactions: (\d+)`).FindStringSubmatch(out); m != nil && m[1] != "0" {
		return 0, 0, fmt.Errorf("pgbench counts %s failed transactions:\n%s", m[1], out)
	}
	return tps, transactions, nil
}

// readLatencies reads the third column (microseconds) of pgbench's transaction
// logs, sorted.
func readLatencies(dir string) ([]float64, error) {
	files, err := filepath.Glob(filepath.Join(dir, "txn*"))
	if err != nil {
		return nil, err
	}
	var all []float64
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			columns := strings.Fields(lines.Text())
			if len(columns) < 3 {
				continue
			}
			us, err := strconv.ParseFloat(columns[2], 64)
			if err == nil {
				all = append(all, us)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("pgbench logged no transaction")
	}
	slices.Sort(all)
	return all, nil
}

// percentile of sorted values, by nearest rank.
func percentile(sorted []float64, p int) float64 {
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(0, rank-1)]
}
