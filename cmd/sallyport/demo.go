package main

import (
	"github.com/spf13/cobra"
)

// demoOptions are the flags of sallyport demo.
type demoOptions struct {
	// keep leaves everything up after the story until the context ends.
	keep bool
	// json is the file to write what runs and what came of the steps to; empty
	// writes none.
	json string
	// dir is the folder for configuration and state; empty means a temporary one,
	// which is removed at the end.
	dir string
}

func newDemoCommand() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole story on a private PostgreSQL",
		Long: `Start a private PostgreSQL with a shop's data, a gateway in front of it and a
development issuer, and play with a real psql what happens when AI agents work there:
a masked read, a blocked DROP, an UPDATE that a person approves, a stolen token, a
revoked agent, and the replay.

Nothing outside the demo's own folders is touched, and every step is verified: the exit
code is 0 only if every step did what it says. It needs the server programs of
PostgreSQL and psql (Debian, Ubuntu: the packages postgresql and postgresql-client;
make demo installs them).`,
		Example: "  sallyport demo\n  sallyport demo --keep --json demo.json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return runDemo(c.Context(), o, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&o.keep, "keep", false, "leave everything up after the story, until Ctrl-C, to go on by hand")
	c.Flags().StringVar(&o.json, "json", "", "`FILE` to write addresses, tokens and results to (mode 0600)")
	c.Flags().StringVar(&o.dir, "dir", "", "`FOLDER` for configuration and state, new, empty or of an earlier demo; it stays; default: a temporary one")
	return c
}
