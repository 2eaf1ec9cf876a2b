package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/policy"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
)

func newPolicyCommand() *cobra.Command {
	return newGroup("policy", "Test and explain policies", newPolicyTestCommand(), newPolicyExplainCommand())
}

// checkDocuments validates the documents as serve would, without any state.
func checkDocuments(ctx context.Context, cfg *config.Process) (*process, error) {
	p := &process{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	if err := p.openPolicy(ctx); err != nil {
		return nil, err
	}
	p.documents = config.NewStore(config.Options{Folder: cfg.Documents, Base: cfg.Dir, Kinds: kinds(),
		Hooks: []config.Hook{checkOnly(p.prepareIssuers), p.preparePolicies, checkOnly(p.prepareCredentials), p.prepareHosts}})
	return p, p.documents.Load(ctx)
}

// checkOnly drops what a hook would put in force.
func checkOnly(h config.Hook) config.Hook {
	return func(s *config.Set) (func(), []error) {
		_, errs := h(s)
		return nil, errs
	}
}

func newPolicyTestCommand() *cobra.Command {
	var file, catalog string
	var asJSON bool
	c := &cobra.Command{
		Use:   "test",
		Short: "Run the cases that policy documents bring along",
		Long: "Run every case under tests: in the Policy documents against all policies together.\n" +
			"Cases that give a text (sql:) are read with the catalog of the target named by --catalog.\n" +
			"Exits 1 if a case does not get the decision that it expects.",
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if catalog == "" {
				cfg, err := config.LoadProcess(file, protocolNames()...)
				if err != nil {
					return err
				}
				p, err := checkDocuments(c.Context(), cfg)
				if err != nil {
					return err
				}
				return testPolicies(c, p.documents.Set(), nil, asJSON)
			}
			p, err := openOffline(c.Context(), file)
			if err != nil {
				return err
			}
			defer p.close()
			t, ok := p.documents.Target(catalog)
			if !ok {
				return &hintError{err: fmt.Errorf("there is no target %q", catalog), code: exitNotFound}
			}
			return testPolicies(c, p.documents.Set(), func(_, text string) (*gate.Command, error) {
				cmd, assumed, err := inspectFor(c.Context(), p, t, text)
				if err == nil && assumed != "" {
					err = errors.New(assumed) // a case is decided by what is so
				}
				return cmd, err
			}, asJSON)
		},
	}
	c.Flags().StringVar(&file, "config", "sallyport.yaml", "configuration file of the process")
	c.Flags().StringVar(&catalog, "catalog", "", "target whose catalog gives the tables and functions for cases with sql:")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func testPolicies(c *cobra.Command, set *config.Set, inspect func(protocol, text string) (*gate.Command, error), asJSON bool) error {
	engine, err := policy.New(policy.Options{Facts: facts(), Inspect: inspect})
	if err != nil {
		return err
	}
	results, errs := engine.Test(c.Context(), config.Values[policy.Document](set), known(set))
	if len(errs) > 0 {
		return errs[0]
	}
	failed := 0
	for _, r := range results {
		word := "ok  "
		if r.Failure != "" {
			failed, word = failed+1, "FAIL"
		}
		if !asJSON {
			fmt.Fprintln(c.OutOrStdout(), clean(strings.TrimSpace(word+" "+r.Policy+": "+r.Case+" "+r.Failure)))
		}
	}
	if asJSON {
		if err := printJSON(c.OutOrStdout(), results); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, len(results))
	}
	if !asJSON {
		fmt.Fprintf(c.OutOrStdout(), "%d cases passed\n", len(results))
	}
	return nil
}

// openOffline opens what a gateway process has, without listening.
func openOffline(ctx context.Context, file string) (*process, error) {
	cfg, err := config.LoadProcess(file, protocolNames()...)
	if err != nil {
		return nil, err
	}
	p := &process{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	for _, step := range []func(context.Context) error{p.openState, p.openIdentity, p.openPolicy, p.openDocuments, p.openHostAuthority, p.openDesk, p.openProbing} {
		if err := step(ctx); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

// openHostAuthority makes the key of the authority that hosts trust, if a credential
// is of it: a host may be asked before the gateway has run for the first time.
func (p *process) openHostAuthority(ctx context.Context) error {
	for _, c := range config.Values[config.Credential](p.documents.Set()) {
		if c.Authority != "" {
			_, err := p.vault.Own(ctx, ownSSHTargetCA, ssh.GenerateKey)
			return err
		}
	}
	return nil
}

// openProbing makes a gateway that can ask targets but records, and so opens, no
// session.
func (p *process) openProbing(context.Context) (err error) {
	p.gateway, err = gate.New(gate.Config{Identifier: identifier{tokens: p.verifier}, Directory: p.documents, Policy: p.policy, Approver: p.desk,
		Recorder: noRecorder{}, Dialer: dialer{}, Vault: p.vault, Log: p.log})
	return err
}

// noRecorder records nothing, so that no session opens.
type noRecorder struct{}

// Start implements gate.Recorder.
func (noRecorder) Start(*gate.SessionInfo) (gate.Recording, error) {
	return nil, errors.New("this command opens no session")
}

// explainFlags say who would run what.
type explainFlags struct {
	config, target, agent, subject, user, application string
	attributes                                        map[string]string
	spent                                             map[string]int64
	asJSON                                            bool
}

func newPolicyExplainCommand() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain --target NAME [flags] COMMAND",
		Short: "Say why a command gets the decision that it gets",
		Long: "Say, rule by rule, why a command of an agent gets the decision that it gets.\n" +
			"The target is asked for its catalog, or where the paths of a command line lead, with its own\n" +
			"credential; the command is not run.",
		Example: "  sallyport policy explain --target orders --attribute risk_tier=low \"UPDATE orders SET status = 'paid' WHERE id = 7\"\n" +
			"  sallyport policy explain --target web1 'journalctl -u app | grep ERROR'\n  sallyport policy explain --target backup+web1 'cat /etc/shadow'",
		Args: exactly("COMMAND"),
		RunE: func(c *cobra.Command, args []string) error { return explainCommand(c, &f, args[0]) },
	}
	c.Flags().StringVar(&f.config, "config", "sallyport.yaml", "configuration file of the process")
	c.Flags().StringVar(&f.target, "target", "", "target that the command would run on")
	c.Flags().StringVar(&f.agent, "agent", "agent", "name of the agent")
	c.Flags().StringVar(&f.subject, "subject", "agent", "subject of its token")
	c.Flags().StringVar(&f.user, "user", "agent", "user name given by its client")
	c.Flags().StringVar(&f.application, "application", "", "application name given by its client")
	c.Flags().StringToStringVar(&f.attributes, "attribute", nil, "attribute of the agent, NAME=VALUE; may be repeated")
	c.Flags().StringToInt64Var(&f.spent, "budget", nil, "what the agent has spent: rows=N, bytes=N, cells=N, writes=N (default nothing)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	_ = c.MarkFlagRequired("target")
	return c
}

func explainCommand(c *cobra.Command, f *explainFlags, text string) error {
	p, err := openOffline(c.Context(), f.config)
	if err != nil {
		return err
	}
	defer p.close()
	t, ok := p.documents.Target(f.target)
	if !ok {
		return &hintError{err: fmt.Errorf("there is no target %q", f.target), hint: "Targets are documents of kind Target.", code: exitNotFound}
	}
	cmd, assumed, err := inspectFor(c.Context(), p, t, text)
	if err != nil {
		return err
	}
	spent := gate.Spending{Rows: f.spent["rows"], Bytes: f.spent["bytes"], Cells: f.spent["cells"], Writes: f.spent["writes"]}
	cmd.Spent = func() (gate.Spending, error) { return spent, nil }
	now := time.Now()
	attributes := map[string]gate.Attribute{}
	for name, value := range f.attributes {
		attributes[name] = gate.Attribute{Value: value, Trust: gate.TrustProvider}
	}
	trace := p.policy.Explain(&gate.SessionInfo{
		ID: "explain", Target: t, Protocol: t.Protocol, User: f.user, Application: f.application, Started: now, Deadline: now.Add(time.Hour),
		Principal: &gate.Principal{Party: gate.Party{Subject: f.subject}, Kind: gate.KindAgent, Agent: f.agent, Attributes: attributes, Expiry: now.Add(time.Hour)},
	}, cmd)
	x := explained{Trace: trace, Command: cmd.Text, Effects: cmd.Effects.List(), Labels: cmd.Labels, Assumed: assumed}
	if facts, ok := cmd.Facts.(*ssh.Facts); ok {
		x.Unknown = facts.Unknown
	}
	if cmd.Mask != nil && trace.Decision != gate.Block.String() {
		if err := cmd.Mask(trace.Masks); err != nil {
			x.Refused = err.Error()
		}
	}
	if f.asJSON {
		return printJSON(c.OutOrStdout(), x)
	}
	if t.Protocol == "ssh" {
		x.writeCommand(c.OutOrStdout())
	}
	return x.writeTrace(c.OutOrStdout())
}

// explained is a decision with what it is about.
type explained struct {
	*policy.Trace
	// Command is what would be sent, as its analysis writes it.
	Command string   `json:"command"`
	Effects []string `json:"effects"`
	Labels  []string `json:"labels,omitempty"`
	// Unknown says what of the command was not understood.
	Unknown []string `json:"unknown,omitempty"`
	// Assumed says what is not certain.
	Assumed string `json:"assumed,omitempty"`
	// Refused says why the command does not run although the policies let it.
	Refused string `json:"refused,omitempty"`
}

// writeCommand says how a command line was read.
func (x *explained) writeCommand(w io.Writer) {
	fmt.Fprintf(w, "command: %s\neffects: %s\n", clean(x.Command), strings.Join(x.Effects, ", "))
	if len(x.Labels) > 0 {
		fmt.Fprintf(w, "labels: %s\n", clean(strings.Join(x.Labels, ", ")))
	}
	for _, u := range x.Unknown {
		fmt.Fprintf(w, "not understood: %s\n", clean(u))
	}
	if x.Assumed != "" {
		fmt.Fprintf(w, "assumed: %s\n", clean(x.Assumed))
	}
	if x.Refused != "" {
		fmt.Fprintf(w, "refused all the same: %s\n", clean(x.Refused))
	}
	fmt.Fprintln(w)
}

func (x *explained) writeTrace(w io.Writer) error {
	var shown strings.Builder
	if err := x.WriteText(&shown); err != nil {
		return err
	}
	for line := range strings.Lines(shown.String()) {
		fmt.Fprintln(w, clean(strings.TrimRight(line, "\n")))
	}
	return nil
}
