package peer_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest"
	"github.com/sallyport-gateway/sallyport/test/sshtest/peer"
)

const account = "sptest"

// echo is a script of an honest server: it answers one command with its own text
// and exit status 3, with a new key exchange in the middle.
func echo(p *peer.Conn) error {
	if _, err := p.LetIn(); err != nil {
		return err
	}
	c, err := p.AcceptExec(1<<20, 1<<15)
	if err != nil {
		return err
	}
	err = errors.Join(
		p.Send(&peer.ChannelData{Recipient: c.Theirs, Data: []byte(c.Command)}),
		p.Rekey(),
		p.Send(&peer.ChannelData{Recipient: c.Theirs, Data: []byte(" again\n")}),
		p.Send(&peer.ChannelRequest{Recipient: c.Theirs, Type: "exit-status", Rest: ssh.Marshal(peer.ExitStatus{Status: 3})}),
		p.Send(&peer.ChannelEOF{Recipient: c.Theirs}),
		p.Send(&peer.ChannelClose{Recipient: c.Theirs}),
	)
	if err != nil {
		return err
	}
	_, err = p.Await(peer.MsgChannelClose)
	return err
}

func hostKey(t *testing.T) *sshtest.Key {
	t.Helper()
	key, err := sshtest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func listen(t *testing.T, config peer.Config, script func(*peer.Conn) error) *peer.Listener {
	t.Helper()
	l, err := peer.ListenSSH(config, script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestRealClientsUnderstandTheServer(t *testing.T) {
	key := hostKey(t)
	l := listen(t, peer.Config{HostKey: key.Signer}, echo)
	t.Run("x/crypto", func(t *testing.T) {
		c, err := sshtest.Dial(t.Context(), l.Address, &ssh.ClientConfig{
			User: "u", Auth: []ssh.AuthMethod{ssh.Password("p")}, HostKeyCallback: ssh.FixedHostKey(key.Public()),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Output("hello")
		var exit *ssh.ExitError
		if !errors.As(err, &exit) || exit.ExitStatus() != 3 || string(out) != "hello again\n" {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("OpenSSH", func(t *testing.T) {
		dir := t.TempDir()
		host, port, _ := strings.Cut(l.Address, ":")
		known := filepath.Join(dir, "known_hosts")
		if err := os.WriteFile(known, []byte("["+host+"]:"+port+" "+key.Line()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := hostKey(t).Write(filepath.Join(dir, "id")); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "ssh", "-F", "none", "-o", "UserKnownHostsFile="+known, "-o", "IdentitiesOnly=yes",
			"-o", "BatchMode=yes", "-i", filepath.Join(dir, "id"), "-p", port, "u@"+host, "hello")
		var out, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &stderr
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 3 || out.String() != "hello again\n" {
			t.Errorf("%q, %v, %s", out.String(), err, stderr.String())
		}
	})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range l.Errors() {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestARealServerUnderstandsTheClient(t *testing.T) {
	s := sshtest.Run(t, sshtest.Options{Accounts: []sshtest.Account{{Name: account}}})
	p, err := peer.Dial(s.Address(), peer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if !bytes.Equal(p.HostKey.Marshal(), s.Host.Public().Marshal()) || !strings.HasPrefix(p.TheirVersion, "SSH-2.0-OpenSSH") {
		t.Errorf("host key %v, version %q", p.HostKey, p.TheirVersion)
	}
	if !slices.Contains(p.Theirs.KexAlgos, "curve25519-sha256") {
		t.Errorf("offered %q", p.Theirs.KexAlgos)
	}
	if err := p.Service("ssh-userauth"); err != nil {
		t.Fatal(err)
	}
	// Offered without a signature the key only would do (RFC 4252, section 7).
	offer := ssh.Marshal(struct {
		Signed    bool
		Algorithm string
		Key       []byte
	}{false, ssh.KeyAlgoED25519, s.Client.Public().Marshal()})
	if err := p.Authenticate(account, "publickey", offer); !errors.Is(err, peer.ErrRefused) || !strings.Contains(err.Error(), "would do") {
		t.Errorf("a key without a signature: %v", err)
	}
	if err := p.Authenticate(account, "password", ssh.Marshal(struct {
		Change   bool
		Password string
	}{false, "x"})); !errors.Is(err, peer.ErrRefused) {
		t.Errorf("a password: %v", err)
	}
	if err := p.Authenticate(account, "publickey", p.SignedKey(account, s.Client.Signer)); err != nil {
		t.Fatalf("a signed key: %v", err)
	}
	ok, refused, err := p.Open(&peer.ChannelOpen{Type: "session", Sender: 3, Window: 1 << 20, Packet: 1 << 15})
	if err != nil || refused != nil {
		t.Fatalf("%v, %v", refused, err)
	}
	if err := p.Rekey(); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(&peer.ChannelRequest{Recipient: ok.Sender, Type: "exec", WantReply: true, Rest: ssh.Marshal(struct{ Command string }{"echo hello"})}); err != nil {
		t.Fatal(err)
	}
	payload, err := p.Await(peer.MsgChannelData)
	if err != nil {
		t.Fatal(err)
	}
	var data peer.ChannelData
	if err := ssh.Unmarshal(payload, &data); err != nil || string(data.Data) != "hello\n" {
		t.Errorf("%q, %v", data.Data, err)
	}
	if _, refused, err = p.Open(&peer.ChannelOpen{Type: "nonsense", Sender: 4, Window: 1, Packet: 1}); err != nil || refused == nil {
		t.Errorf("a channel of an unknown type: %v, %v", refused, err)
	}
}

func TestAFrameMayLie(t *testing.T) {
	key := hostKey(t)
	l := listen(t, peer.Config{HostKey: key.Signer}, func(p *peer.Conn) error {
		if _, err := p.LetIn(); err != nil {
			return err
		}
		return p.WriteFrame(1<<31, []byte("short"))
	})
	c, err := sshtest.Dial(t.Context(), l.Address, &ssh.ClientConfig{
		User: "u", Auth: []ssh.AuthMethod{ssh.Password("p")}, HostKeyCallback: ssh.FixedHostKey(key.Public()),
	})
	if err != nil {
		return // seen during the log-in
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the client took a packet of two gigabytes")
		}
	case <-time.After(20 * time.Second):
		t.Error("the client waits for two gigabytes")
	}
}
