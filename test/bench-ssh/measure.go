package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"
)

// row is one figure of one system.
type row struct {
	System string `json:"system"`
	// What is measured.
	What string `json:"what"`
	// MBps is the median throughput; CPUsPerGB is what the proxy used for it.
	MBps      float64 `json:"mb_per_s,omitempty"`
	CPUsPerGB float64 `json:"cpu_s_per_gb,omitempty"`
	// Ms is the median time.
	Ms float64 `json:"ms,omitempty"`
	// KiBPerSession is the proxy's memory for each open session.
	KiBPerSession float64 `json:"kib_per_session,omitempty"`
	// Sessions is how many are open.
	Sessions int `json:"sessions,omitempty"`
}

// parts are what can be measured by itself.
var parts = map[string]func(context.Context, plan, *bed) ([]row, error){"bulk": bulk, "setup": setup, "open": open}

func measure(ctx context.Context, p plan, b *bed, out io.Writer) ([]row, error) {
	var rows []row
	for _, name := range p.parts {
		more, err := parts[name](ctx, p, b)
		if err != nil {
			return nil, err
		}
		for _, r := range more {
			fmt.Fprintf(out, "%-10s %-28s %s\n", r.System, r.What, r.figure())
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// figure is a row's figure for a reader.
func (r row) figure() string {
	switch {
	case r.MBps > 0:
		return fmt.Sprintf("%.0f MB/s, %.2f CPU-s/GB", r.MBps, r.CPUsPerGB)
	case r.Ms > 0:
		return fmt.Sprintf("%.1f ms", r.Ms)
	}
	return fmt.Sprintf("%.1f KiB each of %d", r.KiBPerSession, r.Sessions)
}

// command runs one of OpenSSH's clients; its output goes nowhere.
func command(ctx context.Context, s *system, name string, args ...string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, name, append([]string{"-F", s.config, "-c", cipher, "-o", "KexAlgorithms=" + kex}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, null, &stderr
	cmd.WaitDelay = time.Second // a ControlMaster in the background holds its standard error
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s: %s %q: %w: %s", s.name, name, args, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// transfer is one kind of bulk transfer.
type transfer struct {
	what string
	run  func(context.Context, *bed, *system) error
}

func transfers() []transfer {
	cat := func(file string) func(context.Context, *bed, *system) error {
		return func(ctx context.Context, b *bed, s *system) error {
			return command(ctx, s, "ssh", s.host, "cat "+b.path(file))
		}
	}
	down := func(flag, file string) func(context.Context, *bed, *system) error {
		return func(ctx context.Context, b *bed, s *system) error {
			return command(ctx, s, "scp", flag, "-q", s.host+":"+b.path(file), b.path("outgoing/"+file))
		}
	}
	up := func(flag, file string) func(context.Context, *bed, *system) error {
		return func(ctx context.Context, b *bed, s *system) error {
			return command(ctx, s, "scp", flag, "-q", b.path(file), s.host+":"+b.path("incoming/"+file))
		}
	}
	return []transfer{
		{"cat, random", cat("random")}, {"cat, log text", cat("log")},
		{"sftp download, random", down("-s", "random")}, {"sftp upload, random", up("-s", "random")},
		{"scp -O download, log text", down("-O", "log")}, {"scp -O upload, log text", up("-O", "log")},
	}
}

// bulk takes turns: each system moves each file once a round.
func bulk(ctx context.Context, p plan, b *bed) ([]row, error) {
	var rows []row
	for _, t := range transfers() {
		speed, cost := map[string][]float64{}, map[string][]float64{}
		for range p.rounds() {
			for _, s := range b.systems {
				before, err := cpuOf(s.pid)
				if err != nil {
					return nil, err
				}
				began := time.Now()
				if err := t.run(ctx, b, s); err != nil {
					return nil, err
				}
				took := time.Since(began)
				after, err := cpuOf(s.pid)
				if err != nil {
					return nil, err
				}
				size := float64(p.bulkBytes())
				speed[s.name] = append(speed[s.name], size/1e6/took.Seconds())
				cost[s.name] = append(cost[s.name], (after-before).Seconds()/(size/1e9))
			}
		}
		for _, s := range b.systems {
			rows = append(rows, row{System: s.name, What: t.what, MBps: median(speed[s.name]), CPUsPerGB: median(cost[s.name])})
		}
	}
	return rows, nil
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	if len(sorted) == 0 {
		return 0
	}
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// setup takes the time of a first command, and of one on a connection that is
// there.
func setup(ctx context.Context, p plan, b *bed) (rows []row, err error) {
	masters := map[string][]string{}
	for _, s := range b.systems {
		control := []string{"-o", "ControlPath=" + b.path("cm-"+s.name)}
		masters[s.name] = control
		if err := command(ctx, s, "ssh", append(control, "-o", "ControlMaster=yes", "-o", "ControlPersist=600", "-Nf", s.host)...); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, command(ctx, s, "ssh", append(control, "-O", "exit", s.host)...)) }()
	}
	for _, kind := range []struct {
		what    string
		options func(*system) []string
	}{
		{"ssh HOST true", func(*system) []string { return nil }},
		{"a channel on a ControlMaster", func(s *system) []string { return masters[s.name] }},
	} {
		times := map[string][]float64{}
		for range p.setups() {
			for _, s := range b.systems {
				began := time.Now()
				if err := command(ctx, s, "ssh", append(slices.Clone(kind.options(s)), s.host, "true")...); err != nil {
					return nil, err
				}
				times[s.name] = append(times[s.name], float64(time.Since(began).Microseconds())/1000)
			}
		}
		for _, s := range b.systems {
			rows = append(rows, row{System: s.name, What: kind.what, Ms: median(times[s.name])})
		}
	}
	return rows, nil
}

const (
	// warmSessions are opened and closed before the first look, so that what a
	// process allocates once is not counted.
	warmSessions = 20
	// settle is how long memory has to settle before a look.
	settle = 3 * time.Second
)

// open opens sessions, each a connection of its own with a command that waits for
// its input, and takes the proxy's memory for each.
func open(ctx context.Context, p plan, b *bed) ([]row, error) {
	var rows []row
	for _, s := range b.systems {
		if s.pid == 0 || p.idle == 0 {
			continue
		}
		kib, err := openOn(ctx, s, p.idle)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{System: s.name, What: "open sessions", KiBPerSession: kib, Sessions: p.idle})
	}
	return rows, nil
}

func openOn(ctx context.Context, s *system, n int) (kib float64, err error) {
	warm, err := openSessions(ctx, s, warmSessions)
	closeAll(warm)
	if err != nil {
		return 0, err
	}
	before, err := settled(ctx, s)
	if err != nil {
		return 0, err
	}
	clients, err := openSessions(ctx, s, n)
	defer closeAll(clients)
	if err != nil {
		return 0, err
	}
	after, err := settled(ctx, s)
	return float64(after-before) / 1024 / float64(n), err
}

func settled(ctx context.Context, s *system) (int64, error) {
	select {
	case <-time.After(settle):
		return memoryOf(s.pid)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// openSessions opens n sessions, a few at a time, each with `cat` running. What it
// opened is returned also with an error.
func openSessions(ctx context.Context, s *system, n int) ([]*ssh.Client, error) {
	clients := make([]*ssh.Client, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i := range clients {
		group.Go(func() error {
			c, err := s.dial(ctx)
			if err != nil {
				return fmt.Errorf("session %d: %w", i+1, err)
			}
			clients[i] = c
			return echo(c)
		})
	}
	return clients, group.Wait()
}

// echo starts cat and waits until it has answered a line.
func echo(c *ssh.Client) error {
	session, err := c.NewSession()
	if err != nil {
		return err
	}
	in, err := session.StdinPipe()
	if err != nil {
		return err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return err
	}
	if err := session.Start("cat"); err != nil {
		return err
	}
	line := []byte("a line\n")
	if _, err := in.Write(line); err != nil {
		return err
	}
	_, err = io.ReadFull(out, line)
	return err
}

func closeAll(clients []*ssh.Client) {
	for _, c := range clients {
		if c != nil {
			_ = c.Close()
		}
	}
}
