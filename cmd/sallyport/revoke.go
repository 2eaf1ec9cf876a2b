package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
)

func newRevokeCommand() *cobra.Command {
	return newGroup("revoke", "Withdraw an agent, a token or a session at once",
		newRevoke("agent AGENT", "Revoke every token of an agent and end its sessions",
			func(r *api.Revocation, id string) { r.Agent = id }, true),
		newRevoke("token TOKEN-ID", "Revoke the token with this id (jti) and end its sessions",
			func(r *api.Revocation, id string) { r.TokenID = id }, true),
		newRevoke("session SESSION", "End one live session; the agent may open another",
			func(r *api.Revocation, id string) { r.Session = id }, false),
		newRevokeLift(),
		newRevokeList())
}

func newRevoke(use, short string, set func(*api.Revocation, string), lasting bool) *cobra.Command {
	c := &connection{}
	var r api.Revocation
	var within time.Duration
	cmd := c.flags(&cobra.Command{
		Use:   use,
		Short: short,
		Long:  short + ".\n\nLive sessions that it concerns end at once; a running command is cancelled at the target.",
		Args:  exactly("ID"),
		RunE: action(c, func(ctx context.Context, client *api.Client, args []string) (api.Revoked, error) {
			set(&r, args[0])
			if within > 0 {
				until := time.Now().Add(within).UTC()
				r.Until = &until
			}
			return client.Revoke(ctx, r)
		}, showRevoked),
	})
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why; required")
	_ = cmd.MarkFlagRequired("reason") // fails only for a flag that does not exist
	if lasting {
		cmd.Flags().StringVar(&r.Issuer, "issuer", "", "only tokens of the issuer with this `URL`; default: of every issuer")
		cmd.Flags().DurationVar(&within, "for", 0, "how long, as 24h; default: for good")
	}
	return cmd
}

// newRevokeLift undoes revocations.
func newRevokeLift() *cobra.Command {
	c := &connection{}
	r := api.Revocation{Lift: true}
	cmd := c.flags(&cobra.Command{
		Use:   "lift agent|token ID",
		Short: "Lift the revocations of an agent or a token; it may log in again",
		Long: "Lift the revocations of an agent or a token; it may log in again.\n\n" +
			"Sessions that they ended stay ended. A revocation that was restricted to an issuer is lifted with --issuer.",
		Args: exactly("agent|token", "ID"),
		RunE: action(c, func(ctx context.Context, client *api.Client, args []string) (api.Revoked, error) {
			switch args[0] {
			case "agent":
				r.Agent = args[1]
			case "token":
				r.TokenID = args[1]
			default:
				return api.Revoked{}, &hintError{fmt.Errorf("%q cannot be lifted", args[0]), "Say agent or token.", exitUsage}
			}
			return client.Revoke(ctx, r)
		}, showRevoked),
	})
	cmd.Flags().StringVar(&r.Reason, "reason", "", "why; required")
	_ = cmd.MarkFlagRequired("reason") // fails only for a flag that does not exist
	cmd.Flags().StringVar(&r.Issuer, "issuer", "", "the issuer's `URL`, if the revocation was restricted to it")
	return cmd
}

func newRevokeList() *cobra.Command {
	c := &connection{}
	return c.flags(&cobra.Command{
		Use:   "list",
		Short: "List the revocations in force, newest first",
		Args:  exactly(),
		RunE: action(c, func(ctx context.Context, client *api.Client, _ []string) ([]api.Revocation, error) {
			return client.Revocations(ctx)
		}, showRevocations),
	})
}

func revocationOf(r api.Revocation) (kind, id string) {
	switch {
	case r.Agent != "":
		return "agent", r.Agent
	case r.TokenID != "":
		return "token", r.TokenID
	default:
		return "session", r.Session
	}
}

func showRevoked(w io.Writer, r api.Revoked) error {
	kind, id := revocationOf(r.Revocation)
	if r.Revocation.Lift {
		_, err := fmt.Fprintln(w, clean(fmt.Sprintf("Lifted the revocations of %s %s.", kind, id)))
		return err
	}
	until := ""
	if r.Revocation.Until != nil {
		until = " until " + when(*r.Revocation.Until)
	}
	_, err := fmt.Fprintln(w, clean(fmt.Sprintf("Revoked %s %s%s; live sessions ended: %d.", kind, id, until, r.Ended)))
	return err
}

func showRevocations(w io.Writer, list []api.Revocation) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No revocations.")
		return err
	}
	var rows [][]string
	for _, r := range list {
		kind, id := revocationOf(r)
		until := "for good"
		if r.Until != nil {
			until = when(*r.Until)
		}
		rows = append(rows, []string{kind, id, when(r.Created), until, r.By.Subject, r.Reason})
	}
	return table(w, []string{"KIND", "ID", "SINCE", "UNTIL", "BY", "REASON"}, rows)
}
