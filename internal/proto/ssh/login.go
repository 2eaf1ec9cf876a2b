package ssh

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// certificateLife is how long a certificate for a host is good: it is used once, for
// the log-in that follows at once.
const certificateLife = 2 * time.Minute

// login is the gateway's log-in to a host. It is the only code that sees the raw
// connection and the credential.
func login(s *gate.SessionInfo) gate.MuxLogin {
	return func(_ context.Context, raw net.Conn, t *gate.Target, cred *gate.Credential) (gate.Mux, error) {
		m, err := logIn(raw, t, cred, fmt.Sprintf("sallyport session=%s agent=%q", s.ID, s.Principal.String()))
		if err != nil {
			return nil, err
		}
		return m, nil
	}
}

// logIn logs in to a host. keyID is what a certificate that is signed for it says in
// the host's own log.
func logIn(raw net.Conn, t *gate.Target, cred *gate.Credential, keyID string) (*mux, error) {
	auth, err := authMethods(cred, keyID)
	if err != nil {
		return nil, err
	}
	pins, err := parsePins(t)
	if err != nil {
		return nil, err
	}
	cfg := &ssh.ClientConfig{Config: algorithms(), User: cred.Username, Auth: auth, ClientVersion: "SSH-2.0-Sallyport",
		HostKeyAlgorithms: pins.algorithms(),
		HostKeyCallback:   func(address string, _ net.Addr, key ssh.PublicKey) error { return pins.check(address, key) }}
	conn, channels, requests, err := ssh.NewClientConn(newBufferedConn(raw), t.Address, cfg)
	if err != nil {
		return nil, fmt.Errorf("ssh: %w", err)
	}
	return newMux(conn, channels, requests), nil
}

// authMethods offers what the credential holds, and nothing else.
func authMethods(cred *gate.Credential, keyID string) ([]ssh.AuthMethod, error) {
	if cred.Authority {
		signer, err := certified(cred, keyID)
		if err != nil {
			return nil, err
		}
		return []ssh.AuthMethod{ssh.PublicKeys(signer)}, nil
	}
	var methods []ssh.AuthMethod
	if !cred.Key.IsZero() {
		signer, err := ssh.ParsePrivateKey([]byte(cred.Key.Reveal()))
		if err != nil {
			return nil, errors.New("ssh: the credential's key cannot be read") // without the parser's words
		}
		if len(cred.Certificate) > 0 {
			if signer, err = withCertificate(cred.Certificate, signer); err != nil {
				return nil, err
			}
		}
		methods = append(methods, ssh.PublicKeys(signer))
	}
	if !cred.Password.IsZero() {
		password := cred.Password.Reveal()
		methods = append(methods, ssh.Password(password), ssh.KeyboardInteractive(
			func(_, _ string, questions []string, echos []bool) ([]string, error) {
				// The password goes into one hidden field and nowhere else.
				if len(questions) == 0 {
					return nil, nil
				}
				if len(questions) != 1 || echos[0] {
					return nil, errors.New("ssh: the host asks for more than a password")
				}
				return []string{password}, nil
			}))
	}
	if len(methods) == 0 {
		return nil, errors.New("ssh: the credential has neither key nor password")
	}
	return methods, nil
}

func withCertificate(authorized []byte, signer ssh.Signer) (ssh.Signer, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey(authorized)
	if err != nil {
		return nil, errors.New("ssh: the credential's certificate cannot be read")
	}
	c, ok := key.(*ssh.Certificate)
	if !ok {
		return nil, errors.New("ssh: the credential's certificate is a plain key")
	}
	return ssh.NewCertSigner(c, signer)
}

// certified makes a key for this one log-in and a certificate for it, whose key id
// tells the host's own log which agent and which session it is.
func certified(cred *gate.Credential, keyID string) (ssh.Signer, error) {
	authority, err := ssh.ParsePrivateKey([]byte(cred.Key.Reveal()))
	if err != nil {
		return nil, errors.New("ssh: the authority's key cannot be read")
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("ssh: generate key: %w", err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("ssh: generate key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, fmt.Errorf("ssh: generate key: %w", err)
	}
	now := time.Now()
	c := &ssh.Certificate{Key: key, CertType: ssh.UserCert, ValidPrincipals: []string{cred.Username},
		KeyId:      keyID,
		ValidAfter: uint64(now.Add(-clockSkew).Unix()), ValidBefore: uint64(now.Add(certificateLife).Unix()), //nolint:gosec // after 1970
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": "", "permit-port-forwarding": ""}}}
	if err := sign(c, authority); err != nil {
		return nil, err
	}
	return ssh.NewCertSigner(c, signer)
}

// pins are the keys that a host may show.
type pins struct {
	keys        []ssh.PublicKey
	authorities []ssh.PublicKey
}

func parsePins(t *gate.Target) (*pins, error) {
	p := &pins{}
	for _, part := range []struct {
		lines []string
		keys  *[]ssh.PublicKey
	}{{t.Keys, &p.keys}, {t.Authorities, &p.authorities}} {
		for _, line := range part.lines {
			key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line))
			if _, is := key.(*ssh.Certificate); err != nil || is || len(bytes.TrimSpace(rest)) > 0 {
				return nil, fmt.Errorf("ssh: %q is not a public key", line[:min(len(line), 80)])
			}
			*part.keys = append(*part.keys, key)
		}
	}
	return p, nil
}

// CheckTarget reports what is wrong with the host keys of a target's document. None
// at all is no mistake: inspect shows the key to add; until then nobody gets in.
func CheckTarget(t *gate.Target) error {
	_, err := parsePins(t)
	return err
}

var errNoPins = errors.New("ssh: the target has no host_keys and no host_cas: run sallyport inspect to see the key that the host shows, and compare it")

// algorithms asks the host for keys of the pinned types only: it would otherwise
// show the one that it likes best.
func (p *pins) algorithms() []string {
	var list []string
	add := func(names ...string) {
		for _, n := range names {
			if !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
	}
	if len(p.authorities) > 0 {
		add(ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
			ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01)
	}
	for _, k := range p.keys {
		if k.Type() == ssh.KeyAlgoRSA {
			add(ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		add(k.Type())
	}
	if len(list) == 0 { // nothing is pinned: the key is shown to inspect, and refused
		add(ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
	}
	return list
}

// check is the host key callback: there is no trust on first use.
func (p *pins) check(address string, key ssh.PublicKey) error {
	if len(p.keys)+len(p.authorities) == 0 {
		return errNoPins
	}
	contains := func(list []ssh.PublicKey, k ssh.PublicKey) bool {
		return slices.ContainsFunc(list, func(p ssh.PublicKey) bool { return bytes.Equal(p.Marshal(), k.Marshal()) })
	}
	if _, is := key.(*ssh.Certificate); !is {
		if contains(p.keys, key) {
			return nil
		}
		return fmt.Errorf("ssh: the host shows the key %s, which is not one of its host_keys", ssh.FingerprintSHA256(key))
	}
	checker := ssh.CertChecker{IsHostAuthority: func(authority ssh.PublicKey, _ string) bool {
		_, nested := authority.(*ssh.Certificate)
		return !nested && contains(p.authorities, authority)
	}}
	return checker.CheckHostKey(address, nil, key)
}

// HostKey is what a host shows of itself.
type HostKey struct {
	// Line is the key in the form of host_keys.
	Line string
	// Fingerprint is as ssh-keygen -l shows it.
	Fingerprint string
	// Pinned says that the target's document trusts it.
	Pinned bool
}

// errSeen ends a probe when it has what it came for.
var errSeen = errors.New("ssh: host key seen")

// Inspect returns the key that a target shows, without logging in to it.
func Inspect(ctx context.Context, g *gate.Gateway, t *gate.Target) (HostKey, error) {
	var shown HostKey
	p, err := parsePins(t)
	if err != nil {
		return shown, err
	}
	err = g.Probe(ctx, t, func(_ context.Context, raw net.Conn, t *gate.Target, cred *gate.Credential) (net.Conn, error) {
		cfg := &ssh.ClientConfig{Config: algorithms(), User: cred.Username, ClientVersion: "SSH-2.0-Sallyport",
			HostKeyAlgorithms: p.algorithms(),
			HostKeyCallback: func(address string, _ net.Addr, key ssh.PublicKey) error {
				shown = HostKey{Line: string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(key))), Fingerprint: ssh.FingerprintSHA256(key),
					Pinned: p.check(address, key) == nil}
				return errSeen
			}}
		_, _, _, err := ssh.NewClientConn(raw, t.Address, cfg)
		return nil, err
	})
	if shown.Line != "" {
		return shown, nil
	}
	return shown, err
}
