package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/budget"
	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/identity"
	"github.com/sallyport-gateway/sallyport/internal/loop"
	"github.com/sallyport-gateway/sallyport/internal/mask"
	"github.com/sallyport-gateway/sallyport/internal/policy"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
	"github.com/sallyport-gateway/sallyport/internal/record"
	"github.com/sallyport-gateway/sallyport/internal/store"
	"github.com/sallyport-gateway/sallyport/internal/vault"
)

// sweepInterval is how often what has run out is marked as such. Nothing relies
// on it: every check compares times itself.
const sweepInterval = 30 * time.Second

// process is one gateway process: everything that serve wires together. Its
// parts are made in the order of the fields and closed in the reverse order.
type process struct {
	cfg         *config.Process
	log         *slog.Logger
	state       *store.State
	vault       *vault.Vault
	ssh         *ssh.Authority
	revocations *identity.Revocations
	verifier    *identity.Verifier
	policy      *policy.Engine
	documents   *config.Store
	recorder    *record.Recorder
	desk        *approval.Desk
	budget      *budget.Book
	gateway     *gate.Gateway
	certificate *certificate
	api         *api.Server
	protocols   []served

	closers []func() error
}

// served is one protocol of this build and where it listens.
type served struct {
	protocol gate.Protocol
	listener net.Listener
	close    func() error // what the protocol holds; may be nil
}

// newProcess opens everything, and leaves nothing open if it fails.
func newProcess(ctx context.Context, cfg *config.Process, log *slog.Logger) (*process, error) {
	p := &process{cfg: cfg, log: log}
	for _, step := range []func(context.Context) error{
		p.openState, p.openSSH, p.openIdentity, p.openPolicy, p.openDocuments, p.openRecorder, p.openDesk, p.openBudget, p.openGateway,
		p.openCertificate, p.openProtocols, p.openAPI,
	} {
		if err := step(ctx); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

func (p *process) onClose(f func() error) { p.closers = append(p.closers, f) }

func (p *process) close() {
	for _, f := range slices.Backward(p.closers) {
		if err := f(); err != nil {
			p.log.Error("close", "error", err)
		}
	}
	p.closers = nil
}

func (p *process) openState(ctx context.Context) (err error) {
	if p.state, err = store.Open(ctx, p.cfg.State); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	p.onClose(p.state.Close)
	key, err := vault.OpenKey(p.cfg.Key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	p.vault, err = vault.New(vault.Config{Store: p.state.Secrets, Keys: key, StoreID: p.state.ID})
	return err
}

func (p *process) openIdentity(ctx context.Context) (err error) {
	if p.revocations, err = identity.OpenRevocations(ctx, revocationStore{p.state.Revocations}, nil); err != nil {
		return fmt.Errorf("revocations: %w", err)
	}
	if p.verifier, err = identity.New(identity.Config{Revocations: p.revocations, Log: p.log}); err != nil {
		return err
	}
	p.onClose(func() error { p.verifier.Close(); return nil })
	return nil
}

func (p *process) openPolicy(context.Context) (err error) {
	p.policy, err = policy.New(policy.Options{Facts: facts()})
	return err
}

func (p *process) openDocuments(ctx context.Context) error {
	p.documents = config.NewStore(config.Options{
		Folder: p.cfg.Documents, Base: p.cfg.Dir, Kinds: kinds(), Journal: journal{p.state.Changes}, Log: p.log,
		Hooks: []config.Hook{p.prepareIssuers, p.preparePolicies, p.prepareCredentials, p.prepareHosts}, Applied: p.endStale,
	})
	return p.documents.Load(ctx)
}

func (p *process) prepareIssuers(s *config.Set) (func(), []error) {
	issuers, err := identity.PrepareIssuers(issuersOf(s, p.cfg.Dir))
	if err != nil {
		return nil, []error{err}
	}
	return func() { p.verifier.SetIssuers(issuers) }, nil
}

func (p *process) preparePolicies(s *config.Set) (func(), []error) {
	program, errs := p.policy.Compile(config.Values[policy.Document](s), known(s))
	if len(errs) > 0 {
		return nil, errs
	}
	return func() { p.policy.Swap(program) }, nil
}

func (p *process) prepareCredentials(s *config.Set) (func(), []error) {
	documents := credentialsOf(s, p.cfg.Dir)
	for _, d := range documents {
		if err := d.Validate(); err != nil {
			return nil, []error{err}
		}
	}
	return func() {
		if err := p.vault.SetDocuments(documents); err != nil {
			p.log.Error("credentials", "error", err) // checked above
		}
	}, nil
}

// endStale ends the sessions whose target is no longer what it was when they
// began: its labels, its reviewed functions or its limits have changed, or it is
// gone. It also ends those whose issuer's document changed or is gone. Their agents
// connect again, if they still may. One that begins meanwhile sees the set that is in
// force already, or is told the same when it has begun ([gate.Gateway.Open]).
func (p *process) endStale(s *config.Set) {
	if p.gateway == nil {
		return
	}
	n := p.gateway.End(gate.EndRevoked, errors.New("the target's configuration changed"), func(i *gate.SessionInfo) bool {
		t, ok := s.Target(i.Target.Handle())
		return !ok || t.Generation != i.Target.Generation
	})
	if n > 0 {
		p.log.Info("sessions ended: their target changed", "sessions", n)
	}
	n = p.gateway.End(gate.EndRevoked, errors.New("the configuration of the token's issuer changed"), func(i *gate.SessionInfo) bool {
		return p.verifier.Recheck(i.Principal) != nil
	})
	if n > 0 {
		p.log.Info("sessions ended: their issuer's document changed, or they were revoked", "sessions", n)
	}
}

func (p *process) openRecorder(context.Context) error {
	dir, ok := config.FilePath(p.cfg.Recordings)
	if !ok {
		return fmt.Errorf("recordings: %s is not supported by this release: use file:PATH", p.cfg.Recordings)
	}
	recovered, err := record.Recover(dir)
	if err != nil {
		return fmt.Errorf("recordings: %w", err)
	}
	for _, r := range recovered {
		p.log.Warn("a recording had no end: the process was stopped while the session lived",
			"session", r.ID, "commands_without_outcome", len(r.Unknown), "error", r.Err)
	}
	p.recorder, err = record.New(record.Config{Dir: dir, Log: p.log})
	if err != nil {
		return fmt.Errorf("recordings: %w", err)
	}
	p.onClose(p.recorder.Close)
	return nil
}

func (p *process) openDesk(context.Context) (err error) {
	console := p.url()
	p.desk, err = approval.New(approval.Config{
		Store: p.state.Requests, Notifier: approval.LogNotifier{Log: p.log}, Log: p.log,
		URL: func(id string) string { return console + "/v1/approvals/" + url.PathEscape(id) },
	})
	return err
}

// url is the address of the console as people reach it.
func (p *process) url() string {
	if p.cfg.URL != "" {
		return strings.TrimSuffix(p.cfg.URL, "/")
	}
	return "https://" + p.cfg.Listen[config.ListenConsole]
}

func (p *process) openGateway(context.Context) (err error) {
	sessions, err := loop.New(max(1, runtime.GOMAXPROCS(0)/2))
	if err != nil {
		return err
	}
	p.onClose(func() error { sessions.Close(); return nil })
	p.gateway, err = gate.New(gate.Config{
		Identifier: identifier{p.verifier, p.certificates()}, Directory: p.documents, Policy: p.policy, Approver: p.desk, Recorder: p.recorder,
		Dialer: dialer{}, Vault: p.vault, Meter: p.budget, Log: p.log, Hold: p.cfg.Hold, Loop: sessions,
	})
	if err != nil {
		return err
	}
	p.revocations.Subscribe(func(r identity.Revocation) {
		if !r.Lift {
			p.gateway.End(gate.EndRevoked, errors.New(r.Reason), r.Match)
		}
	})
	return nil
}

func (p *process) openCertificate(context.Context) (err error) {
	p.certificate, err = openCertificate(p.cfg)
	return err
}

func (p *process) openProtocols(ctx context.Context) error {
	for name, address := range p.cfg.Listen {
		if name == config.ListenConsole {
			continue
		}
		s, err := newProtocol(name, p)
		if err != nil {
			return err
		}
		if s.close != nil {
			p.onClose(s.close)
		}
		var lc net.ListenConfig
		if s.listener, err = lc.Listen(ctx, "tcp", address); err != nil {
			return fmt.Errorf("listen %s: %w", name, err)
		}
		p.onClose(closeListener(s.listener))
		p.protocols = append(p.protocols, s)
	}
	return nil
}

func closeListener(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func (p *process) openAPI(context.Context) (err error) {
	p.api, err = api.New(api.Config{
		Identifier: p.verifier, Authority: authority{p.documents}, Approvals: approvals{p.desk},
		Sessions:    sessions{p.gateway, p.recorder.Dir()},
		Revocations: revocations{p.revocations, p.gateway}, Documents: documentsAPI{p.documents},
		Audit: audit{p.state.Changes}, SSH: sshAccess{p}, Metrics: metrics(p.gateway), MetricsOnLoopback: true,
		Version: readVersion().Version, Log: p.log,
	})
	return err
}

// serve serves until ctx ends, then ends the sessions and closes everything.
// ready is called when every listener accepts.
func (p *process) serve(ctx context.Context, ready func()) error {
	defer p.close()
	group, ctx := errgroup.WithContext(ctx)
	var lc net.ListenConfig
	console, err := lc.Listen(ctx, "tcp", p.cfg.Listen[config.ListenConsole])
	if err != nil {
		return fmt.Errorf("listen console: %w", err)
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.certificate.get}
	server := api.HTTPServer(p.api, tlsConfig, p.log)
	group.Go(func() error {
		err := server.Serve(tls.NewListener(api.LimitListener(console, api.MaxConnections), server.TLSConfig))
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("console: %w", err)
	})
	for _, s := range p.protocols {
		group.Go(func() error { return p.gateway.Listen(ctx, s.listener, s.protocol, p.cfg.Limits.Connections) })
	}
	group.Go(func() error { p.documents.Watch(ctx); return nil })
	group.Go(func() error { p.desk.Run(ctx, sweepInterval); return nil })
	group.Go(func() error { trim(ctx, p.gateway); return nil })
	group.Go(func() error { p.budget.Run(ctx); return nil })
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.Background(), p.cfg.Limits.Shutdown)
		defer cancel()
		err := p.gateway.Shutdown(stop)
		return errors.Join(err, server.Shutdown(stop))
	})
	ready()
	return group.Wait()
}

// issuersOf returns the Issuer documents, with files relative to the
// configuration file made absolute.
func issuersOf(s *config.Set, base string) []identity.Issuer {
	var issuers []identity.Issuer
	for _, i := range config.Values[identity.Issuer](s) {
		issuer := *i
		if issuer.CA != "" && !strings.Contains(issuer.CA, "-----BEGIN") && !filepath.IsAbs(issuer.CA) {
			issuer.CA = filepath.Join(base, issuer.CA)
		}
		issuers = append(issuers, issuer)
	}
	return issuers
}

// known are the names that policies may use.
func known(s *config.Set) policy.Known {
	k := policy.Known{Labels: slices.Concat(s.LabelNames(), mask.Groups(), mask.Names())}
	for _, i := range config.Values[identity.Issuer](s) {
		for name := range i.Claims.Attributes {
			if !slices.Contains(k.Attributes, name) {
				k.Attributes = append(k.Attributes, name)
			}
		}
	}
	return k
}

// credentialsOf returns the Credential documents as the vault knows them.
func credentialsOf(s *config.Set, base string) []vault.Document {
	var documents []vault.Document
	for _, c := range config.Values[config.Credential](s) {
		d := vault.Document{Name: c.Name, Username: c.Username}
		switch {
		case c.Password != nil:
			d.Password = rebase(string(c.Password.From), base)
		case c.Sealed != "":
			d.Password, d.Sealed = "sealed", c.Sealed
		}
		if c.Certificate != "" {
			d.Certificate = rebase("file:"+c.Certificate, base)
		}
		if c.Authority != "" {
			d.Key, d.Sealed, d.Authority = "sealed", ownSSHTargetCA, true
		}
		if c.Key != nil {
			d.Key = rebase(string(c.Key.From), base)
		}
		documents = append(documents, d)
	}
	return documents
}

// rebase makes the path of a file: source absolute.
func rebase(source, base string) string {
	path, ok := strings.CutPrefix(source, "file:")
	if !ok || filepath.IsAbs(path) {
		return source
	}
	return "file:" + filepath.Join(base, path)
}

// ownSSHTargetCA is where the key is kept that signs the certificates with which the
// gateway logs in to hosts. No document can have such a name.
const ownSSHTargetCA = "gateway/ssh-target-ca"

// kinds are the kinds of documents of this build.
func kinds() []config.Kind {
	return append(config.Kinds(),
		config.Kind{Name: "Issuer", Doc: "Whose tokens are accepted, and what they mean.",
			New: func() any { return new(identity.Issuer) },
			Validate: func(doc any) []error {
				if err := doc.(*identity.Issuer).Validate(); err != nil {
					return []error{err}
				}
				return nil
			}},
		config.Kind{Name: policy.KindName, Doc: "What agents may do, rule by rule.",
			New: func() any { return new(policy.Document) }},
	)
}

// dialer reaches targets from the gateway itself.
type dialer struct{}

// Dial implements gate.Dialer.
func (dialer) Dial(ctx context.Context, t *gate.Target) (net.Conn, error) {
	if t.Connector != "" {
		return nil, fmt.Errorf("target %s: connectors are not supported by this release", t.Name)
	}
	network := "tcp"
	if strings.HasPrefix(t.Address, "/") {
		network = "unix"
	}
	var d net.Dialer
	return d.DialContext(ctx, network, t.Address)
}
