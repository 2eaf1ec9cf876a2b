package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/setup"
)

func newInspectCommand() *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect [flags] TARGET",
		Short: "List what of a target nobody has reviewed or labelled, and why it matters",
		Long: "List the functions, operators, casts, types, triggers, rules, row security policies, views and\n" +
			"foreign tables of a target that nobody has reviewed, and the columns without labels whose names look\n" +
			"sensitive, with the documents that would settle them. The target's catalog is read with its own\n" +
			"credential; nothing is run or changed. Names are all that is looked at: what stands in a column\n" +
			"called notes, only a person knows.\n\nOf an SSH target, show the key of the host, to be compared and pinned.",
		Example: "  sallyport inspect orders\n  sallyport inspect orders --json | jq '.items[] | select(.kind == \"column\")'",
		Args:    exactly("TARGET"),
		RunE:    func(c *cobra.Command, args []string) error { return inspectTarget(c, file, args[0], asJSON) },
	}
	c.Flags().StringVar(&file, "config", "sallyport.yaml", "configuration file of the process")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func inspectTarget(c *cobra.Command, file, name string, asJSON bool) error {
	p, t, err := openTarget(c.Context(), file, name, "postgres", "ssh")
	if err != nil {
		return err
	}
	defer p.close()
	if t.Protocol == "ssh" {
		return inspectSSH(c.Context(), c.OutOrStdout(), p, t, asJSON)
	}
	known := setup.Known{Reviewed: t.Functions, Labelled: slices.Concat(slices.Collect(maps.Values(t.Marks))...)}
	var found *setup.Inventory
	err = queryTarget(c.Context(), p, t, func(q setup.Querier) (err error) {
		found, err = setup.Survey(c.Context(), q, known)
		return err
	})
	if err != nil {
		return err
	}
	trace := viewTracer(p, t)
	for _, v := range found.Views {
		why, err := trace(c.Context(), v)
		if err != nil {
			return fmt.Errorf("trace view %s: %w", v.Object, err)
		}
		if why != "" {
			found.Items = append(found.Items, setup.Item{Kind: "view", Object: v.Object, Why: why})
		}
	}
	return printInventory(c, t.Name, found, asJSON)
}

// printItems writes the items in groups of one kind and reason.
func printItems(w io.Writer, items []setup.Item) error {
	type group struct{ kind, why string }
	var order []group
	rows := map[group][][]string{}
	for _, i := range items {
		g := group{i.Kind, i.Why}
		if rows[g] == nil {
			order = append(order, g)
		}
		rows[g] = append(rows[g], []string{"", i.Object, i.Note})
	}
	for n, g := range order {
		if n > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: %s\n", clean(g.kind), clean(g.why))
		if err := table(w, rows[g][0], rows[g][1:]); err != nil {
			return err
		}
	}
	return nil
}

func printInventory(c *cobra.Command, target string, found *setup.Inventory, asJSON bool) error {
	documents := found.Documents(target)
	if asJSON {
		return printJSON(c.OutOrStdout(), struct {
			Target    string       `json:"target"`
			Items     []setup.Item `json:"items"`
			Documents string       `json:"documents,omitempty"`
		}{target, found.Items, documents})
	}
	w := c.OutOrStdout()
	if len(found.Items) == 0 {
		_, err := fmt.Fprintf(w, "Everything at %s is reviewed, and no column without a label looks sensitive.\n", clean(target))
		return err
	}
	if err := printItems(w, found.Items); err != nil {
		return err
	}
	if documents == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nThe documents that would settle it. Read each function before you change execute to what\ncalling it does; delete the columns that hold nothing sensitive.\n\n%s\n", screen(documents))
	return err
}
