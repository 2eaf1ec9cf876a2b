package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/postgres/wire"
	sshwire "github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
	"github.com/sallyport-gateway/sallyport/internal/record"
)

func newSessionsCommand() *cobra.Command {
	return newGroup("sessions", "List, show, follow, replay and export sessions",
		newSessionsList(), newSessionsShow(), newSessionsFollow(), newSessionsReplay(), newSessionsExport())
}

// archive is where sessions are read: a gateway, or a folder of recordings.
type archive struct {
	connection
	dir string
}

func (a *archive) flags(cmd *cobra.Command) *cobra.Command {
	a.connection.flags(cmd)
	cmd.Flags().StringVar(&a.dir, "dir", "", "read this `FOLDER` of recordings, without a gateway")
	return cmd
}

func newSessionsList() *cobra.Command {
	a := &archive{}
	f := api.SessionFilter{}
	cmd := a.flags(&cobra.Command{
		Use:     "list",
		Short:   "List sessions, live and recorded, newest first",
		Example: "  sallyport sessions list --live\n  sallyport sessions list --blocked --since 2026-11-22",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.dir != "" {
				return a.listFolder(cmd, f)
			}
			return action(&a.connection, func(ctx context.Context, client *api.Client, _ []string) ([]api.Session, error) {
				return client.Sessions(ctx, f)
			}, showSessions)(cmd, args)
		},
	})
	layouts := []string{time.RFC3339, time.DateOnly}
	cmd.Flags().StringVar(&f.Target, "target", "", "only sessions on this `TARGET`")
	cmd.Flags().StringVar(&f.Agent, "agent", "", "only sessions of this `AGENT`")
	cmd.Flags().TimeVar(&f.Since, "since", time.Time{}, layouts, "only sessions that started at this `TIME` or later")
	cmd.Flags().TimeVar(&f.Until, "until", time.Time{}, layouts, "only sessions that started before this `TIME`")
	cmd.Flags().BoolVar(&f.Live, "live", false, "only sessions that live")
	cmd.Flags().BoolVar(&f.Blocked, "blocked", false, "only sessions with a refused command")
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "how many at most, up to 1000")
	return cmd
}

// listFolder shows what can be read even if some recordings cannot.
func (a *archive) listFolder(cmd *cobra.Command, f api.SessionFilter) error {
	found, err := record.List(a.dir, recordFilter(f))
	list := make([]api.Session, 0, len(found))
	for i := range found {
		list = append(list, sessionOf(&found[i]))
	}
	show := showSessions
	if a.json {
		show = func(w io.Writer, list []api.Session) error { return printJSON(w, list) }
	}
	return errors.Join(show(cmd.OutOrStdout(), list), err)
}

func newSessionsShow() *cobra.Command {
	a := &archive{}
	return a.flags(&cobra.Command{
		Use:   "show ID",
		Short: "Show whose session it is, on what, and how it ended",
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.dir == "" {
				return action(&a.connection, func(ctx context.Context, client *api.Client, args []string) (api.Session, error) {
					return client.Session(ctx, args[0])
				}, showSession)(cmd, args)
			}
			found, err := record.Summarise(a.dir, args[0])
			if err != nil {
				return folderError(err)
			}
			if a.json {
				return printJSON(cmd.OutOrStdout(), sessionOf(&found))
			}
			return showSession(cmd.OutOrStdout(), sessionOf(&found))
		},
	})
}

func newSessionsFollow() *cobra.Command {
	a := &archive{}
	cmd := &cobra.Command{
		Use:   "follow ID",
		Short: "Watch a live session: commands, decisions and answers as they come",
		Long: "Show what a session has done so far, and then each command, decision and answer as it comes, until\n" +
			"the session ends. Of a shell, output is shown as it appears, without cursor movements and colours.\n\n" +
			"Nothing that an agent or a target sends can act on your terminal. Following through a gateway is\n" +
			"written to its audit log, and ends with your token.",
		Example: "  sallyport sessions list --live\n  sallyport sessions follow SESSION",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			err := a.follow(ctx, args[0], out)
			if ctx.Err() != nil {
				return nil // interrupting it is how a person stops to watch
			}
			return err
		},
	}
	a.flags(cmd)
	_ = cmd.Flags().MarkHidden("json") // following is for people; export is for machines
	return cmd
}

func (a *archive) follow(ctx context.Context, id string, out io.Writer) error {
	if a.dir != "" {
		return a.read(id, func(r *record.Reader) error {
			return record.Replay(ctx, out, r, record.ReplayOptions{Follow: true, Renderer: liveRendererFor(r.Start().Protocol)})
		})
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	r, err := client.Follow(ctx, id)
	if err != nil {
		return explain(err)
	}
	defer r.Close()
	return api.PlayCast(ctx, r, out, api.Pace{Clean: screen})
}

func newSessionsReplay() *cobra.Command {
	a := &archive{}
	var speed float64
	var idle time.Duration
	cmd := &cobra.Command{
		Use:   "replay ID",
		Short: "Replay a session: who, what, the decisions, and what was answered",
		Long: "Replay a session: who, what, the decisions, and what was answered, in masked form.\n\n" +
			"Nothing that is in a recording can act on your terminal. Every replay through a gateway is\n" +
			"written to its audit log.",
		Example: "  sallyport sessions replay SESSION --speed 4\n  sallyport sessions replay SESSION --speed 0",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(speed >= 0) || idle < 0 {
				return &usageError{cmd.CommandPath(), "--speed and --max-idle are not negative"}
			}
			out := cmd.OutOrStdout()
			if a.dir == "" {
				return a.stream(cmd.Context(), args[0], "asciicast", func(r io.Reader) error {
					return api.PlayCast(cmd.Context(), r, out, api.Pace{Speed: speed, MaxIdle: idle, Clean: screen})
				})
			}
			if idle == 0 {
				idle = 24 * time.Hour // for record, zero is its default
			}
			return a.read(args[0], func(r *record.Reader) error {
				return record.Replay(cmd.Context(), out, r, record.ReplayOptions{
					Speed: speed, MaxIdle: idle, Renderer: rendererFor(r.Start().Protocol)})
			})
		},
	}
	a.flags(cmd)
	_ = cmd.Flags().MarkHidden("json") // a replay is for people; export is for machines
	cmd.Flags().Float64Var(&speed, "speed", 1, "how many times faster than it happened; 0 shows all at once")
	cmd.Flags().DurationVar(&idle, "max-idle", record.DefaultMaxIdle, "the longest pause; 0 keeps every pause")
	return cmd
}

func newSessionsExport() *cobra.Command {
	a := &archive{}
	var format, file string
	cmd := &cobra.Command{
		Use:   "export ID",
		Short: "Write a recording as JSON lines, asciicast or text",
		Long: "Write a recording as jsonl (every event, complete), asciicast (for players of terminal\n" +
			"recordings) or text (what replay shows).",
		Example: "  sallyport sessions export SESSION --format jsonl --output session.jsonl",
		Args:    exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeOutput(cmd.OutOrStdout(), file, func(w io.Writer) error {
				if a.dir == "" {
					return a.stream(cmd.Context(), args[0], format, func(r io.Reader) error {
						_, err := io.Copy(w, r)
						return err
					})
				}
				return a.read(args[0], func(r *record.Reader) error {
					return record.Export(cmd.Context(), w, r, record.Format(format),
						record.ReplayOptions{Renderer: rendererFor(r.Start().Protocol)})
				})
			})
		},
	}
	a.flags(cmd)
	_ = cmd.Flags().MarkHidden("json")
	cmd.Flags().StringVar(&format, "format", "jsonl", "jsonl, asciicast or text")
	cmd.Flags().StringVarP(&file, "output", "o", "", "`FILE` to write; it must not exist; default: standard output")
	return cmd
}

// stream reads a recording from the gateway.
func (a *archive) stream(ctx context.Context, id, format string, use func(io.Reader) error) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	r, err := client.Recording(ctx, id, format)
	if err != nil {
		return explain(err)
	}
	defer r.Close()
	return use(r)
}

// read opens a recording in the folder.
func (a *archive) read(id string, use func(*record.Reader) error) error {
	r, err := record.Open(a.dir, id)
	if err != nil {
		return folderError(err)
	}
	defer r.Close()
	return use(r)
}

// rendererFor returns what makes the answers of a protocol readable; nil shows
// them as escaped text.
func rendererFor(protocol string) record.Renderer {
	switch protocol {
	case "postgres":
		return new(wire.Renderer)
	case "ssh":
		return new(sshwire.Renderer)
	default:
		return nil
	}
}

// liveRendererFor is rendererFor for somebody who watches.
func liveRendererFor(protocol string) record.Renderer {
	if protocol == "ssh" {
		return &sshwire.Renderer{Live: true}
	}
	return rendererFor(protocol)
}

func folderError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &hintError{err, "sallyport sessions list --dir FOLDER shows what is there.", exitNotFound}
	}
	return err
}

func recordFilter(f api.SessionFilter) record.Filter {
	return record.Filter{Agent: f.Agent, Target: f.Target, Since: f.Since, Until: f.Until, Live: f.Live, Blocked: f.Blocked, Limit: f.Limit}
}

// sessionOf returns the view of a recording's summary.
func sessionOf(s *record.Summary) api.Session {
	v := api.Session{
		ID: s.ID, State: "ended", Target: s.Target, Protocol: s.Protocol, Remote: s.Remote, User: s.User,
		Application: s.Application, Started: s.Started, End: s.Cause,
		By: api.Caller{Subject: api.Party{Issuer: s.Subject.Issuer, Subject: s.Subject.Subject}, Client: s.ClientID, Agent: s.Agent},
		Counts: api.Counts{Commands: int64(s.Commands), Blocked: int64(s.Blocked), Held: int64(s.Held),
			Unknown: int64(s.Unknown), AnswerBytes: int64(s.Bytes)},
	}
	if s.Actor != (gate.Party{}) {
		v.By.Actor = &api.Party{Issuer: s.Actor.Issuer, Subject: s.Actor.Subject}
	}
	for name, a := range s.Attributes {
		if v.By.Attributes == nil {
			v.By.Attributes = make(map[string]api.Fact, len(s.Attributes))
		}
		v.By.Attributes[name] = api.Fact{Value: a.Value, Trust: a.Trust}
	}
	switch {
	case s.Live:
		v.State, v.Deadline = "live", &s.Deadline
	case !s.Complete:
		v.State = "interrupted"
	}
	if !s.Ended.IsZero() && !s.Live {
		v.Ended = &s.Ended
	}
	return v
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
