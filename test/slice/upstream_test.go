package slice_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// targetAt is a target at an address, with the lines of its TLS.
func targetAt(name, address, database, credential, tls string) string {
	return fmt.Sprintf(`kind: Target
name: %s
protocol: postgres
address: %s
database: %s
labels: {env: test}
credential: %s
tls: {%s}
---
`, name, address, database, credential, tls)
}

func TestLogInToTargetsByEveryMethod(t *testing.T) {
	w := the(t)
	plain := pgtest.Start(t, pgserver.Options{Auth: pgserver.AuthMD5, Roles: []pgserver.Role{{Name: role, Password: password}}})
	byCert := pgtest.Start(t, pgserver.Options{Auth: pgserver.AuthCert, Roles: []pgserver.Role{{Name: role}}})
	pair, err := byCert.Authority.IssueClient(role)
	if err != nil {
		t.Fatal(err)
	}
	ca := "ca: " + w.pg.CAFile
	g := newGateway(t, w, settings{documents: map[string]string{
		"issuers.yaml": issuers(w.idp.URL),
		"targets.yaml": strings.Join([]string{
			targetAt("verify-full", w.pg.Address(), "shop", "slice", "mode: verify-full, "+ca),
			targetAt("verify-full-name", w.pg.Address(), "shop", "slice", "mode: verify-full, server_name: localhost, "+ca),
			targetAt("verify-full-wrong-name", w.pg.Address(), "shop", "slice", "mode: verify-full, server_name: db.example, "+ca),
			targetAt("verify-full-wrong-ca", w.pg.Address(), "shop", "slice", "mode: verify-full, ca: "+plain.CAFile),
			targetAt("verify-full-system-ca", w.pg.Address(), "shop", "slice", "mode: verify-full"),
			targetAt("verify-ca", w.pg.Address(), "shop", "slice", "mode: verify-ca, server_name: db.example, "+ca),
			targetAt("verify-ca-wrong-ca", w.pg.Address(), "shop", "slice", "mode: verify-ca, ca: "+plain.CAFile),
			targetAt("require", w.pg.Address(), "shop", "slice", "mode: require"),
			targetAt("disable-where-required", w.pg.Address(), "shop", "slice", "mode: disable"),
			targetAt("disable", plain.Address(), "postgres", "slice", "mode: disable"),
			targetAt("md5", plain.Address(), "postgres", "slice", "mode: verify-full, ca: "+plain.CAFile),
			targetAt("cert", byCert.Address(), "postgres", "cert", "mode: verify-full, ca: "+byCert.CAFile),
			targetAt("cert-missing", byCert.Address(), "postgres", "slice", "mode: verify-full, ca: "+byCert.CAFile),
			targetAt("wrong-password", w.pg.Address(), "shop", "wrong", "mode: verify-full, "+ca),
			targetAt("intercepted", intercept(t, w), "shop", "slice", "mode: require"),
			targetAt("nobody", "127.0.0.1:1", "shop", "slice", "mode: disable"),
			credential,
			"kind: Credential\nname: cert\nusername: agent\ncertificate: agent.crt\nkey: {from: \"file:agent.key\"}\n---\n",
			"kind: Credential\nname: wrong\nusername: agent\npassword: {from: \"file:wrong\"}\n---\n",
			openPolicy,
		}, ""),
	}})
	g.write(t, "agent.crt", string(pair.CertPEM))
	g.write(t, "agent.key", string(pair.KeyPEM))
	g.write(t, "wrong", "canary-wrong-password\n")
	g.start(t)
	for name, works := range map[string]bool{
		"verify-full": true, "verify-full-name": true, "verify-full-wrong-name": false, "verify-full-wrong-ca": false, "verify-full-system-ca": false,
		"verify-ca": true, "verify-ca-wrong-ca": false, "require": true, "disable-where-required": false, "disable": true,
		"md5": true, "cert": true, "cert-missing": false, "wrong-password": false, "nobody": false,
		// SCRAM-SHA-256-PLUS: whoever stands between them cannot log in.
		"intercepted": false,
	} {
		t.Run(name, func(t *testing.T) {
			a, err := g.tryConnect(name, w.token(t, reporter))
			if works {
				if err != nil {
					t.Fatal(describe(err))
				}
				a.alive(t)
				a.leave()
				return
			}
			if err == nil {
				a.leave()
				t.Fatal("the log-in succeeded")
			}
			e := wantError(t, "log in", err, "08006", "")
			for _, secret := range []string{password, "canary", role + `"`, "127.0.0.1:"} {
				if strings.Contains(e.Message+e.Detail+e.Hint, secret) {
					t.Errorf("the agent is told %q", secret)
				}
			}
		})
	}
	if strings.Contains(g.log(), "canary-") {
		t.Error("a password is in the log")
	}
}

// intercept stands between the gateway and the database, as someone with a
// certificate of their own does, and returns its address.
func intercept(t *testing.T, w *world) string {
	t.Helper()
	authority, err := pgserver.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.IssueServer()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return between(t, w.pg.Address(), func(client, server net.Conn) (net.Conn, net.Conn, error) {
		var request [8]byte
		if _, err := io.ReadFull(client, request[:]); err != nil {
			return nil, nil, err
		}
		if _, err := server.Write(request[:]); err != nil {
			return nil, nil, err
		}
		var answer [1]byte
		if _, err := io.ReadFull(server, answer[:]); err != nil {
			return nil, nil, err
		}
		if _, err := client.Write(answer[:]); err != nil {
			return nil, nil, err
		}
		return tls.Server(client, &tls.Config{Certificates: []tls.Certificate{certificate}}), tls.Client(server, &tls.Config{InsecureSkipVerify: true}), nil
	}, nil)
}

// between forwards connections to an address. dress may wrap both ends; lie may
// answer a message of the client in place of the server: it returns nil to let
// it pass.
func between(t *testing.T, address string, dress func(client, server net.Conn) (net.Conn, net.Conn, error), lie func(typ byte, body []byte) []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	t.Cleanup(func() { _ = l.Close() })
	wait.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { forward(client, address, dress, lie) })
		}
	})
	return l.Addr().String()
}

func forward(client net.Conn, address string, dress func(client, server net.Conn) (net.Conn, net.Conn, error), lie func(typ byte, body []byte) []byte) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		_ = client.Close()
		return
	}
	defer client.Close()
	defer server.Close()
	if dress != nil {
		if client, server, err = dress(client, server); err != nil {
			return
		}
	}
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	if lie == nil {
		_, _ = io.Copy(server, client)
		return
	}
	_ = answerFalsely(client, server, lie)
}

// answerFalsely passes on a client's messages but for those that lie answers.
func answerFalsely(client io.ReadWriter, server io.Writer, lie func(typ byte, body []byte) []byte) error {
	for head := 4; ; head = 5 { // the startup packet has no type
		var h [5]byte
		if _, err := io.ReadFull(client, h[:head]); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint32(h[head-4:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return err
		}
		if head == 5 {
			if answer := lie(h[0], body); answer != nil {
				if bytes.Equal(answer, hangUp) {
					return io.EOF
				}
				if _, err := client.Write(answer); err != nil {
					return err
				}
				continue
			}
		}
		if _, err := server.Write(append(h[:head:head], body...)); err != nil {
			return err
		}
	}
}

var hangUp = []byte("hang up")

// description is a RowDescription of text columns; row is a DataRow.
func description(columns int) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(columns))
	for range columns {
		body = append(body, "c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00"...)
	}
	return message('T', string(body))
}

func row(values ...string) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(v))), v...)
	}
	return message('D', string(body))
}

func together(messages ...[]byte) []byte { return bytes.Join(messages, nil) }

func TestATargetThatLiesEndsOnlyItsOwnSession(t *testing.T) {
	w := the(t)
	real := pgtest.Start(t, pgserver.Options{NoTLS: true, Roles: []pgserver.Role{{Name: role, Password: password}}})
	done, ready := message('C', "SELECT 1\x00"), message('Z', "I")
	lies := map[string][]byte{
		"more columns than announced":      together(description(1), row("a", "b"), done, ready),
		"a row that is shorter than it is": together(description(2), message('D', "\x00\x02\x00\x00"), done, ready),
		"a row that was not announced":     together(row("a"), done, ready),
		"CopyInResponse":                   message('G', "\x00\x00\x00"),
		"CopyOutResponse":                  together(message('H', "\x00\x00\x00"), message('d', "x"), message('c', ""), done, ready),
		"CopyBothResponse":                 message('W', "\x00\x00\x00"),
		"a huge message":                   together(description(1), []byte{'D', 0x7f, 0xff, 0xff, 0xff}),
		"a message without a length":       {'D', 0, 0, 0, 0},
		"a huge error":                     message('E', "SERROR\x00C22012\x00M"+strings.Repeat("x", 2<<20)+"\x00\x00"),
		"an error without an end":          message('E', "SERROR\x00C22012"),
		"another encoding":                 together(message('S', "client_encoding\x00LATIN1\x00"), description(1), row("a"), done, ready),
		"another string syntax":            together(message('S', "standard_conforming_strings\x00off\x00"), description(1), row("a"), done, ready),
		"a question for the password":      message('R', "\x00\x00\x00\x03"),
		"another key":                      together(message('K', "\x00\x00\x00\x01\x00\x00\x00\x02"), done, ready),
		"a message of an unknown type":     message('?', "x"),
		"ParseComplete for a query":        together(message('1', ""), done, ready),
		"a status that does not exist":     together(description(1), row("a"), done, message('Z', "X")),
		"PortalSuspended for a query":      together(description(1), row("a"), message('s', ""), ready),
		"the end of the connection":        hangUp,
	}
	address := between(t, real.Address(), nil, func(typ byte, body []byte) []byte {
		for name, lie := range lies {
			if typ == 'Q' && strings.Contains(string(body), "'"+name+"'") {
				return lie
			}
		}
		return nil
	})
	g := startGateway(t, w, settings{documents: map[string]string{
		"issuers.yaml": issuers(w.idp.URL),
		"targets.yaml": targetAt("liar", address, "postgres", "slice", "mode: disable") + credential + openPolicy,
	}})
	bystander := g.connect(t, "liar", w.token(t, reporter))
	for name := range lies {
		t.Run(name, func(t *testing.T) {
			b := bareThrough(t, g, "liar", w.token(t, reporter))
			b.send(mQuery("SELECT '" + name + "'"))
			if got := b.closed(); !strings.HasSuffix(got, "E(FATAL 08006) closed") {
				t.Error(got)
			}
			bystander.alive(t)
		})
	}
	if log := g.log(); strings.Contains(log, "panic") {
		t.Error(log)
	}
}

// keyMode checks that what the gateway keeps is for its account alone.
func keyMode(t *testing.T, g *gateway) {
	t.Helper()
	for _, name := range []string{"key", "gateway.key", "state.db"} {
		info, err := os.Stat(filepath.Join(g.dir, "data", name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}
