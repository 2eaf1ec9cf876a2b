// Bench measures Sallyport side by side with a direct connection and with
// PgBouncer, in one interleaved run on one machine, all with TLS on the client's
// leg: `make bench`.
//
// It starts a private PostgreSQL, PgBouncer in session mode and `sallyport serve`
// with policy, labels, masking and recording on, and drives them with pgbench and
// with a reader of its own for bulk results. It writes every figure to
// bench/latest.json and a table to docs/benchmarks.md.
//
// It exists because nobody publishes the cost of a fully recorded, masked and
// policed query, and because a cost that is not measured grows. It compares on
// the machine it runs on; the absolute figures of two machines say little.
//
// Environment: BENCH_SECONDS is the time for each figure (default 10; 1 makes a
// smoke run of two minutes), BENCH_IDLE the number of idle sessions (default 200
// times BENCH_SECONDS, at most 2,000), BENCH_SYSTEMS the systems
// (direct,pgbouncer,sallyport). With -only some parts of it are measured, printed
// and not written: `make bench ARGS="-only bulk,idle"`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// maxIdle is the number of sessions that the memory goal is set for.
const maxIdle = 2000

// plan is what one run does.
type plan struct {
	// seconds is the time for each figure of each system.
	seconds int
	// idle is the number of idle sessions.
	idle int
	// systems are measured in this order, interleaved.
	systems []string
	// only names the parts to measure; empty is all.
	only []string
	// scale is pgbench's: 100,000 accounts each.
	scale int
	// bulkRows is the size of the bulk results.
	bulkRows int
	// gateway is the program to measure.
	gateway string
	// jsonPath and tablePath are where the figures and the table are written.
	jsonPath, tablePath string
}

// The parts of a run.
var parts = []string{partQueries, partLabelled, partBulk, partIdle}

const (
	partQueries  = "queries"
	partLabelled = "labelled"
	partBulk     = "bulk"
	partIdle     = "idle"
)

func (c plan) has(part string) bool { return len(c.only) == 0 || slices.Contains(c.only, part) }

func (c plan) rounds() int       { return min(5, c.seconds) }
func (c plan) roundSeconds() int { return max(1, c.seconds/c.rounds()) }

func parse(args []string, env func(string) string) (plan, error) {
	c := plan{seconds: 10, bulkRows: 1_000_000}
	if v := env("BENCH_SECONDS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return c, fmt.Errorf("BENCH_SECONDS=%s is not a number of seconds", v)
		}
		c.seconds = n
	}
	c.idle = min(maxIdle, 200*c.seconds)
	if v := env("BENCH_IDLE"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return c, fmt.Errorf("BENCH_IDLE=%s is not a number of sessions", v)
		}
		c.idle = n
	}
	systems := env("BENCH_SYSTEMS")
	if systems == "" {
		systems = "direct,pgbouncer,sallyport"
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&systems, "systems", systems, "systems to measure, separated by commas")
	only := flags.String("only", "", "parts to measure, separated by commas ("+strings.Join(parts, ", ")+"); nothing is written then")
	flags.IntVar(&c.scale, "scale", 10, "pgbench scale")
	flags.StringVar(&c.gateway, "gateway", "bin/sallyport", "the sallyport program")
	flags.StringVar(&c.jsonPath, "json", "bench/latest.json", "where the figures go")
	flags.StringVar(&c.tablePath, "table", "docs/benchmarks.md", "where the table goes")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if *only != "" {
		c.only = strings.Split(*only, ",")
	}
	for _, part := range c.only {
		if !slices.Contains(parts, part) {
			return c, fmt.Errorf("unknown part %q", part)
		}
	}
	c.systems = strings.Split(systems, ",")
	for _, s := range c.systems {
		switch s {
		case direct, pgbouncer, sallyport:
		default:
			return c, fmt.Errorf("unknown system %q", s)
		}
	}
	return c, nil
}

func run(ctx context.Context, args []string, env func(string) string, out io.Writer) (err error) {
	c, err := parse(args, env)
	if err != nil {
		return err
	}
	began := time.Now()
	fmt.Fprintf(out, "preparing: %d s for each figure in %d rounds, %d idle sessions\n", c.seconds, c.rounds(), c.idle)
	b, err := prepare(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	for _, s := range b.systems {
		if s.ready > 0 {
			fmt.Fprintf(out, "%-10s ready after %v, %.1f MiB\n", s.name, s.ready.Round(time.Millisecond), s.idleMiB)
		}
	}
	rows, err := measure(ctx, c, b, out)
	if err != nil {
		return err
	}
	if len(c.only) > 0 {
		fmt.Fprintf(out, "\n%s\nmeasured in %v\n", table(rows), time.Since(began).Round(time.Second))
		return nil
	}
	if err := writeReport(c, b, rows, time.Since(began)); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n%s and %s written after %v\n", table(rows), c.jsonPath, c.tablePath, time.Since(began).Round(time.Second))
	return nil
}
