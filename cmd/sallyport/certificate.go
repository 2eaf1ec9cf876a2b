package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/config"
)

// selfSignedLifetime is how long the certificate of a first start is valid.
const selfSignedLifetime = 2 * 365 * 24 * time.Hour

// certificate is the gateway's own certificate, read again when its file
// changes, so that a renewal needs no restart.
type certificate struct {
	certificateFile, keyFile string

	mu     sync.Mutex
	loaded *tls.Certificate // guarded by mu
	stamp  time.Time        // guarded by mu: the file's modification time
	looked time.Time        // guarded by mu
}

// openCertificate opens the configured pair, or makes a self-signed one beside
// the key of the vault on first start.
func openCertificate(cfg *config.Process) (*certificate, error) {
	c := &certificate{certificateFile: cfg.TLS.Certificate, keyFile: cfg.TLS.Key}
	if c.certificateFile == "" {
		dir := filepath.Join(cfg.Dir, "data")
		if path, ok := config.FilePath(cfg.Key); ok {
			dir = filepath.Dir(path)
		}
		c.certificateFile, c.keyFile = filepath.Join(dir, "gateway.crt"), filepath.Join(dir, "gateway.key")
		if err := selfSign(c.certificateFile, c.keyFile, cfg.Listen); err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
	}
	if _, err := c.get(nil); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return c, nil
}

// get returns the pair for a handshake. A renewed pair that cannot be read
// leaves the old one in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.looked) < time.Minute {
		return c.loaded, nil
	}
	c.looked = time.Now()
	info, err := os.Stat(c.certificateFile)
	if err == nil && c.loaded != nil && info.ModTime().Equal(c.stamp) {
		return c.loaded, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.certificateFile, c.keyFile)
	}
	if err != nil {
		if c.loaded != nil {
			return c.loaded, nil
		}
		return nil, err
	}
	c.loaded, c.stamp = &pair, info.ModTime()
	return c.loaded, nil
}

// selfSign makes a pair for the addresses that are listened on, unless there is
// one. The certificate is its own authority: clients can pin it.
func selfSign(certificateFile, keyFile string, listen map[string]string) error {
	if _, err := os.Stat(certificateFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	now := time.Now()
	names, addresses := subjects(listen)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Sallyport (self-signed)"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedLifetime),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true, DNSNames: names, IPAddresses: addresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(certificateFile), 0o700); err != nil {
		return err
	}
	// The key first: a certificate without its key would never be replaced.
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644) //nolint:gosec // a certificate is public
}

// subjects are the names and addresses that the certificate is valid for.
func subjects(listen map[string]string) (names []string, addresses []net.IP) {
	names = []string{"localhost"}
	addresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	for _, address := range listen {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			continue
		}
		if ip := net.ParseIP(host); ip == nil && host != "" && host != "localhost" {
			names = append(names, host)
		} else if ip != nil && !ip.IsUnspecified() && !ip.IsLoopback() {
			addresses = append(addresses, ip)
		}
	}
	return names, addresses
}
