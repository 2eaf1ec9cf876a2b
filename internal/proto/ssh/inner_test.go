package ssh_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	cryptossh "golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
)

// inner is a protocol of the gateway that a tunnel is handed to. It opens a session of
// its own, leaves the rest to Session.Run as the others may, and greets.
type inner struct{ target string }

func (inner) Name() string { return "ssh" }

func (p inner) Serve(ctx context.Context, client net.Conn, g *gate.Gateway) error {
	s, err := g.Open(ctx, gate.Proof{Token: gate.NewSecret("token")}, p.target, gate.Client{Conn: client, Protocol: p.Name()})
	if err != nil {
		return err
	}
	return s.Run(ctx, func() error {
		defer s.Close()
		return s.Answer(0, []byte("served inside"))
	})
}

func TestATunnelToATargetOfOursIsServedInsideWhereARuleAllowsIt(t *testing.T) {
	const place = "db.internal:5432"
	a := newArena(t, "", "", func(c *ssh.Config) {
		c.Inner = func(address string) gate.Protocol {
			if address == place {
				return inner{"host"}
			}
			return nil
		}
	})
	c, err := cryptossh.Dial("tcp", a.address, &cryptossh.ClientConfig{User: "host", Auth: []cryptossh.AuthMethod{cryptossh.Password("token")},
		HostKeyCallback: cryptossh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a.set(func() { a.verdict = func(*gate.Command) gate.Verdict { return gate.Verdict{} } })
	if conn, err := c.Dial("tcp", place); err == nil {
		_ = conn.Close()
		t.Fatal("a tunnel was served that no rule allows")
	}
	var asked []string
	a.set(func() {
		a.verdict = func(cmd *gate.Command) gate.Verdict {
			asked = append(asked, cmd.Text+" "+cmd.Effects.String())
			return gate.Verdict{Decision: gate.Allow, Rule: "arena/tunnels"}
		}
	})
	conn, err := c.Dial("tcp", place)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "served inside" {
		t.Fatalf("got %q, %v", got, err)
	}
	a.set(func() {
		if len(asked) != 1 || asked[0] != "tunnel to "+place+" tunnel" {
			t.Errorf("decided %q", asked)
		}
	})
}
