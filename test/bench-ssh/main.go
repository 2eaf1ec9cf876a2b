// Bench-ssh measures SSH through the gateway side by side with direct OpenSSH, in
// one interleaved run on one machine: `make bench-ssh`.
//
// It starts a private sshd and `sallyport serve` with policy and recording on,
// and drives both with OpenSSH's own clients: bulk reads and copies in both
// directions, the time until a first command and until a channel on a
// ControlMaster, and the memory of open sessions. Both legs and the direct
// connection use AES-GCM. It writes every figure to bench/ssh.json and a table to
// docs/benchmarks-ssh.md.
//
// It compares on the machine it runs on; the absolute figures of two machines say
// little.
//
// Environment: BENCH_SECONDS scales the run (default 10; 1 makes a smoke run of a
// minute), BENCH_IDLE is the number of open sessions (default 100 times
// BENCH_SECONDS, at most 1,000).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == relaySystem {
		fmt.Fprintln(os.Stderr, "relay:", relayMain(os.Args[2:]))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-ssh:", err)
		os.Exit(1)
	}
}

// maxIdle is the number of sessions that the memory goal is set for.
const maxIdle = 1000

// plan is what one run does.
type plan struct {
	// seconds scales the run.
	seconds int
	// idle is the number of open sessions.
	idle int
	// gateway is the program to measure.
	gateway string
	// parts are what is measured: bulk, setup, open.
	parts []string
	// jsonPath and tablePath are where the figures and the table are written.
	jsonPath, tablePath string
}

// bulkBytes is the size of the files.
func (p plan) bulkBytes() int { return min(p.seconds, 8) << 26 }

// rounds is how often each bulk figure is taken.
func (p plan) rounds() int { return min(5, 1+p.seconds) }

// setups is how often each set-up time is taken.
func (p plan) setups() int { return min(60, 10*p.seconds) }

func parse(args []string, env func(string) string) (plan, error) {
	p := plan{seconds: 10}
	var err error
	if p.seconds, err = number(env, "BENCH_SECONDS", p.seconds, 1); err != nil {
		return p, err
	}
	if p.idle, err = number(env, "BENCH_IDLE", min(maxIdle, 100*p.seconds), 0); err != nil {
		return p, err
	}
	flags := flag.NewFlagSet("bench-ssh", flag.ContinueOnError)
	flags.StringVar(&p.gateway, "gateway", "bin/sallyport", "the sallyport program")
	only := flags.String("parts", "bulk,setup,open", "what to measure")
	flags.StringVar(&p.jsonPath, "json", "bench/ssh.json", "where the figures go")
	flags.StringVar(&p.tablePath, "table", "docs/benchmarks-ssh.md", "where the table goes")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if flags.NArg() > 0 {
		return p, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	p.parts = strings.Split(*only, ",")
	for _, name := range p.parts {
		if parts[name] == nil {
			return p, fmt.Errorf("-parts: there is no part %q", name)
		}
	}
	return p, nil
}

// number is a variable that holds a number, or what stands for none.
func number(env func(string) string, name string, none, least int) (int, error) {
	v := env(name)
	if v == "" {
		return none, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least {
		return 0, fmt.Errorf("%s=%s is not a number of at least %d", name, v, least)
	}
	return n, nil
}

func run(ctx context.Context, args []string, env func(string) string, out io.Writer) (err error) {
	p, err := parse(args, env)
	if err != nil {
		return err
	}
	began := time.Now()
	fmt.Fprintf(out, "preparing: files of %d MiB, %d rounds, %d set-ups, %d open sessions\n", p.bulkBytes()>>20, p.rounds(), p.setups(), p.idle)
	b, err := prepare(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	rows, err := measure(ctx, p, b, out)
	if err != nil {
		return err
	}
	if err := writeReport(ctx, p, rows, time.Since(began)); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n%s and %s written after %v\n", table(rows), p.jsonPath, p.tablePath, time.Since(began).Round(time.Second))
	return nil
}
