package sshproof_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/identity/devissuer"
	"github.com/sallyport-gateway/sallyport/test/sshgate"
	"github.com/sallyport-gateway/sallyport/test/sshtest"
	"github.com/sallyport-gateway/sallyport/test/sshtest/hostile"
	"github.com/sallyport-gateway/sallyport/test/sshtest/peer"
)

// logIn tries a method on a target of the gateway.
func (w *world) logIn(t testing.TB, target string, auth ...ssh.AuthMethod) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := sshtest.Dial(ctx, w.gw.Address, &ssh.ClientConfig{User: target, Auth: auth, HostKeyCallback: w.gateway.hostKey})
	if err == nil {
		_ = c.Close()
	}
	return err
}

func (w *world) mint(t testing.TB, claims devissuer.Claims) string {
	t.Helper()
	token, err := w.gw.Issuer.Mint(claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestATokenLogsInByPasswordAndByKeyboardInteractive(t *testing.T) {
	w := the(t)
	for name, auth := range map[string]ssh.AuthMethod{
		"password": ssh.Password(w.gateway.password),
		"keyboard-interactive": ssh.KeyboardInteractive(func(_, _ string, questions []string, echos []bool) ([]string, error) {
			if len(questions) != 1 || echos[0] {
				return nil, fmt.Errorf("asked %q, echo %v", questions, echos)
			}
			return []string{w.gateway.password}, nil
		}),
	} {
		if err := w.logIn(t, open, auth); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOtherTokensAreRefused(t *testing.T) {
	w := the(t)
	good := w.gateway.password
	tokens := map[string]string{
		"nothing":               "",
		"garbage":               "garbage",
		"a changed token":       good[:len(good)-4] + "AAAA",
		"an expired token":      w.mint(t, devissuer.Claims{Subject: agent, Audience: sshgate.Audience, Lifetime: -time.Minute}),
		"another audience":      w.mint(t, devissuer.Claims{Subject: agent, Audience: "somebody-else", Lifetime: time.Minute}),
		"a person's":            w.mint(t, devissuer.Claims{Subject: "alice", Audience: sshgate.PeopleAudience, Lifetime: time.Minute}),
		"of an unbound agent":   w.mint(t, devissuer.Claims{Subject: "stranger", Audience: sshgate.Audience, Lifetime: time.Minute}),
		"of too long a life":    w.mint(t, devissuer.Claims{Subject: agent, Audience: sshgate.Audience, Lifetime: 100 * time.Hour}),
		"with a NUL":            good + "\x00",
		"longer than any token": strings.Repeat("A", 100_000),
	}
	for name, token := range tokens {
		if err := w.logIn(t, open, ssh.Password(token)); err == nil {
			t.Errorf("%s logged in", name)
		} else if strings.Contains(err.Error(), good) {
			t.Errorf("%s: the answer holds a token: %v", name, err)
		}
	}
}

func TestTargetsThatAreNotThereAreRefused(t *testing.T) {
	w := the(t)
	for _, target := range []string{"nowhere", "", "root+" + open, "nobody+" + open, open + "+" + open, "../" + open, open + "\x00", "OPEN", strings.Repeat("x", 5000)} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		c, err := sshtest.Dial(ctx, w.gw.Address, &ssh.ClientConfig{User: target, Auth: w.gateway.auth, HostKeyCallback: w.gateway.hostKey})
		cancel()
		if err != nil {
			continue
		}
		if s, err := c.NewSession(); err == nil {
			t.Errorf("a session on %.40q: %v", target, s.Run("true"))
		}
		_ = c.Close()
	}
}

// certificate makes a certificate with the program and returns its signer.
func (w *world) certificate(t testing.TB, lifetime time.Duration) ssh.Signer {
	t.Helper()
	token, err := w.gw.Token(agent, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "login")
	if _, err := w.gw.Login(t.Context(), dir, token); err != nil {
		t.Fatal(err)
	}
	signer, err := sshgate.Certificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func TestACertificateEndsWithItsToken(t *testing.T) {
	w := the(t)
	const life = 10 * time.Second
	began := time.Now()
	signer := w.certificate(t, life)
	c, ok := signer.PublicKey().(*ssh.Certificate)
	if !ok {
		t.Fatal("no certificate")
	}
	if end := time.Unix(int64(c.ValidBefore), 0); end.After(time.Now().Add(life)) {
		t.Errorf("valid until %v", end)
	}
	if err := w.logIn(t, open, ssh.PublicKeys(signer)); err != nil {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	eventually(t, "the certificate ends", life+patience, func() bool { return w.logIn(t, open, ssh.PublicKeys(signer)) != nil })
}

// forger shows one key or certificate and signs with another.
type forger struct {
	ssh.Signer
	shown ssh.PublicKey
}

func (f *forger) PublicKey() ssh.PublicKey { return f.shown }

func TestForgedCertificatesAreRefused(t *testing.T) {
	w := the(t)
	key, authority := newKey(t), newKey(t)
	real := w.certificate(t, 5*time.Minute)
	issued, ok := real.PublicKey().(*ssh.Certificate)
	if !ok {
		t.Fatal("no certificate")
	}
	// copied is what the gateway issued, with a change, signed by another authority.
	copied := func(change func(*ssh.Certificate)) ssh.Signer {
		c := *issued
		c.Key = key.Public()
		change(&c)
		if err := authority.Certify(&c); err != nil {
			t.Fatal(err)
		}
		return &forger{key.Signer, &c}
	}
	tampered := *issued
	tampered.ValidBefore += 3600
	swapped := *issued
	swapped.Key = key.Public()
	signedByCertificate := *issued
	signedByCertificate.Key = key.Public()
	if err := (&sshtest.Key{Signer: real}).Certify(&signedByCertificate); err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]ssh.Signer{
		"a plain key":                     key.Signer,
		"the key without its certificate": &forger{real, issued.Key},
		"signed by another key":           &forger{key.Signer, issued},
		"a longer validity":               &forger{real, &tampered},
		"another key in it":               &forger{key.Signer, &swapped},
		"another authority":               copied(func(*ssh.Certificate) {}),
		"a host certificate":              copied(func(c *ssh.Certificate) { c.CertType = ssh.HostCert }),
		"a principal with a comma":        copied(func(c *ssh.Certificate) { c.ValidPrincipals = []string{c.ValidPrincipals[0] + ",root"} }),
		"a principal with a space":        copied(func(c *ssh.Certificate) { c.ValidPrincipals = []string{c.ValidPrincipals[0] + " root"} }),
		"a principal with NUL":            copied(func(c *ssh.Certificate) { c.ValidPrincipals = []string{c.ValidPrincipals[0] + "\x00"} }),
		"no principals":                   copied(func(c *ssh.Certificate) { c.ValidPrincipals = nil }),
		"an unknown critical option":      copied(func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"nobody-knows@example.com": ""} }),
		"signed by a certificate":         &forger{key.Signer, &signedByCertificate},
		"expired":                         copied(func(c *ssh.Certificate) { c.ValidBefore = uint64(time.Now().Add(-time.Second).Unix()) }),
		"the gateway's own host key":      &forger{key.Signer, w.plainKey},
	} {
		if err := w.logIn(t, open, ssh.PublicKeys(signer)); err == nil {
			t.Errorf("%s logged in", name)
		}
	}
	if err := w.logIn(t, open, ssh.PublicKeys(real)); err != nil {
		t.Errorf("what the gateway issued: %v", err)
	}
}

func TestAnOfferWithoutASignatureIsNoLogIn(t *testing.T) {
	w := the(t)
	p, err := peer.Dial(w.gw.Address, peer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.Service("ssh-userauth"); err != nil {
		t.Fatal(err)
	}
	issued := w.certificate(t, 5*time.Minute).PublicKey()
	offer := ssh.Marshal(struct {
		Signed    bool
		Algorithm string
		Key       []byte
	}{false, issued.Type(), issued.Marshal()})
	if err := p.Authenticate(open, "publickey", offer); !errors.Is(err, peer.ErrRefused) || !strings.Contains(err.Error(), "would do") {
		t.Errorf("the offer: %v", err)
	}
	// A key of somebody else that signs does not log in as whom the offer named
	// (CVE-2024-45337).
	if err := p.Authenticate(open, "publickey", p.SignedKey(open, newKey(t).Signer)); !errors.Is(err, peer.ErrRefused) {
		t.Errorf("another key signed: %v", err)
	}
	if _, _, err := p.Open(&peer.ChannelOpen{Type: "session", Sender: 1, Window: 1 << 20, Packet: 1 << 15}); err == nil {
		t.Error("a channel was opened before the log-in")
	}
}

func TestGuessingIsCutShort(t *testing.T) {
	w := the(t)
	p, err := peer.Dial(w.gw.Address, peer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.Service("ssh-userauth"); err != nil {
		t.Fatal(err)
	}
	const most = 10
	for i := range most {
		err := p.Authenticate(open, "password", ssh.Marshal(struct {
			Change   bool
			Password string
		}{false, fmt.Sprint("guess", i)}))
		if err == nil {
			t.Fatal("a guess logged in")
		}
		if !errors.Is(err, peer.ErrRefused) {
			return // the connection is closed
		}
	}
	t.Errorf("%d guesses on one connection", most)
}

// modern are the algorithms that may be offered.
func modern() map[string][]string {
	return map[string][]string{
		"key exchange": {"mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
			"sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com", peer.StrictServer, peer.StrictClient, "ext-info-s", "ext-info-c"},
		"host key": {"ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", "ecdsa-sha2-nistp256", "rsa-sha2-256", "rsa-sha2-512"},
		"cipher":   {"aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"},
		"MAC":      {"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"},
		"none":     {"none"},
	}
}

func wantModern(t *testing.T, who string, offered *peer.Init, mark string) {
	t.Helper()
	for kind, lists := range map[string][][]string{
		"key exchange": {offered.KexAlgos}, "host key": {offered.ServerHostKeyAlgos}, "cipher": {offered.CiphersClientServer, offered.CiphersServerClient},
		"MAC": {offered.MACsClientServer, offered.MACsServerClient}, "none": {offered.CompressionClientServer, offered.CompressionServerClient},
	} {
		for _, list := range lists {
			if len(list) == 0 {
				t.Errorf("%s offers no %s", who, kind)
			}
			for _, name := range list {
				if !slices.Contains(modern()[kind], name) {
					t.Errorf("%s offers the %s %s", who, kind, name)
				}
			}
		}
	}
	if !slices.Contains(offered.KexAlgos, mark) {
		t.Errorf("%s does not offer strict key exchange: %q", who, offered.KexAlgos)
	}
}

func TestOnlyModernAlgorithmsAreOfferedOnBothSides(t *testing.T) {
	w := the(t)
	p, err := peer.Dial(w.gw.Address, peer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	wantModern(t, "the gateway to agents", p.Theirs, peer.StrictServer)

	a := w.gateway.ssh(t, "", "true", "-vvv")
	if a.status != 0 || !strings.Contains(a.err, "strict KEX") || !strings.Contains(a.err, "cipher: aes128-gcm@openssh.com") {
		t.Errorf("ssh -vvv: exit %d\n%s", a.status, clip(a.err))
	}
	for name, options := range map[string][]string{
		"an old key exchange": {"-o", "KexAlgorithms=diffie-hellman-group14-sha1"}, "an old cipher": {"-o", "Ciphers=aes128-cbc"},
		"an old MAC": {"-o", "Ciphers=aes256-ctr", "-o", "MACs=hmac-sha1"}, "an old host key": {"-o", "HostKeyAlgorithms=ssh-rsa"},
	} {
		if a := w.gateway.ssh(t, "", "true", options...); a.status != 255 || !strings.Contains(a.err, "no matching") {
			t.Errorf("%s: %s", name, a)
		}
	}
	if a := w.at(watched).ssh(t, "", "echo hello"); a.out != hostile.Greeting {
		t.Errorf("the watched host: %s", a)
	}
	select {
	case offered := <-w.offered:
		wantModern(t, "the gateway to hosts", offered, peer.StrictClient)
	default:
		t.Error("the gateway offered the watched host nothing")
	}
}

func TestAClientThatDoesNotKnowStrictKeyExchangeIsServedOrRefusedButNotCut(t *testing.T) {
	w := the(t)
	p, err := peer.Dial(w.gw.Address, peer.Config{Lax: true})
	if err != nil {
		return // refused
	}
	defer func() { _ = p.Close() }()
	if err := p.Login(open, w.gateway.password); err != nil {
		t.Fatal(err)
	}
	works(t, p)
}

func TestNothingButKeyExchangeIsTakenWithinAStrictOne(t *testing.T) {
	w := the(t)
	for name, message := range map[string][]byte{
		"SSH_MSG_IGNORE": append([]byte{peer.MsgIgnore}, text("x")...), "SSH_MSG_DEBUG": append([]byte{peer.MsgDebug, 0}, text("x", "")...),
		"SSH_MSG_UNIMPLEMENTED": append([]byte{peer.MsgUnimplemented}, number(0)...),
	} {
		config := peer.Config{Before: message}
		p, err := peer.Dial(w.gw.Address, config)
		if err != nil {
			continue
		}
		if err := p.Login(open, w.gateway.password); err == nil {
			t.Errorf("%s before the key exchange was taken", name)
		}
		_ = p.Close()
	}
}

func newKey(t testing.TB) *sshtest.Key {
	t.Helper()
	key, err := sshtest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAHostWithAnotherKeyThanThePinnedOneIsNotLoggedInTo(t *testing.T) {
	w := the(t)
	wrong := slices.IndexFunc(hostile.Lies(), func(l hostile.Lie) bool { return l.WrongKey })
	if a := w.at(liar(wrong)).ssh(t, "", "echo hello"); a.status == 0 || a.out != "" {
		t.Errorf("%s", a)
	}
	if !strings.Contains(w.gw.Log(), "which is not one of its host_keys") {
		t.Error("the gateway's log does not say why")
	}
}
