package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// readyTimeout bounds the check of readiness.
const readyTimeout = 3 * time.Second

type whoamiOutput struct{ Body Whoami }

func (s *Server) registerWhoami() {
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "whoami", Method: http.MethodGet, Path: "/v1/whoami",
		Summary: "Show whom the token names and what it permits", Tags: []string{"identity"},
	}, "", true), s.whoami)
}

func (s *Server) whoami(ctx context.Context, _ *struct{}) (*whoamiOutput, error) {
	p := callerOf(ctx).principal
	out := &whoamiOutput{Body: Whoami{
		Kind: p.Kind.String(), Caller: CallerOf(p), Groups: p.Groups, TokenID: p.TokenID,
		Expires: p.Expiry, Permissions: []string{},
	}}
	if p.Kind == gate.KindPerson {
		for _, permission := range Permissions() {
			if s.cfg.Authority.Allowed(p, permission) {
				out.Body.Permissions = append(out.Body.Permissions, permission)
			}
		}
	}
	return out, nil
}

// registerSystem adds what balancers and collectors ask. Health and readiness
// need no token and so tell nothing but the status.
func (s *Server) registerSystem() {
	s.plain("/healthz", "health", "The process answers", nil, func(w http.ResponseWriter, _ *http.Request) {
		writeWord(w, http.StatusOK, "ok\n")
	})
	s.plain("/readyz", "ready", "The gateway can serve: 200, or 503 if not", nil, s.ready)
	s.plain("/metrics", "metrics", "Metrics in the Prometheus text format",
		[]map[string][]string{{"token": {}}}, s.metrics)
}

// plain registers a handler outside huma, for plain text, and describes it.
func (s *Server) plain(path, id, summary string, security []map[string][]string, h http.HandlerFunc) {
	s.mux.HandleFunc("GET "+path, h)
	if security == nil {
		security = []map[string][]string{}
	}
	s.api.OpenAPI().AddOperation(&huma.Operation{
		OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{"system"}, Security: security,
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}},
		}}},
	})
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := s.cfg.Ready(ctx); err != nil {
			s.cfg.Log.Warn("not ready", "error", err)
			writeWord(w, http.StatusServiceUnavailable, "not ready\n")
			return
		}
	}
	writeWord(w, http.StatusOK, "ready\n")
}

// metrics serves callers with the permission, and callers on this machine if
// the operator says so. A request that a proxy on this machine passes on for
// somebody else is not from this machine.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	forwarded := r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Via") != ""
	if !s.cfg.MetricsOnLoopback || !isLoopback(r.RemoteAddr) || forwarded {
		p, problem := s.identify(r)
		if problem == nil {
			problem = s.authorise(p, &huma.Operation{Metadata: map[string]any{metaPermission: PermitMetrics}})
		}
		if problem != nil {
			writeProblem(w, problem)
			return
		}
	}
	if s.cfg.Metrics == nil {
		writeProblem(w, newProblem(http.StatusNotFound, ""))
		return
	}
	s.cfg.Metrics.ServeHTTP(w, r)
}

func writeWord(w http.ResponseWriter, status int, word string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(word)) // a caller that left is no error
}
