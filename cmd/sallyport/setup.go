package main

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/policy"
	"github.com/sallyport-gateway/sallyport/internal/setup"
)

func newSetupCommand() *cobra.Command {
	return newGroup("setup", "Print what a target needs, and what its credential can do too much", newSetupPostgresCommand(), newSetupSSHCommand())
}

// setupFlags say what the account is for.
type setupFlags struct {
	config, role               string
	schemas                    []string
	write, mask, check, asJSON bool
}

func newSetupPostgresCommand() *cobra.Command {
	var f setupFlags
	c := &cobra.Command{
		Use:   "postgres [flags] TARGET",
		Short: "Print the SQL for the least-privileged role of a PostgreSQL target",
		Long: "Print the SQL for the role that a target should use, and report what the present credential\n" +
			"can do beyond it. Nothing is changed: read the SQL and run it as a superuser or as the\n" +
			"administrator of a hosted database. The SQL goes to standard output, the report to standard error.\n\n" +
			"With --mask, relations made later are not granted, and columns are left out whose labels every rule\n" +
			"masks with null. All other masks read whether a column is null, so that those stay readable.",
		Example: "  sallyport setup postgres orders --mask > role.sql\n  psql -f role.sql orders\n  sallyport setup postgres orders --mask --check",
		Args:    exactly("TARGET"),
		RunE:    func(c *cobra.Command, args []string) error { return setupPostgres(c, &f, args[0]) },
	}
	c.Flags().StringVar(&f.config, "config", "sallyport.yaml", "configuration file of the process")
	c.Flags().StringVar(&f.role, "role", "", `name of the role (default "sallyport_TARGET")`)
	c.Flags().StringSliceVar(&f.schemas, "schema", nil, "schema that the role is for; may be repeated (default all but PostgreSQL's own)")
	c.Flags().BoolVar(&f.write, "write", false, "let the role insert, update and delete rows")
	c.Flags().BoolVar(&f.mask, "mask", false, "the target has labels: do not grant what nobody has labelled")
	c.Flags().BoolVar(&f.check, "check", false, "report only, and exit 1 if the present credential can do more")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

// openTarget opens the process's configuration and finds a target of one of the
// protocols.
func openTarget(ctx context.Context, file, name string, protocols ...string) (*process, *gate.Target, error) {
	p, err := openOffline(ctx, file)
	if err != nil {
		return nil, nil, err
	}
	t, ok := p.documents.Target(name)
	switch {
	case !ok:
		p.close()
		return nil, nil, &hintError{err: fmt.Errorf("there is no target %q", name), hint: "Targets are documents of kind Target.", code: exitNotFound}
	case !slices.Contains(protocols, t.Protocol):
		p.close()
		return nil, nil, &hintError{err: fmt.Errorf("target %s is of protocol %s, not %s", name, t.Protocol, strings.Join(protocols, " or ")), code: exitInvalid}
	}
	return p, t, nil
}

func setupPostgres(c *cobra.Command, f *setupFlags, name string) error {
	p, t, err := openTarget(c.Context(), f.config, name, "postgres")
	if err != nil {
		return err
	}
	defer p.close()
	o := setup.Options{Schemas: f.schemas, Write: f.write, Masked: f.mask, Reviewed: t.Functions, Statement: t.Limits.Statement}
	if f.mask {
		o.Withheld = withheld(p.documents.Set(), t)
	}
	if t.Limits.Sessions > 0 {
		o.Connections = t.Limits.Sessions + 5 // cancel requests and the gateways' own questions
	}
	planned := o
	if planned.Role = f.role; f.role == "" {
		planned.Role = roleName(name)
	}
	var present, plan *setup.Audit
	err = queryTarget(c.Context(), p, t, func(q setup.Querier) (err error) {
		if present, err = setup.Read(c.Context(), q, o); err != nil {
			return err
		}
		plan, err = setup.Read(c.Context(), q, planned)
		return err
	})
	if err != nil {
		return err
	}
	return printSetup(c, f, t, present, plan)
}

func printSetup(c *cobra.Command, f *setupFlags, t *gate.Target, present, plan *setup.Audit) error {
	findings := present.Findings()
	switch {
	case f.asJSON:
		out := struct {
			Role    string          `json:"role"`
			SQL     string          `json:"sql"`
			Present string          `json:"present_role"`
			Beyond  []setup.Finding `json:"beyond"`
		}{plan.Role(), plan.Script(), present.Role(), findings}
		if err := printJSON(c.OutOrStdout(), out); err != nil {
			return err
		}
	case f.check:
		printFindings(c, t, present.Role(), findings)
	default:
		// The names in it are the target's: escaping them would change the SQL, so
		// that only control characters that act on a terminal are refused.
		script := plan.Script()
		if strings.ContainsFunc(script, func(r rune) bool { return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 }) {
			return fmt.Errorf("a name at target %s has a control character: rename it first, or use --json", t.Name)
		}
		fmt.Fprint(c.OutOrStdout(), script)
		printFindings(c, t, present.Role(), findings)
	}
	if f.check && len(findings) > 0 {
		return fmt.Errorf("the credential of target %s can do more than it needs: %d findings", t.Name, len(findings))
	}
	return nil
}

// printFindings writes the report: to standard error beside the SQL.
func printFindings(c *cobra.Command, t *gate.Target, role string, findings []setup.Finding) {
	w := c.ErrOrStderr()
	if len(findings) == 0 {
		fmt.Fprintf(w, "\nThe present credential of %s (role %s) can do no more than it needs.\n", clean(t.Name), clean(role))
		return
	}
	fmt.Fprintf(w, "\nThe present credential of %s (role %s) can do more than it needs:\n", clean(t.Name), clean(role))
	for _, f := range findings {
		who := ""
		if f.Public {
			who = " (as everybody does)"
		}
		fmt.Fprintf(w, "\n%s: %s%s\n", clean(f.Kind), clean(f.What), who)
		if len(f.Objects) > 0 {
			fmt.Fprintf(w, "    on %s\n", clean(list(f.Objects)))
		}
		fmt.Fprintf(w, "    why it matters: %s\n", clean(f.Why))
		for _, sql := range f.SQL {
			fmt.Fprintf(w, "    %s\n", clean(sql))
		}
	}
}

// maxListed bounds how many names a line of a report shows.
const maxListed = 12

func list(names []string) string {
	if len(names) > maxListed {
		return strings.Join(names[:maxListed], ", ") + fmt.Sprintf(" and %d more", len(names)-maxListed)
	}
	return strings.Join(names, ", ")
}

// unusual is what a role's name is better without.
var unusual = regexp.MustCompile(`[^a-z0-9_]+`)

// roleName is the role for a target that names none.
func roleName(target string) string {
	name := "sallyport_" + unusual.ReplaceAllString(strings.ToLower(target), "_")
	return name[:min(len(name), 63)]
}

// withheld are the columns whose labels every rule that lets a command pass
// masks with null: no expression that the gateway writes for them reads them. A
// label that a rule does not name is redacted, which reads whether a value is
// there.
func withheld(set *config.Set, t *gate.Target) []string {
	plain := map[string]bool{} // columns with a label that is not always null
	var all []string
	for _, label := range slices.Sorted(maps.Keys(t.Marks)) {
		for _, path := range t.Marks[label] {
			if !alwaysNull(set, t.Protocol, label) {
				plain[path] = true
			}
			all = append(all, path)
		}
	}
	all = slices.DeleteFunc(all, func(path string) bool { return plain[path] })
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

func alwaysNull(set *config.Set, protocol, label string) bool {
	found := false
	for _, d := range config.Values[policy.Document](set) {
		if d.Protocol != "" && d.Protocol != protocol {
			continue
		}
		for _, r := range d.Rules {
			if r.Then == "block" {
				continue
			}
			if r.Mask[label] != "null" {
				return false
			}
			found = true
		}
	}
	return found
}
