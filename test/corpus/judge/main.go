// Judge runs a case file through the gateway; with -direct it runs the file on
// bare PostgreSQL instead, to prove that each attack works and that each harmless
// case runs. It starts the servers. It exits with 1 if a case does not come out
// as it claims.
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
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport-gateway/sallyport/test/corpus"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

type options struct {
	cases, program, policy, only, report string
	keep, direct, verbose, noTwin        bool
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("judge", flag.ContinueOnError)
	f.StringVar(&o.cases, "cases", "", "case `file`, one JSON object a line; empty: the project's own cases")
	f.StringVar(&o.program, "gateway", "", "the gateway's `program`; empty: build it")
	f.StringVar(&o.policy, "policy", "", "only the cases of this `policy`")
	f.StringVar(&o.only, "only", "", "only the cases with these `ids` or beginnings of classes, with commas between")
	f.StringVar(&o.report, "report", "", "also write the report to this `file`")
	f.BoolVar(&o.direct, "direct", false, "prove the cases on bare PostgreSQL, without the gateway")
	f.BoolVar(&o.noTwin, "no-twin", false, "do not run the cases on the twin database")
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

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	db, err := corpus.StartDatabase(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Stop()) }()
	cases, err := o.read(db.Port())
	if err != nil {
		return err
	}
	if known := slices.DeleteFunc(slices.Clone(cases), func(c corpus.Case) bool { return c.Since > db.Release }); len(known) < len(cases) {
		fmt.Fprintf(out, "%d cases are of a newer PostgreSQL than %d\n", len(cases)-len(known), db.Release)
		cases = known
	}
	checker := &corpus.Checker{Database: db, NonInterference: !o.noTwin}
	if o.direct {
		fmt.Fprintf(out, "%d cases on bare PostgreSQL: attacks must work, harmless cases must run\n", len(cases))
		return o.judge(ctx, checker, cases, out)
	}
	g, err := corpus.StartGateway(ctx, o.program, db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Stop()) }()
	checker.Gateway = g
	fmt.Fprintf(out, "%d cases through the gateway\n", len(cases))
	if err = o.judge(ctx, checker, cases, out); err != nil {
		fmt.Fprintf(out, "\nThe end of the gateway's log:\n%s", g.Log())
	}
	if o.keep {
		fmt.Fprintf(out, "\ndirect: %s\ngateway: %s\nGW_TOKEN=%s\n", db.Address(), g.Address, g.Token)
		<-ctx.Done()
	}
	return err
}

// read reads the case file and keeps the cases that are asked for.
func (o *options) read(port int) ([]corpus.Case, error) {
	all, err := corpus.OwnCases(port)
	if o.cases != "" {
		var text []byte
		if text, err = os.ReadFile(o.cases); err != nil {
			return nil, err
		}
		if all, err = corpus.ReadCases(text, port); err != nil {
			return nil, fmt.Errorf("%s: %w", o.cases, err)
		}
	}
	if err != nil {
		return nil, err
	}
	var out []corpus.Case
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

func (o *options) wants(c *corpus.Case) bool {
	if o.policy != "" && c.Policy != o.policy {
		return false
	}
	if o.only == "" {
		return true
	}
	for want := range strings.SplitSeq(o.only, ",") {
		if c.ID == want || strings.HasPrefix(c.Class, want) {
			return true
		}
	}
	return false
}

// progressEvery is after how many cases a line says how far it is.
const progressEvery = 25

// judge runs the cases; the error says how many failed.
func (o *options) judge(ctx context.Context, checker *corpus.Checker, cases []corpus.Case, out io.Writer) error {
	var report corpus.Report
	began := time.Now()
	for i := range cases {
		r := checker.Judge(ctx, &cases[i])
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		report.Add(r)
		switch {
		case !r.OK: // at once: a reader need not wait for the end
			fmt.Fprintln(out, "FAIL", r)
		case o.verbose:
			fmt.Fprintln(out, "ok  ", r)
		}
		if n := i + 1; n%progressEvery == 0 || n == len(cases) {
			fmt.Fprintf(out, "%d of %d cases, %d failed, after %v\n", n, len(cases), len(report.Failed()), time.Since(began).Round(time.Second))
		}
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
