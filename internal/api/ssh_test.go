package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJnS3ymF3X9uvGJPXvSLWpz1DQF1jDxEVk7dyUkB9u2n"

func certify(key string) string {
	body, _ := json.Marshal(map[string]string{"public_key": key})
	return string(body)
}

func TestAnAgentGetsACertificateThatEndsWithItsToken(t *testing.T) {
	w := newWorld()
	srv := w.serve(t, nil)
	got, err := client(t, srv, agent).Certify(context.Background(), publicKey)
	if err != nil {
		t.Fatal(err)
	}
	if got.Certificate != "certificate of jti-agent" || !got.Expires.Equal(w.now.Add(time.Hour)) {
		t.Errorf("%+v", got)
	}
	access, err := client(t, srv, agent).SSHAccess(context.Background())
	if err != nil || access.Address == "" || access.HostAuthority == "" {
		t.Errorf("%+v %v", access, err)
	}
	var done []string
	for _, e := range w.audit {
		done = append(done, strings.Join([]string{e.By.Subject, e.Action, e.Object, e.Outcome}, " "))
	}
	if want := "agent ssh-certify jti-agent begun|agent ssh-certify jti-agent done"; strings.Join(done, "|") != want {
		t.Errorf("audit: %q", done)
	}
}

func TestWhatIsNoKeyGetsNoCertificate(t *testing.T) {
	w := newWorld()
	srv := w.serve(t, nil)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"no body": {"", 400}, "not JSON": {"{", 400}, "no key": {"{}", 422}, "short": {certify("x"), 422},
		"long": {certify(strings.Repeat("a", 9000)), 422}, "another field": {`{"public_key":"` + publicKey + `","principal":"root"}`, 422},
		"not a key": {certify("ssh-dss AAAAB3NzaC1kc3MAAACBA"), 422},
	} {
		a := ask(t, srv, agent, "POST", "/v1/ssh/certificates", jsonType, c.body)
		if a.status != c.status {
			t.Errorf("%s: %d %s, want %d", name, a.status, a.body, c.status)
		}
		if a.problem(t); strings.Contains(a.body, "certificate of") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	if len(w.issued) != 0 {
		t.Errorf("issued: %q", w.issued)
	}
}

// real issues certificates of an authority of its own.
type real struct{ *ssh.Authority }

func (r real) Issue(_ context.Context, p *gate.Principal, key string) (string, error) {
	return r.Authority.Issue(p, []byte(key))
}

func (r real) Access() api.SSHAccess {
	return api.SSHAccess{Address: "gateway.example:6422", HostAuthority: r.HostAuthorityKey()}
}

func TestTheAuthorityRefusesKeysWithItsReason(t *testing.T) {
	w := newWorld()
	var keys ssh.Keys
	for _, k := range []*gate.Secret{&keys.Host, &keys.HostAuthority, &keys.UserAuthority} {
		var err error
		if *k, err = ssh.GenerateKey(); err != nil {
			t.Fatal(err)
		}
	}
	authority, err := ssh.NewAuthority(keys, func() time.Time { return w.now })
	if err != nil {
		t.Fatal(err)
	}
	srv := w.serve(t, func(c *api.Config) { c.SSH = real{authority} })
	issued, err := client(t, srv, agent).Certify(context.Background(), publicKey)
	if err != nil || !strings.HasPrefix(issued.Certificate, "ssh-ed25519-cert-v01@openssh.com ") {
		t.Fatalf("%+v %v", issued, err)
	}
	for name, key := range map[string]string{
		"two keys": publicKey + "\n" + publicKey, "a certificate": issued.Certificate, "words": "this is no key at all",
		"RSA of 1024 bits": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDDr0xBMlhGmTKvGG3pLO1fUFsTZpKfcFBz6cPBDMnHpTHV2RtbL1yFPTZ9Zbwg2WZJ4vW6sJZ0oYkVrfWqVYVbQqgkYJPbDoTjlKhCbUaGLn8LvhqsBW0YBKcF3cn4jnMzWQ7DYAUbFj8UhVmzpdGrsPKXm3c1UuW4Ym3zmAHCkQ==",
	} {
		a := ask(t, srv, agent, "POST", "/v1/ssh/certificates", jsonType, certify(key))
		if a.status != 422 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if p := a.problem(t); !strings.Contains(p.Detail, "key") {
			t.Errorf("%s: no reason: %s", name, a.body)
		}
	}
}

func TestWhereSSHIsNotServedThereIsNothing(t *testing.T) {
	srv := newWorld().serve(t, func(c *api.Config) { c.SSH = nil })
	for _, a := range []answer{
		ask(t, srv, agent, "GET", "/v1/ssh", "", ""), ask(t, srv, admin, "GET", "/v1/ssh", "", ""),
		ask(t, srv, agent, "POST", "/v1/ssh/certificates", jsonType, certify(publicKey)),
	} {
		if a.status != 404 || !strings.Contains(a.problem(t).Detail, "does not serve SSH") {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// TestFollowingEndsWithThePermission writes to a follower before and after its
// permission has ended.
func TestFollowingEndsWithThePermission(t *testing.T) {
	for name, end := range map[string]func(*world){
		"permission": func(w *world) { w.allowed["admin"] = nil },
		"token":      func(w *world) { w.now = w.now.Add(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			begun, next := make(chan struct{}), make(chan struct{})
			ended := make(chan error, 1)
			w.follow = func(_ context.Context, out io.Writer) error {
				_, err := io.WriteString(out, "first\n")
				close(begun)
				<-next
				if err == nil {
					_, err = io.WriteString(out, "second\n")
				}
				ended <- err
				return err
			}
			srv := w.serve(t, nil)
			r, err := client(t, srv, admin).Follow(context.Background(), "ses_1")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			// What is written comes at once, before the handler has ended.
			buf := make([]byte, len("first\n"))
			if _, err := io.ReadFull(r, buf); err != nil || string(buf) != "first\n" {
				t.Fatalf("%q %v", buf, err)
			}
			<-begun
			end(w)
			close(next)
			if rest, err := io.ReadAll(r); err == nil || strings.Contains(string(rest), "second") {
				t.Errorf("%q %v", rest, err)
			}
			var refused *api.Error
			if err := <-ended; !errors.As(err, &refused) || refused.Kind != api.Forbidden {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestFollowersDoNotTakeTheSeatsOfReaders(t *testing.T) {
	w := newWorld()
	release := make(chan struct{})
	w.follow = func(ctx context.Context, out io.Writer) error {
		_, err := io.WriteString(out, "x")
		select {
		case <-release:
		case <-ctx.Done():
		}
		return err
	}
	srv := w.serve(t, nil)
	c := client(t, srv, admin)
	const most = 64
	for range most {
		r, err := c.Follow(context.Background(), "ses_1")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
	}
	if a := ask(t, srv, admin, "GET", "/v1/sessions/ses_1/follow", "", ""); a.status != 503 {
		t.Errorf("one more: %d %s", a.status, a.body)
	}
	if a := ask(t, srv, admin, "GET", "/v1/sessions/ses_1/recording", "", ""); a.status != 200 {
		t.Errorf("a reader: %d %s", a.status, a.body)
	}
	close(release)
}

// TestFollowingOutlivesTheBoundsOnARequest follows for longer than a server with small
// bounds lets requests and answers take, by both versions of HTTP.
func TestFollowingOutlivesTheBoundsOnARequest(t *testing.T) {
	const bound, long = time.Second, 2500 * time.Millisecond
	for _, http2 := range []bool{false, true} {
		w := newWorld()
		w.follow = func(ctx context.Context, out io.Writer) error {
			tick := time.NewTicker(bound / 20)
			defer tick.Stop()
			for end := time.Now().Add(long); time.Now().Before(end); {
				if _, err := io.WriteString(out, "\n"); err != nil {
					return err
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			_, err := io.WriteString(out, "the end")
			return err
		}
		cfg := w.config()
		s, err := api.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewUnstartedServer(s)
		srv.Config = api.HTTPServer(s, nil, cfg.Log)
		srv.Config.ReadTimeout, srv.Config.WriteTimeout = bound, bound
		srv.EnableHTTP2 = http2
		srv.StartTLS()
		t.Cleanup(srv.Close)
		r, err := client(t, srv, admin).Follow(context.Background(), "ses_1")
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil || !strings.HasSuffix(string(all), "the end") {
			t.Errorf("HTTP/2 %t: %q %v", http2, all, err)
		}
	}
}
