package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

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
	cmd.Flags().BoolVar(&f.Live, "live", false, "only sessions that live")
	cmd.Flags().BoolVar(&f.Blocked, "blocked", false, "only sessions with a refused command")
	cmd.Flags().TimeVar(&f.Since, "since", time.Time{}, []string{time.RFC3339, time.DateOnly}, "only sessions that started at this `TIME` or later")
	cmd.Flags().TimeVar(&f.Until, "until", time.Time{}, []string{time.RFC3339, time.DateOnly}, "only sessions that started before this `TIME`")
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

func number(n int64) string { return strconv.FormatInt(n, 10) }

func showSessions(w io.Writer, list []api.Session) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No sessions.")
		return err
	}
	var rows [][]string
	for _, s := range list {
		rows = append(rows, []string{s.ID, s.State, when(s.Started), callerName(s.By), s.Target, s.Protocol,
			number(s.Counts.Commands), number(s.Counts.Blocked), number(s.Counts.Held), s.End})
	}
	return table(w, []string{"ID", "STATE", "STARTED", "AGENT", "TARGET", "PROTOCOL", "COMMANDS", "BLOCKED", "HELD", "END"}, rows)
}

func showSession(w io.Writer, s api.Session) error {
	rows := [][2]string{
		{"session", s.ID}, {"state", s.State}, {"agent", callerName(s.By)},
		{"subject", s.By.Subject.Subject + " at " + s.By.Subject.Issuer}, {"client", s.By.Client},
		{"target", s.Target + " (" + s.Protocol + ")"}, {"from", s.Remote}, {"user", s.User}, {"program", s.Application},
		{"started", when(s.Started)}, {"end", s.End},
		{"commands", fmt.Sprintf("%d, of which %d blocked, %d held, %d of unknown outcome",
			s.Counts.Commands, s.Counts.Blocked, s.Counts.Held, s.Counts.Unknown)},
		{"answered", number(s.Counts.AnswerBytes) + " bytes"},
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
