package identity

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// maxDocumentBytes bounds what a provider may answer: discovery documents and
	// key sets are a few KiB.
	maxDocumentBytes = 1 << 20
	// fetchTimeout bounds one refresh, discovery and keys together, and with it
	// the longest that a log-in waits for a provider.
	fetchTimeout = 5 * time.Second
	// retryInterval is the least time between two fetches from one provider,
	// whatever tokens name: a flood of unknown key ids causes one fetch in it.
	// Between two fetches every unknown key id is refused at once.
	retryInterval = 10 * time.Second
	// refreshInterval is how old keys may get before a use refreshes them in the
	// background.
	refreshInterval = 10 * time.Minute
	// maxStale is how long the last good keys serve while the provider is down.
	maxStale = 24 * time.Hour
	// discoveryInterval is how long the address of the keys is believed.
	discoveryInterval = time.Hour
	// maxDiscoveryDepth bounds the nesting of a discovery document.
	maxDiscoveryDepth = 32
)

var (
	errUnknownKey = errors.New("the issuer publishes no such key")
	errNoKeys     = errors.New("the issuer's keys cannot be fetched")
)

// keySource holds the keys of one provider. It fetches nothing until the first
// token of its issuer arrives.
type keySource struct {
	issuer  string // the exact issuer identifier
	jwksURL string // where the keys are; empty means discovery
	client  *http.Client
	now     func() time.Time
	log     *slog.Logger
	root    context.Context // ends when the verifier closes; bounds every fetch
	flights *flights        // the verifier's; counts fetches under way

	mu         sync.Mutex
	keys       []key         // guarded by mu; replaced, never changed
	version    uint64        // guarded by mu; counts replacements of keys
	fetched    time.Time     // guarded by mu; when keys were fetched
	tried      time.Time     // guarded by mu; when the last fetch began
	failed     error         // guarded by mu; why the last fetch failed, nil if it did not
	inflight   chan struct{} // guarded by mu; closed when the fetch under way ends
	discovered string        // guarded by mu; the key set's URL by discovery
	discovery  time.Time     // guarded by mu; when that was
}

// flights counts the fetches under way, so that Close can wait for them.
type flights struct {
	wait   sync.WaitGroup
	mu     sync.Mutex
	closed bool // guarded by mu
}

// begin counts one more, unless the verifier has closed.
func (f *flights) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.wait.Add(1)
	return true
}

func (f *flights) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
}

// lookup returns the key for kid and alg and the version of the set that it is
// in. If the key is not known it waits for at most one refresh.
func (s *keySource) lookup(ctx context.Context, kid, alg string) (*key, uint64, error) {
	for attempt := 0; ; attempt++ {
		k, version, wait, err := s.find(kid, alg, attempt == 0)
		if wait == nil {
			return k, version, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// find looks in the keys at hand. If a refresh may help and may be made, it
// returns a channel that is closed when that refresh has ended.
func (s *keySource) find(kid, alg string, mayWait bool) (*key, uint64, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var k *key
	usable := s.keys != nil && now.Sub(s.fetched) < maxStale
	if usable {
		var err error
		if k, err = selectKey(s.keys, kid, alg); err != nil {
			return nil, 0, nil, err
		}
	}
	if k != nil {
		if now.Sub(s.fetched) >= refreshInterval {
			s.start(now)
		}
		return k, s.version, nil, nil
	}
	if mayWait {
		if wait := s.start(now); wait != nil {
			return nil, 0, wait, nil
		}
	}
	if !usable {
		return nil, 0, nil, errors.Join(errNoKeys, s.failed)
	}
	return nil, 0, nil, errUnknownKey
}

// current reports whether version is still the version of the keys, and whether
// they may still be used; and refreshes them when they are due.
func (s *keySource) current(version uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(s.fetched) >= refreshInterval {
		s.start(now)
	}
	return s.version == version && now.Sub(s.fetched) < maxStale
}

// start begins a fetch, or joins the one under way, and returns its end; nil if
// the last one began too recently. The caller holds mu.
func (s *keySource) start(now time.Time) <-chan struct{} {
	if s.inflight != nil {
		return s.inflight
	}
	if !s.tried.IsZero() && now.Sub(s.tried) < retryInterval || !s.flights.begin() {
		return nil
	}
	s.tried = now
	done := make(chan struct{})
	s.inflight = done
	address := s.jwksURL
	if address == "" && now.Sub(s.discovery) < discoveryInterval && s.failed == nil {
		address = s.discovered
	}
	go func() { // ends within fetchTimeout, or when root ends
		defer s.flights.wait.Done()
		defer close(done)
		s.refresh(address)
	}()
	return done
}

// refresh replaces the keys, or keeps the last good ones.
func (s *keySource) refresh(address string) {
	ctx, cancel := context.WithTimeout(s.root, fetchTimeout)
	defer cancel()
	found := address
	var err error
	if found == "" {
		found, err = s.discover(ctx)
	}
	var keys []key
	if err == nil {
		keys, err = s.fetchKeys(ctx, found)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.inflight, s.failed = nil, err
	if err != nil {
		s.log.Warn("issuer keys not refreshed", "issuer", s.issuer, "error", err, "have", len(s.keys))
		return
	}
	if address == "" {
		s.discovered, s.discovery = found, now
	}
	if !sameKeys(s.keys, keys) {
		s.version++
		s.log.Info("issuer keys changed", "issuer", s.issuer, "keys", len(keys))
	}
	s.keys, s.fetched = keys, now
}

// discover returns the URL of the key set (OpenID Connect Discovery 1.0,
// section 4). The document must name exactly our issuer (section 4.3).
func (s *keySource) discover(ctx context.Context) (string, error) {
	body, err := s.get(ctx, strings.TrimSuffix(s.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	doc, err := parseObject(body, maxDiscoveryDepth)
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	if doc["issuer"] != s.issuer {
		return "", errors.New("discovery: the document is of another issuer; url must equal its issuer exactly")
	}
	address, _ := doc["jwks_uri"].(string)
	if err := checkURL(address); err != nil {
		return "", fmt.Errorf("discovery: jwks_uri: %w", err)
	}
	if strings.HasPrefix(address, "http:") && !strings.HasPrefix(s.issuer, "http:") {
		return "", errors.New("discovery: jwks_uri is http, and the issuer is https")
	}
	return address, nil
}

func (s *keySource) fetchKeys(ctx context.Context, address string) ([]key, error) {
	body, err := s.get(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return parseKeys(body)
}

func (s *keySource) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", req.URL.Host, res.StatusCode)
	}
	return readBounded(res.Body, maxDocumentBytes)
}

// newClient returns the HTTP client for one provider, whose certificate roots vouch for.
func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
			// A fetch every ten minutes gains nothing from a kept connection.
			DisableKeepAlives: true,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) >= 3 {
				return errors.New("too many redirects")
			}
			if first := via[0].URL; req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
				return errors.New("a redirect to another host is not followed")
			}
			return nil
		},
	}
}

func sameKeys(a, b []key) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		public, ok := a[i].public.(interface{ Equal(crypto.PublicKey) bool })
		if !ok || a[i].kid != b[i].kid || a[i].alg != b[i].alg || !public.Equal(b[i].public) {
			return false
		}
	}
	return true
}
