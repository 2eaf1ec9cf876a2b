package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func newApprovalsCommand() *cobra.Command {
	return newGroup("approvals", "List and answer access requests",
		newApprovalsList(), newApprovalsShow(), newApprovalsAnswer(true), newApprovalsAnswer(false))
}

func newApprovalsList() *cobra.Command {
	c := &connection{}
	f := api.ApprovalFilter{}
	cmd := c.flags(&cobra.Command{
		Use:     "list",
		Short:   "List access requests, newest first",
		Example: "  sallyport approvals list --state pending",
		Args:    exactly(),
		RunE: action(c, func(ctx context.Context, client *api.Client, _ []string) ([]api.Approval, error) {
			return client.Approvals(ctx, f)
		}, showApprovals),
	})
	cmd.Flags().StringVar(&f.State, "state", "", "only requests in this `STATE`: pending, approved, denied, expired, cancelled, consumed")
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "how many at most, up to 1000")
	return cmd
}

func newApprovalsShow() *cobra.Command {
	c := &connection{}
	return c.flags(&cobra.Command{
		Use:   "show ID",
		Short: "Show an access request with its command in full",
		Args:  exactly("ID"),
		RunE: action(c, func(ctx context.Context, client *api.Client, args []string) (api.Approval, error) {
			return client.Approval(ctx, args[0])
		}, showApproval),
	})
}

func newApprovalsAnswer(approve bool) *cobra.Command {
	c := &connection{}
	use, short := "deny ID", "Deny an access request"
	if approve {
		use, short = "approve ID", "Approve an access request: the agent may run exactly this command once"
	}
	var comment string
	cmd := c.flags(&cobra.Command{
		Use:   use,
		Short: short,
		Long:  short + ".\n\nRead it first: sallyport approvals show ID. Nobody can approve a request of their own.",
		Args:  exactly("ID"),
		RunE: action(c, func(ctx context.Context, client *api.Client, args []string) (api.Approval, error) {
			return client.Answer(ctx, args[0], approve, comment)
		}, showAnswered),
	})
	cmd.Flags().StringVar(&comment, "comment", "", "why; kept with the request")
	return cmd
}

func showApprovals(w io.Writer, list []api.Approval) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No access requests.")
		return err
	}
	var rows [][]string
	for _, a := range list {
		rows = append(rows, []string{a.ID, a.State, when(a.Filed), when(a.Expires), callerName(a.By),
			a.Target.Name, a.Rule, a.Command.Headline})
	}
	return table(w, []string{"ID", "STATE", "FILED", "EXPIRES", "AGENT", "TARGET", "RULE", "COMMAND"}, rows)
}

func showApproval(w io.Writer, a api.Approval) error {
	return approval.Render(w, requestOf(&a), time.Now())
}

func showAnswered(w io.Writer, a api.Approval) error {
	text := ""
	switch a.State {
	case "approved":
		text = fmt.Sprintf("%s is approved: the agent may run the identical command once until %s.", a.ID, when(a.Expires))
	case "pending":
		text = fmt.Sprintf("%s is still pending: your answer is noted, and %d people must approve.", a.ID, a.Needs.Count)
	default:
		text = fmt.Sprintf("%s is %s.", a.ID, a.State)
	}
	_, err := fmt.Fprintln(w, clean(text))
	return err
}

// callerName names a caller in a table.
func callerName(c api.Caller) string {
	name := or(c.Agent, c.Subject.Subject)
	if c.Actor != nil {
		name += " for " + c.Subject.Subject
	}
	return name
}

// requestOf turns the view of a request back into what approval.Render shows.
func requestOf(a *api.Approval) *approval.Request {
	r := &approval.Request{
		ID: a.ID, Digest: a.Digest, Rule: a.Rule, Reason: a.Reason, State: gate.RequestState(a.State),
		Filed: a.Filed, Expires: a.Expires, Note: a.Note,
		Asker: approval.Asker{
			Subject: gate.Party(a.By.Subject), Client: a.By.Client, Agent: a.By.Agent, Attributes: attributesOf(a.By),
			Session: a.Origin.Session, Remote: a.Origin.Remote, Application: a.Origin.Application,
		},
		Target: approval.Target{Name: a.Target.Name, Protocol: clean(a.Target.Protocol), Generation: a.Target.Generation, Labels: a.Target.Labels},
		Command: approval.Command{Text: a.Command.Text, Params: a.Command.Params, Headline: a.Command.Headline,
			Effects: effectsOf(a.Command.Effects), Labels: a.Command.Labels},
		Terms: gate.Approval{Groups: a.Needs.Groups, Count: a.Needs.Count},
	}
	if a.By.Actor != nil {
		r.Asker.Actor = gate.Party(*a.By.Actor)
	}
	if a.Ended != nil {
		r.Ended = *a.Ended
	}
	for _, b := range a.Answers {
		r.Answers = append(r.Answers, approval.Answer{By: gate.Party(b.By), Name: b.Name,
			Approved: b.Decision == "approve", Comment: b.Comment, At: b.Time})
	}
	return r
}

func attributesOf(c api.Caller) map[string]gate.Attribute {
	out := make(map[string]gate.Attribute, len(c.Attributes))
	for name, fact := range c.Attributes {
		a := gate.Attribute{Value: fact.Value} // an unknown word is the weakest trust
		for _, t := range []gate.Trust{gate.TrustCaller, gate.TrustProvider} {
			if t.String() == fact.Trust {
				a.Trust = t
			}
		}
		out[name] = a
	}
	return out
}

// effectsOf reads effects. A word that this program does not know is unknown.
func effectsOf(words []string) gate.Effects {
	var all gate.Effects
	for _, word := range words {
		e, ok := gate.ParseEffect(word)
		if !ok {
			e = gate.EffectUnknown
		}
		all |= e
	}
	return all
}
