// Package oidc starts a real, certified OpenID provider for tests: the npm
// package oidc-provider, as a child process on a free loopback port. Tokens of a
// provider that this project did not write show that the verifier understands
// the standard, and not only itself.
//
// It needs node and npm. The first use installs the pinned dependencies into
// node_modules beside this file; later ones, also of other processes at the same
// time, find them there. It is for tests only.
package oidc

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	installTimeout = 3 * time.Minute
	startTimeout   = 30 * time.Second
	// DefaultSecret is the secret of a client that names none.
	DefaultSecret = "s3cret"
	// DefaultAudience is the audience of tokens when Options do not say.
	DefaultAudience = "sallyport"
)

// Client is an OAuth client that may get tokens by client credentials.
type Client struct {
	// ID is client_id, and sub of its tokens.
	ID string `json:"id"`
	// Secret is client_secret. Default: DefaultSecret.
	Secret string `json:"secret"`
	// Claims are added to its tokens, as an administrator of the provider sets them.
	Claims map[string]any `json:"claims,omitempty"`
}

// Options say how the provider is set up.
type Options struct {
	// Audience is aud of the tokens. Default: DefaultAudience.
	Audience string `json:"audience"`
	// TTL is the lifetime of the tokens in whole seconds. Default: 5 minutes.
	TTL time.Duration `json:"-"`
	// Algorithm signs the tokens: RS256, ES256, EdDSA. Default: RS256.
	Algorithm string `json:"algorithm"`
	// Clients may get tokens. Default: DefaultClients.
	Clients []Client `json:"clients"`
}

// DefaultClients are two agents of different risk, and a person who may approve.
func DefaultClients() []Client {
	return []Client{
		{ID: "reporting-agent", Claims: map[string]any{"purpose": "reporting", "risk_tier": "low"}},
		{ID: "support-agent", Claims: map[string]any{"purpose": "support", "risk_tier": "high"}},
		{ID: "alice", Claims: map[string]any{"groups": []string{"dba"}}},
	}
}

// Provider is a running provider. Its methods may be called from several
// goroutines; they fail the test when the provider does not do as asked.
type Provider struct {
	// URL is the issuer identifier.
	URL string

	t       testing.TB
	secrets map[string]string

	mu      sync.Mutex     // guards control and answers: one request at a time
	control io.WriteCloser // the child's standard input
	answers *bufio.Scanner // its standard output
}

// Start starts a provider that ends with the test.
func Start(t testing.TB, opts Options) *Provider {
	t.Helper()
	folder := install(t)
	p := &Provider{t: t, secrets: map[string]string{}}
	cmd := exec.Command("node", "provider.mjs", p.arguments(opts))
	cmd.Dir = folder
	var warnings bytes.Buffer
	cmd.Stderr = &warnings
	var err error
	if p.control, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the OpenID provider (needs node): %v", err)
	}
	p.answers = bufio.NewScanner(out)
	timer := time.AfterFunc(startTimeout, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = p.control.Close() // the provider ends when its input does
		kill := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
	})
	var ready struct{ URL string }
	err = p.read(&ready)
	if !timer.Stop() || err != nil {
		t.Fatalf("the OpenID provider did not start: %v\n%s", err, warnings.String())
	}
	p.URL = ready.URL
	return p
}

func (p *Provider) arguments(opts Options) string {
	if opts.Audience == "" {
		opts.Audience = DefaultAudience
	}
	if opts.TTL == 0 {
		opts.TTL = 5 * time.Minute
	}
	if opts.Algorithm == "" {
		opts.Algorithm = "RS256"
	}
	if opts.Clients == nil {
		opts.Clients = DefaultClients()
	}
	clients := make([]Client, len(opts.Clients))
	for i, c := range opts.Clients {
		if c.Secret == "" {
			c.Secret = DefaultSecret
		}
		clients[i], p.secrets[c.ID] = c, c.Secret
	}
	opts.Clients = clients
	raw, err := json.Marshal(struct {
		Options
		TTL int `json:"ttl"`
	}{opts, int(opts.TTL / time.Second)})
	if err != nil {
		p.t.Fatal(err)
	}
	return string(raw)
}

func (p *Provider) read(into any) error {
	if !p.answers.Scan() {
		return fmt.Errorf("no answer: %w", p.answers.Err())
	}
	return json.Unmarshal(p.answers.Bytes(), into)
}

func (p *Provider) ask(request string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var answer struct{ Keys []string }
	if _, err := io.WriteString(p.control, request+"\n"); err != nil {
		p.t.Fatalf("%s: %v", request, err)
	}
	if err := p.read(&answer); err != nil || len(answer.Keys) == 0 {
		p.t.Fatalf("%s: %v", request, err)
	}
}

// Rotate has a new key sign from now on; the old keys stay published.
func (p *Provider) Rotate() { p.t.Helper(); p.ask("rotate") }

// Retire stops publishing all keys but the newest.
func (p *Provider) Retire() { p.t.Helper(); p.ask("retire") }

// Token returns an access token for the client, for the provider's audience.
func (p *Provider) Token(client string) string { p.t.Helper(); return p.TokenFor(client, "") }

// TokenFor returns an access token for the client and another audience.
func (p *Provider) TokenFor(client, audience string) string {
	p.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	if audience != "" {
		form.Set("resource", "https://resource.test/"+url.PathEscape(audience))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(p.secrets[client]))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Token       string `json:"access_token"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&answer); err != nil || answer.Token == "" {
		p.t.Fatalf("token for %s: %d %s %s (%v)", client, res.StatusCode, answer.Error, answer.Description, err)
	}
	return answer.Token
}

// install puts the pinned dependencies in place and returns the folder. A lock
// keeps test processes that start at the same time from installing twice.
func install(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the folder of package oidc is not known")
	}
	folder := filepath.Dir(file)
	lock, err := os.OpenFile(filepath.Join(folder, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }() // releases the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	pinned, err := os.ReadFile(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(pinned)
	want := hex.EncodeToString(sum[:])
	stamp := filepath.Join(folder, "node_modules", ".installed")
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
		return folder
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = folder
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("install the OpenID provider (needs npm): %v\n%s", err, out)
	}
	if err := os.WriteFile(stamp, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}
