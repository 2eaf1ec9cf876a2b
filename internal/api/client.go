package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const (
	// maxAnswerBytes bounds a JSON answer: 1,000 access requests of ordinary
	// commands fit many times.
	maxAnswerBytes = 64 << 20
	// maxProblemBytes bounds an error answer.
	maxProblemBytes = 1 << 20
	// DefaultTimeout bounds a call other than the streaming of a recording.
	DefaultTimeout = 30 * time.Second
	connectTimeout = 10 * time.Second
)

// ClientConfig says how to reach a gateway.
type ClientConfig struct {
	// URL is the console's address, https://host:port. Only https is accepted:
	// the token goes there.
	URL string
	// CA is a PEM bundle to trust instead of the system's roots. Nil means the
	// system's; an empty bundle is an error.
	CA []byte
	// Token returns the token to send. It is asked for every call; required.
	Token func(context.Context) (gate.Secret, error)
	// Timeout bounds a call other than the streaming of a recording. Zero means
	// DefaultTimeout.
	Timeout time.Duration
}

// Client calls the interface of a gateway. Errors of the gateway are *Problem.
// It is safe for concurrent use.
type Client struct {
	base    *url.URL
	http    *http.Client
	token   func(context.Context) (gate.Secret, error)
	timeout time.Duration
}

// UnreachableError says that no answer of a gateway came back.
type UnreachableError struct {
	URL string
	Err error
}

// Error names the address and the cause.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from the gateway at %s: %v", e.URL, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// NewClient returns a client. It does not connect.
func NewClient(cfg ClientConfig) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(cfg.URL, "/"))
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("gateway address %q is not a URL like https://gateway:8420", cfg.URL)
	}
	if base.Scheme != "https" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("gateway address %q is not a plain https:// URL", cfg.URL)
	}
	if cfg.Token == nil {
		return nil, errors.New("no token source")
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CA != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(cfg.CA) {
			return nil, errors.New("the CA file holds no PEM certificate")
		}
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	return &Client{base: base, token: cfg.Token, timeout: cfg.Timeout, http: &http.Client{
		// A redirect would carry the token or the answer elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        c,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    connectTimeout,
			ResponseHeaderTimeout:  cfg.Timeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			IdleConnTimeout:        idleTimeout,
		},
	}}, nil
}

// Whoami returns the caller as the gateway sees it.
func (c *Client) Whoami(ctx context.Context) (Whoami, error) {
	return get[Whoami](ctx, c, "/v1/whoami", nil)
}

// Approvals lists access requests, newest first.
func (c *Client) Approvals(ctx context.Context, f ApprovalFilter) ([]Approval, error) {
	q := url.Values{}
	setQuery(q, "state", f.State)
	setLimit(q, f.Limit)
	out, err := get[struct{ Approvals []Approval }](ctx, c, "/v1/approvals", q)
	return out.Approvals, err
}

// Approval returns one access request.
func (c *Client) Approval(ctx context.Context, id string) (Approval, error) {
	return get[Approval](ctx, c, "/v1/approvals/"+url.PathEscape(id), nil)
}

// Answer approves or denies an access request.
func (c *Client) Answer(ctx context.Context, id string, approve bool, comment string) (Approval, error) {
	verb := "/deny"
	if approve {
		verb = "/approve"
	}
	body := map[string]string{}
	if comment != "" {
		body["comment"] = comment
	}
	return send[Approval](ctx, c, http.MethodPost, "/v1/approvals/"+url.PathEscape(id)+verb, body)
}

// Sessions lists sessions, newest first.
func (c *Client) Sessions(ctx context.Context, f SessionFilter) ([]Session, error) {
	q := url.Values{}
	setQuery(q, "target", f.Target)
	setQuery(q, "agent", f.Agent)
	for name, t := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	for name, yes := range map[string]bool{"live": f.Live, "blocked": f.Blocked} {
		if yes {
			q.Set(name, "true")
		}
	}
	setLimit(q, f.Limit)
	out, err := get[struct{ Sessions []Session }](ctx, c, "/v1/sessions", q)
	return out.Sessions, err
}

// Session returns one session.
func (c *Client) Session(ctx context.Context, id string) (Session, error) {
	return get[Session](ctx, c, "/v1/sessions/"+url.PathEscape(id), nil)
}

// Recording streams a session's recording as jsonl, asciicast or text. The
// caller closes it. A read error other than io.EOF means that the recording is
// not complete. Only ctx bounds how long it takes.
func (c *Client) Recording(ctx context.Context, id, format string) (io.ReadCloser, error) {
	q := url.Values{}
	setQuery(q, "format", format)
	r, err := c.do(ctx, http.MethodGet, "/v1/sessions/"+url.PathEscape(id)+"/recording", q, "", nil)
	if err != nil {
		return nil, err
	}
	return r.Body, nil
}

// Follow streams a session's recording as asciicast until the session ends. The
// caller closes it. A read error other than io.EOF means that more may have come.
func (c *Client) Follow(ctx context.Context, id string) (io.ReadCloser, error) {
	r, err := c.do(ctx, http.MethodGet, "/v1/sessions/"+url.PathEscape(id)+"/follow", nil, "", nil)
	if err != nil {
		return nil, err
	}
	return r.Body, nil
}

// Revoke revokes an agent, a token or a session, or lifts the revocations of an
// agent or a token.
func (c *Client) Revoke(ctx context.Context, r Revocation) (Revoked, error) {
	var in revokeInput
	b := &in.Body
	b.Agent, b.TokenID, b.Session, b.Issuer, b.Reason, b.Until, b.Lift = r.Agent, r.TokenID, r.Session, r.Issuer, r.Reason, r.Until, r.Lift
	return send[Revoked](ctx, c, http.MethodPost, "/v1/revocations", b)
}

// Revocations lists the revocations in force.
func (c *Client) Revocations(ctx context.Context) ([]Revocation, error) {
	out, err := get[struct{ Revocations []Revocation }](ctx, c, "/v1/revocations", nil)
	return out.Revocations, err
}

// Documents lists the documents in force.
func (c *Client) Documents(ctx context.Context) ([]Document, error) {
	out, err := get[struct{ Documents []Document }](ctx, c, "/v1/documents", nil)
	return out.Documents, err
}

// Apply puts a stream of YAML documents in force, or with dryRun only says what
// that would do.
func (c *Client) Apply(ctx context.Context, body []byte, dryRun bool) (Applied, error) {
	return call[Applied](ctx, c, http.MethodPut, "/v1/documents", dryRunQuery(dryRun), "application/yaml", body)
}

// RemoveDocument takes a document out of force, or with dryRun only says what that
// would do.
func (c *Client) RemoveDocument(ctx context.Context, kind, name string, dryRun bool) (Applied, error) {
	return call[Applied](ctx, c, http.MethodDelete, "/v1/documents/"+url.PathEscape(kind)+"/"+url.PathEscape(name), dryRunQuery(dryRun), "", nil)
}

func dryRunQuery(dryRun bool) url.Values {
	q := url.Values{}
	if dryRun {
		q.Set("dry_run", "true")
	}
	return q
}

func setQuery(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func setLimit(q url.Values, limit int) {
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
}

func get[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	return call[T](ctx, c, http.MethodGet, path, q, "", nil)
}

func send[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		var zero T
		return zero, err
	}
	return call[T](ctx, c, method, path, nil, "application/json", raw)
}

func call[T any](ctx context.Context, c *Client, method, path string, q url.Values, kind string, body []byte) (T, error) {
	var out T
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := c.do(ctx, method, path, q, kind, body)
	if err != nil {
		return out, err
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return out, &UnreachableError{c.base.String(), err}
	case len(raw) > maxAnswerBytes:
		return out, fmt.Errorf("the gateway's answer is larger than %d MiB: ask for less", maxAnswerBytes>>20)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("the gateway at %s gave an answer that cannot be read: %w", c.base, err)
	}
	return out, nil
}

// do sends a request and returns the answer if its status is 200.
func (c *Client) do(ctx context.Context, method, path string, q url.Values, kind string, body []byte) (*http.Response, error) {
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.URL.RawQuery = q.Encode()
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	r.Header.Set("User-Agent", "sallyport")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, &UnreachableError{c.base.String(), innermost(err)}
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, c.problem(answer)
}

// problem reads an error answer. What is not a problem document did not come
// from a gateway.
func (c *Client) problem(r *http.Response) error {
	p := &Problem{}
	t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	err := json.NewDecoder(io.LimitReader(r.Body, maxProblemBytes)).Decode(p)
	if t != problemType || err != nil || p.Status != r.StatusCode {
		return fmt.Errorf("what answers at %s is not a Sallyport gateway: HTTP status %d", c.base, r.StatusCode)
	}
	return p
}

// innermost drops the URL error around a cause: it repeats the address.
func innermost(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
