package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// maxStreams bounds the recordings that are streamed at the same time: each
// holds a file and a decoder.
const maxStreams = 16

// maxFollowers bounds the sessions that are followed at the same time.
const maxFollowers = 64

// Config is what the interface is made of. Every interface but SSH is required.
type Config struct {
	Identifier  Identifier
	Authority   Authority
	Approvals   Approvals
	Sessions    Sessions
	Revocations Revocations
	Documents   Documents
	Audit       Audit
	// SSH issues certificates to agents; nil where SSH is not served.
	SSH SSH
	// Ready reports whether the gateway can serve; nil means always. Its error
	// is for the log.
	Ready func(context.Context) error
	// Metrics serves the metrics; nil answers 404.
	Metrics http.Handler
	// MetricsOnLoopback lets callers on this machine read the metrics without
	// a token. Default: everybody needs a token with the permission "metrics".
	MetricsOnLoopback bool
	// Version is shown in the OpenAPI document.
	Version string
	// Log receives what happened, never what was said. Nil discards.
	Log *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Server is the HTTP interface. It is an [http.Handler], safe for concurrent
// use. Mount it at [Patterns] of the console's listener.
type Server struct {
	cfg      Config
	mux      *http.ServeMux
	api      huma.API
	failures *failures
	streams  chan struct{} // one element per recording being streamed
	// followers has one element per session being followed.
	followers chan struct{}
}

// Patterns returns the http.ServeMux patterns that belong to the interface.
func Patterns() []string {
	return []string{"/v1/", "/healthz", "/readyz", "/metrics", "/openapi.json"}
}

// New returns the interface. It fails if a part is missing.
func New(cfg Config) (*Server, error) {
	for name, part := range map[string]any{
		"Identifier": cfg.Identifier, "Authority": cfg.Authority, "Approvals": cfg.Approvals, "Sessions": cfg.Sessions,
		"Revocations": cfg.Revocations, "Documents": cfg.Documents, "Audit": cfg.Audit,
	} {
		if part == nil {
			return nil, fmt.Errorf("api: no %s", name)
		}
	}
	return build(cfg)
}

// OpenAPI returns the OpenAPI 3.1 document of the interface as JSON.
func OpenAPI(version string) ([]byte, error) {
	s, err := build(Config{Version: version})
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(s.api.OpenAPI(), "", "  ")
}

func build(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Version == "" {
		cfg.Version = "0"
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux(), failures: newFailures(cfg.Now), streams: make(chan struct{}, maxStreams),
		followers: make(chan struct{}, maxFollowers)}
	s.api = humago.New(s.mux, humaConfig(cfg.Version))
	s.api.UseMiddleware(s.authenticate)
	s.registerApprovals()
	s.registerSessions()
	s.registerRevocations()
	s.registerDocuments()
	s.registerWhoami()
	s.registerSSH()
	s.registerSystem()
	document := s.api.OpenAPI()
	// huma's own error form is never sent: rewordProblem replaces it.
	delete(document.Components.Schemas.Map(), "ErrorModel")
	delete(document.Components.Schemas.Map(), "ErrorDetail")
	spec, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("api: openapi: %w", err)
	}
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oai.openapi+json")
		_, _ = w.Write(spec) // a caller that left is no error
	})
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, newProblem(http.StatusNotFound, ""))
	})
	return s, nil
}

func humaConfig(version string) huma.Config {
	c := huma.DefaultConfig("Sallyport", version)
	c.Info.Description = "Access requests, sessions, revocations and documents of a Sallyport gateway."
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	// No pages made by huma: its documentation page loads scripts from elsewhere.
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: strictJSON}
	c.Formats = map[string]huma.Format{"application/json": format, "json": format}
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{rewordProblem}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "A token of an issuer that the gateway knows."},
	}
	c.Security = []map[string][]string{{"token": {}}}
	return c
}

// operation fills in what all operations have in common. permission is what a
// person needs; agents says that agents may call it too.
func (s *Server) operation(o huma.Operation, permission string, agents bool) huma.Operation {
	o.Metadata = map[string]any{metaPermission: permission, metaAgents: agents}
	if permission != "" {
		o.Extensions = map[string]any{"x-sallyport-permission": permission}
	}
	// A POST without a body is the smallest; documents set their own bound.
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = maxJSONBody
	}
	o.BodyReadTimeout = bodyTimeout
	o.Responses = map[string]*huma.Response{"default": {
		Description: "Problem",
		Content: map[string]*huma.MediaType{problemType: {
			Schema: huma.SchemaFromType(s.api.OpenAPI().Components.Schemas, problemReflect),
		}},
	}}
	return o
}

// call carries out a call that changes something or reveals recorded data: it is
// on record before it begins, and so is its outcome.
func (s *Server) call(ctx context.Context, action, object, detail string, do func(context.Context) error) error {
	c := callerOf(ctx)
	e := AuditEntry{By: c.principal, Remote: c.remote, Action: action, Object: object, Detail: detail}
	record := func(ctx context.Context, outcome string) error {
		e.Time, e.Outcome = s.cfg.Now(), outcome
		if err := s.cfg.Audit.Record(ctx, e); err != nil {
			s.cfg.Log.Error("audit log not written, call refused", "action", action, "error", err)
			return newProblem(http.StatusServiceUnavailable, "The gateway cannot record this call now, so it is not carried out.")
		}
		return nil
	}
	if err := record(ctx, OutcomeBegun); err != nil {
		return err
	}
	err := do(ctx)
	outcome := OutcomeDone
	if err != nil {
		outcome = OutcomeFailed
		if p := problemOf(err); p.Status < http.StatusInternalServerError {
			outcome = OutcomeRefused
		}
	}
	// The caller may have left; what was done is recorded all the same.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	if e := record(after, outcome); e != nil && err == nil {
		return newProblem(http.StatusInternalServerError, "")
	}
	return err
}

// fail logs what the caller is not told and returns what it is told.
func (s *Server) fail(ctx context.Context, operation string, err error) error {
	p := problemOf(err)
	var e *Error
	if p.Status >= http.StatusInternalServerError || errors.As(err, &e) && e.Err != nil {
		s.cfg.Log.ErrorContext(ctx, "api call not carried out", "operation", operation, "status", p.Status, "error", err)
	}
	return p
}
