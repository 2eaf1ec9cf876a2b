// Judge runs a file of SSH cases through the gateway; with -direct it runs the
// file on the bare host instead, to prove that each attack works and that each
// harmless case runs. It starts the servers, as root. It exits with 1 if a case
// does not come out as it claims.
//
// With -keep it leaves the servers up and prints how other clients reach them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-gateway/sallyport/test/corpus-ssh"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

type options struct {
	cases, program, only, report string
	keep, direct, verbose        bool
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("judge", flag.ContinueOnError)
	f.StringVar(&o.cases, "cases", "", "case `file`, one JSON object a line; empty: the project's own cases")
	f.StringVar(&o.program, "gateway", "", "the gateway's `program`; empty: build it")
	f.StringVar(&o.only, "only", "", "only the cases with these `ids`, kinds or beginnings of classes, with commas between")
	f.StringVar(&o.report, "report", "", "also write the report to this `file`")
	f.BoolVar(&o.direct, "direct", false, "prove the cases on the bare host, without the gateway")
	f.BoolVar(&o.keep, "keep", false, "leave the servers up until interrupted, and print how to reach them")
	f.BoolVar(&o.verbose, "v", false, "print every case")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	host, err := sshcorpus.StartHost(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Stop()) }()
	cases, err := o.read(host.Port())
	if err != nil {
		return err
	}
	checker := &sshcorpus.Checker{Host: host}
	if o.direct {
		fmt.Fprintf(out, "%d cases on the bare host: attacks must work, harmless cases must run\n", len(cases))
		return o.judge(ctx, checker, cases, out, progress)
	}
	g, err := sshcorpus.StartGateway(ctx, o.program, host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Stop()) }()
	checker.Gateway = g.Door
	fmt.Fprintf(out, "%d cases through the gateway\n", len(cases))
	err = o.judge(ctx, checker, cases, out, progress)
	if o.keep {
		fmt.Fprintf(out, "\n%s", g.Reach(host))
		<-ctx.Done()
	}
	return err
}

// read reads the case file and keeps the cases that are asked for.
func (o *options) read(port int) ([]sshcorpus.Case, error) {
	all, err := sshcorpus.OwnCases(port)
	if o.cases != "" {
		var text []byte
		if text, err = os.ReadFile(o.cases); err != nil {
			return nil, err
		}
		if all, err = sshcorpus.ReadCases(text, port); err != nil {
			return nil, fmt.Errorf("%s: %w", o.cases, err)
		}
	}
	if err != nil {
		return nil, err
	}
	var out []sshcorpus.Case
	for _, c := range all {
		if o.wants(&c) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no case is chosen")
	}
	return out, nil
}

func (o *options) wants(c *sshcorpus.Case) bool {
	if o.only == "" {
		return true
	}
	for want := range strings.SplitSeq(o.only, ",") {
		if c.ID == want || string(c.Kind) == want || strings.HasPrefix(c.Class, want) {
			return true
		}
	}
	return false
}

// judge runs the cases; the error says how many failed.
func (o *options) judge(ctx context.Context, checker *sshcorpus.Checker, cases []sshcorpus.Case, out, progress io.Writer) error {
	var report sshcorpus.Report
	const every = 5 * time.Second
	said := time.Now()
	for i := range cases {
		r := checker.Judge(ctx, &cases[i])
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		switch {
		case o.verbose:
			word := "ok  "
			if !r.OK {
				word = "FAIL"
			}
			fmt.Fprintln(out, word, r)
		case time.Since(said) >= every:
			said = time.Now()
			fmt.Fprintf(progress, "%d of %d cases\n", i+1, len(cases))
		}
		report.Add(r)
	}
	if o.report != "" {
		f, err := os.Create(o.report)
		if err != nil {
			return err
		}
		if err := errors.Join(report.Write(f), f.Close()); err != nil {
			return err
		}
	}
	if err := report.Write(out); err != nil {
		return err
	}
	if n := len(report.Failed()); n > 0 {
		return fmt.Errorf("%d cases did not come out as they claim", n)
	}
	return nil
}
