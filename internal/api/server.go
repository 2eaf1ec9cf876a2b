package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const (
	// MaxConnections is how many connections the console's listener should
	// take (see [LimitListener]); each costs about 20 KiB with TLS.
	MaxConnections = 1024

	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 60 * time.Second
	// maxHeaderBytes fits the greatest token and an ordinary client's headers.
	maxHeaderBytes = 32 << 10
	// maxH2Streams bounds the requests of one HTTP/2 connection at a time.
	maxH2Streams = 32
)

// HTTPServer returns a server for the handler with every bound set. Serve it on
// tls.NewListener(LimitListener(l, MaxConnections), config); the listener must be
// limited below TLS, or HTTP/2 is lost.
func HTTPServer(h http.Handler, config *tls.Config, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		TLSConfig:         config,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxH2Streams},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// info is what the log says of a request, filled in on its way.
type info struct {
	principal *gate.Principal
	status    int
	bytes     int64
}

type infoKey struct{}

func infoOf(ctx context.Context) *info {
	i, _ := ctx.Value(infoKey{}).(*info)
	return i
}

// ServeHTTP serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := s.cfg.Now()
	i := &info{}
	r = r.WithContext(context.WithValue(r.Context(), infoKey{}, i))
	out := &response{ResponseWriter: w, info: i}
	secureHeaders(w.Header())
	defer func() {
		if v := recover(); v != nil {
			s.panicked(out, v)
		}
		s.logRequest(r, i, s.cfg.Now().Sub(start))
	}()
	s.mux.ServeHTTP(out, r)
}

// panicked answers for a handler that panicked; if its answer has begun, the
// connection is closed so that the caller does not take a part for the whole.
func (s *Server) panicked(w *response, v any) {
	if v != http.ErrAbortHandler {
		s.cfg.Log.Error("api handler panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
	if w.info.status != 0 {
		panic(http.ErrAbortHandler)
	}
	writeProblem(w, newProblem(http.StatusInternalServerError, ""))
}

func (s *Server) logRequest(r *http.Request, i *info, took time.Duration) {
	attrs := []any{"method", r.Method, "route", r.Pattern, "status", i.status, "bytes", i.bytes,
		"took", took, "remote", r.RemoteAddr}
	if i.principal != nil {
		attrs = append(attrs, "kind", i.principal.Kind.String(), "issuer", i.principal.Issuer, "subject", i.principal.Subject)
	}
	s.cfg.Log.Info("api request", attrs...)
}

// secureHeaders tells browsers that nothing here is a page, is to be kept, or
// is for other origins.
func secureHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// response notes what was answered.
type response struct {
	http.ResponseWriter
	info *info
}

func (w *response) WriteHeader(status int) {
	if w.info.status == 0 {
		w.info.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.info.status == 0 {
		w.info.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.info.bytes += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
