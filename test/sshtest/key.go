package sshtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Key is an Ed25519 key pair of a host, a client or an authority.
type Key struct {
	// Signer signs with it.
	Signer ssh.Signer
	// PEM is the private key as ssh-keygen writes it.
	PEM []byte
}

// NewKey makes a key pair.
func NewKey() (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	return &Key{Signer: signer, PEM: pem.EncodeToMemory(block)}, err
}

// Public is the public half.
func (k *Key) Public() ssh.PublicKey { return k.Signer.PublicKey() }

// Line is the public half as in authorized_keys, without a line break.
func (k *Key) Line() string { return Line(k.Public()) }

// Line is a public key or certificate as in authorized_keys and *.pub files,
// without a line break.
func Line(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// Write writes the private key to a file, and the public one beside it.
func (k *Key) Write(path string) error {
	if err := os.WriteFile(path, k.PEM, 0o600); err != nil {
		return err
	}
	return os.WriteFile(path+".pub", []byte(k.Line()+"\n"), 0o644)
}

// Certify signs a certificate as it stands, by hand, since the library refuses to
// sign some of what a forger would. A zero validity means the hour around now.
func (k *Key) Certify(c *ssh.Certificate) error {
	if c.ValidAfter == 0 && c.ValidBefore == 0 {
		now := time.Now()
		c.ValidAfter, c.ValidBefore = uint64(now.Add(-time.Minute).Unix()), uint64(now.Add(time.Hour).Unix())
	}
	c.Nonce, c.SignatureKey, c.Signature = make([]byte, 32), k.Public(), nil
	_, _ = rand.Read(c.Nonce) // it never fails
	unsigned := c.Marshal()
	signature, err := k.Signer.Sign(rand.Reader, unsigned[:len(unsigned)-4]) // without the length of no signature
	if err != nil {
		return fmt.Errorf("sign certificate: %w", err)
	}
	c.Signature = signature
	return nil
}

// UserCertificate signs a certificate of a key for log-in names.
func (k *Key) UserCertificate(key ssh.PublicKey, principals ...string) (*ssh.Certificate, error) {
	c := &ssh.Certificate{Key: key, CertType: ssh.UserCert, KeyId: "sshtest", ValidPrincipals: principals,
		Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}}}
	return c, k.Certify(c)
}
