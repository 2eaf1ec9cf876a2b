package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
)

func newSessionsCommand() *cobra.Command {
	return newGroup("sessions", "List, show, replay and export sessions",
		newSessionsList(), newSessionsShow())
}

func newSessionsList() *cobra.Command {
	c := &connection{}
	f := api.SessionFilter{}
	cmd := c.flags(&cobra.Command{
		Use:   "list",
		Short: "List sessions, live and recorded, newest first",
		Args:  exactly(),
		RunE: action(c, func(ctx context.Context, client *api.Client, _ []string) ([]api.Session, error) {
			return client.Sessions(ctx, f)
		}, showSessions),
	})
	cmd.Flags().StringVar(&f.State, "state", "", "only sessions in this `STATE`: live, ended, interrupted")
	cmd.Flags().StringVar(&f.Target, "target", "", "only sessions on this `TARGET`")
	cmd.Flags().StringVar(&f.Agent, "agent", "", "only sessions of this `AGENT`")
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "how many at most, up to 1000")
	return cmd
}

func newSessionsShow() *cobra.Command {
	c := &connection{}
	return c.flags(&cobra.Command{
		Use:   "show ID",
		Short: "Show whose session it is, on what, and how it ended",
		Args:  exactly("ID"),
		RunE: action(c, func(ctx context.Context, client *api.Client, args []string) (api.Session, error) {
			return client.Session(ctx, args[0])
		}, showSession),
	})
}

func showSessions(w io.Writer, list []api.Session) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No sessions.")
		return err
	}
	var rows [][]string
	for _, s := range list {
		rows = append(rows, []string{s.ID, s.State, when(s.Started), callerName(s.By), s.Target, s.Protocol,
			strconv.FormatInt(s.Commands, 10), s.End})
	}
	return table(w, []string{"ID", "STATE", "STARTED", "AGENT", "TARGET", "PROTOCOL", "COMMANDS", "END"}, rows)
}

func showSession(w io.Writer, s api.Session) error {
	rows := [][2]string{
		{"session", s.ID}, {"state", s.State}, {"agent", callerName(s.By)},
		{"subject", s.By.Subject.Subject + " at " + s.By.Subject.Issuer}, {"client", s.By.Client},
		{"target", s.Target + " (" + s.Protocol + ")"}, {"from", s.Remote}, {"user", s.User}, {"program", s.Application},
		{"started", when(s.Started)}, {"commands", strconv.FormatInt(s.Commands, 10)}, {"end", s.End},
	}
	if s.Ended != nil {
		rows = append(rows, [2]string{"ended", when(*s.Ended)})
	}
	if s.Deadline != nil {
		rows = append(rows, [2]string{"ends by", when(*s.Deadline)})
	}
	for _, row := range rows {
		if row[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-10s %s\n", row[0], clean(row[1])); err != nil {
			return err
		}
	}
	return nil
}
