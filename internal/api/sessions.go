package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

type listSessionsInput struct {
	Target  string    `query:"target" maxLength:"256"`
	Agent   string    `query:"agent" maxLength:"512"`
	Since   time.Time `query:"since" doc:"Only sessions that started at this time or later"`
	Until   time.Time `query:"until" doc:"Only sessions that started before this time"`
	Live    bool      `query:"live" doc:"Only sessions that live"`
	Blocked bool      `query:"blocked" doc:"Only sessions with a refused command"`
	Limit   int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type sessionsOutput struct {
	Body struct {
		Sessions []Session `json:"sessions"`
	}
}

type sessionInput struct {
	ID string `path:"id" maxLength:"128"`
}

type sessionOutput struct{ Body Session }

type recordingInput struct {
	ID     string `path:"id" maxLength:"128"`
	Format string `query:"format" enum:"jsonl,asciicast,text" default:"jsonl" doc:"jsonl: one event a line; asciicast: for players; text: for reading"`
}

func (s *Server) registerSessions() {
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: "/v1/sessions",
		Summary: "List sessions, live and recorded, newest first", Tags: []string{"sessions"},
	}, PermitSessions, false), s.listSessions)
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "show-session", Method: http.MethodGet, Path: "/v1/sessions/{id}",
		Summary: "Show a session", Tags: []string{"sessions"},
	}, PermitSessions, false), s.showSession)
	o := s.operation(huma.Operation{
		OperationID: "read-recording", Method: http.MethodGet, Path: "/v1/sessions/{id}/recording",
		Summary: "Stream a session's recording", Tags: []string{"sessions"},
		Description: "What the agent sent and was answered, in masked form. Every call is written to the audit log. " +
			"If reading fails midway the connection breaks: an answer that ends properly is complete.",
	}, PermitSessions, false)
	binary := func() *huma.MediaType { return &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}} }
	o.Responses["200"] = &huma.Response{Description: "The recording", Content: map[string]*huma.MediaType{
		formatType("jsonl"): binary(), formatType("asciicast"): binary(), formatType("text"): binary(),
	}}
	huma.Register(s.api, o, s.readRecording)
	f := s.operation(huma.Operation{
		OperationID: "follow-session", Method: http.MethodGet, Path: "/v1/sessions/{id}/follow",
		Summary: "Stream a session's recording until the session ends", Tags: []string{"sessions"},
		Description: "As asciicast: what is recorded so far, and then each event as it comes. Empty lines keep the connection. " +
			"Every call is written to the audit log, and ends when the caller's token or permission does.",
	}, PermitSessions, false)
	f.Responses["200"] = &huma.Response{Description: "The recording", Content: map[string]*huma.MediaType{formatType("asciicast"): binary()}}
	huma.Register(s.api, f, s.followSession)
}

func (s *Server) listSessions(ctx context.Context, in *listSessionsInput) (*sessionsOutput, error) {
	list, err := s.cfg.Sessions.List(ctx, SessionFilter{
		Target: in.Target, Agent: in.Agent, Since: in.Since, Until: in.Until, Live: in.Live, Blocked: in.Blocked, Limit: in.Limit,
	})
	if err != nil {
		return nil, s.fail(ctx, "list-sessions", err)
	}
	out := &sessionsOutput{}
	out.Body.Sessions = append([]Session{}, list...)
	return out, nil
}

func (s *Server) showSession(ctx context.Context, in *sessionInput) (*sessionOutput, error) {
	found, err := s.cfg.Sessions.Show(ctx, in.ID)
	if err != nil {
		return nil, s.fail(ctx, "show-session", err)
	}
	return &sessionOutput{Body: found}, nil
}

// formatType returns the media type of an export format.
func formatType(format string) string {
	switch format {
	case "asciicast":
		return "application/x-asciicast"
	case "text":
		return "text/plain; charset=utf-8"
	default:
		return "application/jsonl"
	}
}

func (s *Server) readRecording(_ context.Context, in *recordingInput) (*huma.StreamResponse, error) {
	return s.streamRecording(s.streams, "recording.read", in.ID, in.Format, func(ctx context.Context, out *stream) error {
		return s.cfg.Sessions.Export(ctx, in.ID, in.Format, out)
	})
}

func (s *Server) followSession(_ context.Context, in *sessionInput) (*huma.StreamResponse, error) {
	return s.streamRecording(s.followers, "recording.follow", in.ID, "asciicast", func(ctx context.Context, out *stream) error {
		who := callerOf(ctx).principal
		out.live, out.permitted = true, func() bool {
			_, revoked := s.cfg.Identifier.Revoked(who)
			return !revoked && s.cfg.Now().Before(who.Expiry) && s.cfg.Authority.Allowed(who, PermitSessions)
		}
		return s.cfg.Sessions.Follow(ctx, in.ID, out)
	})
}

// streamRecording answers with what do writes; seats bounds how many do at a time.
func (s *Server) streamRecording(seats chan struct{}, action, id, format string, do func(context.Context, *stream) error) (*huma.StreamResponse, error) {
	select {
	case seats <- struct{}{}:
	default:
		p := newProblem(http.StatusServiceUnavailable, "Too many recordings are being read now: try again later.")
		p.retryAfter = 5 * time.Second
		return nil, p
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer func() { <-seats }()
		_, w := humago.Unwrap(hc)
		out := &stream{w: w, control: http.NewResponseController(w), format: format}
		ctx := hc.Context()
		err := s.call(ctx, action, id, format, func(ctx context.Context) error { return do(ctx, out) })
		switch {
		case err == nil && !out.begun:
			out.begin()
		case err == nil:
		case out.begun:
			_ = s.fail(ctx, action, err) // logged; the broken connection tells the caller
			panic(http.ErrAbortHandler)
		default:
			writeProblem(w, problemOf(s.fail(ctx, action, err)))
		}
	}}, nil
}

// stream writes a recording. The status goes out with the first byte, so that a
// failure before it is a proper problem. A caller that takes nothing for
// writeTimeout is cut.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	format  string
	begun   bool
	// live sends each write at once: what is followed goes on for hours. permitted
	// is asked before each, and nil where an answer takes seconds.
	live      bool
	permitted func() bool
}

// errPermission ends the answer to a caller who may not see more.
var errPermission = &Error{Kind: Forbidden, Public: "Your token or your permission has ended."}

func (t *stream) begin() {
	t.begun = true
	t.w.Header().Set("Content-Type", formatType(t.format))
	t.w.WriteHeader(http.StatusOK)
}

func (t *stream) Write(b []byte) (int, error) {
	if t.permitted != nil && !t.permitted() {
		return 0, errPermission
	}
	if !t.begun {
		t.begin()
	}
	if err := t.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	n, err := t.w.Write(b)
	if err == nil && t.live {
		err = t.control.Flush()
	}
	return n, err
}
