package ssh

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// principalExtension carries in a user certificate whom it was issued to. It names
// nothing secret: the certificate is worth nothing without its key.
const principalExtension = "principal@sallyport"

// agentPrincipal is the one principal of every certificate that the gateway issues
// to agents, so that no other service takes it for an account's.
const agentPrincipal = "sallyport-agent"

// clockSkew is how far clocks may differ: a certificate is valid from that long ago.
const clockSkew = time.Minute

// GenerateKey makes an Ed25519 key in OpenSSH's PEM form.
func GenerateKey() (gate.Secret, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return gate.Secret{}, fmt.Errorf("ssh: generate key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return gate.Secret{}, fmt.Errorf("ssh: generate key: %w", err)
	}
	return gate.NewSecret(string(pem.EncodeToMemory(block))), nil
}

// PublicKey returns the public part of a key in PEM form, as an authorized_keys line.
func PublicKey(key gate.Secret) (string, error) {
	s, err := ssh.ParsePrivateKey([]byte(key.Reveal()))
	if err != nil {
		return "", errors.New("ssh: the key cannot be read") // without the parser's words
	}
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(s.PublicKey()))), nil
}

// Keys are the gateway's own keys, in PEM form.
type Keys struct {
	// Host is the key that the gateway shows to clients, and HostAuthority signs
	// it, so that clients need to know only the authority.
	Host, HostAuthority gate.Secret
	// UserAuthority signs the certificates that agents log in with.
	UserAuthority gate.Secret
}

// Authority issues the certificates of the gateway's SSH side and verifies them.
// It is safe for concurrent use.
type Authority struct {
	host     ssh.Signer
	hostCA   ssh.Signer
	userCA   ssh.Signer
	userMark []byte // the authority's public key, for comparison
	now      func() time.Time
}

// NewAuthority returns the authority with the given keys. A nil now is time.Now.
func NewAuthority(k Keys, now func() time.Time) (*Authority, error) {
	if now == nil {
		now = time.Now
	}
	a := &Authority{now: now}
	for _, part := range []struct {
		name   string
		key    gate.Secret
		signer *ssh.Signer
	}{{"host key", k.Host, &a.host}, {"host authority", k.HostAuthority, &a.hostCA}, {"user authority", k.UserAuthority, &a.userCA}} {
		s, err := ssh.ParsePrivateKey([]byte(part.key.Reveal()))
		if err != nil {
			return nil, fmt.Errorf("ssh: %s cannot be read", part.name) // without the parser's words
		}
		*part.signer = s
	}
	a.userMark = a.userCA.PublicKey().Marshal()
	return a, nil
}

// HostAuthorityKey returns the public key that signs the gateway's host key, in
// the form of a known_hosts or authorized_keys line.
func (a *Authority) HostAuthorityKey() string {
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(a.hostCA.PublicKey())))
}

// HostAlias is the name that the gateway's host certificate is for, whatever its
// address: clients set it as HostKeyAlias.
const HostAlias = "sallyport"

// hostSigners returns the host key with a certificate and without: clients that
// know the authority ask for the certificate.
func (a *Authority) hostSigners(names []string) ([]ssh.Signer, error) {
	c := &ssh.Certificate{Key: a.host.PublicKey(), CertType: ssh.HostCert, KeyId: "sallyport gateway",
		ValidPrincipals: append([]string{HostAlias}, names...), ValidAfter: 0, ValidBefore: ssh.CertTimeInfinity}
	if err := sign(c, a.hostCA); err != nil {
		return nil, err
	}
	certified, err := ssh.NewCertSigner(c, a.host)
	if err != nil {
		return nil, fmt.Errorf("ssh: certify the host key: %w", err)
	}
	return []ssh.Signer{certified, a.host}, nil
}

func sign(c *ssh.Certificate, by ssh.Signer) error {
	var serial [8]byte
	_, _ = rand.Read(serial[:]) // never fails (Go 1.24)
	c.Serial = binary.BigEndian.Uint64(serial[:])
	if err := c.SignCert(rand.Reader, by); err != nil {
		return fmt.Errorf("ssh: sign a certificate: %w", err)
	}
	return nil
}

// Issue returns a certificate for an agent's own key, in the form of an
// authorized_keys line. It is valid as long as the token that the agent showed. The
// key is the agent's words: only plain keys of strong types are signed.
func (a *Authority) Issue(p *gate.Principal, authorizedKey []byte) (string, error) {
	key, _, _, rest, err := ssh.ParseAuthorizedKey(authorizedKey)
	if err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return "", errors.New("this is not one public key in the form of an authorized_keys line")
	}
	if _, is := key.(*ssh.Certificate); is || !strong(key) {
		return "", errors.New("certificates are issued for Ed25519, ECDSA and RSA keys of at least 3072 bits")
	}
	if p.Kind != gate.KindAgent || !a.now().Before(p.Expiry) {
		return "", errors.New("certificates are issued to agents with a valid token")
	}
	who, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("ssh: encode the principal: %w", err)
	}
	c := &ssh.Certificate{Key: key, CertType: ssh.UserCert, KeyId: p.TokenID, ValidPrincipals: []string{agentPrincipal},
		ValidAfter: uint64(a.now().Add(-clockSkew).Unix()), ValidBefore: uint64(p.Expiry.Unix()), //nolint:gosec // after 1970
		Permissions: ssh.Permissions{Extensions: map[string]string{principalExtension: string(who)}}}
	if err := sign(c, a.userCA); err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(c))), nil
}

// minRSABits is the shortest RSA key that gets a certificate (NIST SP 800-57, for
// use beyond 2030).
const minRSABits = 3072

func strong(key ssh.PublicKey) bool {
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return true
	case ssh.KeyAlgoRSA:
		c, ok := key.(ssh.CryptoPublicKey)
		if !ok {
			return false
		}
		sized, ok := c.CryptoPublicKey().(interface{ Size() int })
		return ok && sized.Size()*8 >= minRSABits
	}
	return false
}

// errCertificate is the public reason for every certificate that is not accepted:
// which check failed is nobody's business.
var errCertificate = errors.New("the certificate is not one that this gateway issued, or has ended")

// Principal verifies a certificate in wire form and returns whom it was issued to.
// The caller has proved that it holds the key. It is one half of an Identifier; the
// other half checks revocations.
func (a *Authority) Principal(certificate []byte) (*gate.Principal, error) {
	key, err := ssh.ParsePublicKey(certificate)
	if err != nil {
		return nil, errCertificate
	}
	return a.principal(key)
}

func (a *Authority) principal(key ssh.PublicKey) (*gate.Principal, error) {
	c, ok := key.(*ssh.Certificate)
	// The signing key is compared as bytes: a certificate, whatever it certifies,
	// is never the authority (CVE-2025-49825).
	if !ok || c.CertType != ssh.UserCert || c.SignatureKey == nil || !bytes.Equal(c.SignatureKey.Marshal(), a.userMark) {
		return nil, errCertificate
	}
	if len(c.ValidPrincipals) != 1 || c.ValidPrincipals[0] != agentPrincipal || len(c.CriticalOptions) != 0 {
		return nil, errCertificate
	}
	checker := ssh.CertChecker{Clock: a.now}
	if err := checker.CheckCert(agentPrincipal, c); err != nil {
		return nil, errCertificate
	}
	var p gate.Principal
	if err := json.Unmarshal([]byte(c.Extensions[principalExtension]), &p); err != nil {
		return nil, errCertificate
	}
	// The certificate's own end counts even if the principal's were later.
	if end := time.Unix(int64(c.ValidBefore), 0); p.Expiry.IsZero() || end.Before(p.Expiry) { //nolint:gosec // CheckCert bounds it
		p.Expiry = end
	}
	if p.Kind != gate.KindAgent || !a.now().Before(p.Expiry) {
		return nil, errCertificate
	}
	return &p, nil
}
