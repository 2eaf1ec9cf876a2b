package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// SSH issues what agents log in to the gateway's SSH side with. It must be safe for
// concurrent use.
type SSH interface {
	// Issue returns a certificate for the caller's own key, both in the form of an
	// authorized_keys line. Invalid if the key is not one that gets a certificate.
	Issue(ctx context.Context, p *gate.Principal, publicKey string) (certificate string, err error)
	// Access tells how to reach the gateway by SSH.
	Access() SSHAccess
}

// SSHAccess is how to reach the gateway by SSH.
type SSHAccess struct {
	Address       string `json:"address" doc:"host:port of the SSH listener, as configured; empty if SSH is not served"`
	HostAuthority string `json:"host_authority" doc:"The public key that signs the gateway's host key, for @cert-authority in known_hosts"`
}

// SSHCertificate is a certificate to log in with.
type SSHCertificate struct {
	Certificate string    `json:"certificate" doc:"The line of a -cert.pub file"`
	Expires     time.Time `json:"expires" doc:"When it ends: with the token that it was issued for"`
}

type certifyInput struct {
	Body struct {
		PublicKey string `json:"public_key" minLength:"16" maxLength:"8192" doc:"The caller's own public key, as in a .pub file"`
	}
}

type certifyOutput struct{ Body SSHCertificate }

type sshAccessOutput struct{ Body SSHAccess }

func (s *Server) registerSSH() {
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "ssh-access", Method: http.MethodGet, Path: "/v1/ssh",
		Summary: "Show how to reach the gateway by SSH", Tags: []string{"ssh"},
	}, "", true), s.sshAccess)
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "ssh-certify", Method: http.MethodPost, Path: "/v1/ssh/certificates",
		Summary: "Issue a certificate for the calling agent's own SSH key, valid as long as its token", Tags: []string{"ssh"},
	}, "", true), s.certify)
}

func (s *Server) sshAccess(context.Context, *struct{}) (*sshAccessOutput, error) {
	if s.cfg.SSH == nil {
		return nil, newProblem(http.StatusNotFound, "This gateway does not serve SSH.")
	}
	return &sshAccessOutput{Body: s.cfg.SSH.Access()}, nil
}

func (s *Server) certify(ctx context.Context, in *certifyInput) (*certifyOutput, error) {
	p := callerOf(ctx).principal
	switch {
	case s.cfg.SSH == nil:
		return nil, newProblem(http.StatusNotFound, "This gateway does not serve SSH.")
	case p.Kind != gate.KindAgent:
		return nil, newProblem(http.StatusForbidden, "Certificates are issued to agents: people open no sessions.")
	}
	out := &certifyOutput{}
	err := s.call(ctx, "ssh-certify", p.TokenID, "", func(ctx context.Context) error {
		line, err := s.cfg.SSH.Issue(ctx, p, in.Body.PublicKey)
		if err != nil {
			return &Error{Kind: Invalid, Public: err.Error()}
		}
		out.Body = SSHCertificate{Certificate: line, Expires: p.Expiry}
		return nil
	})
	if err != nil {
		return nil, s.fail(ctx, "ssh-certify", err)
	}
	return out, nil
}

// SSHAccess returns how to reach the gateway by SSH.
func (c *Client) SSHAccess(ctx context.Context) (SSHAccess, error) {
	return get[SSHAccess](ctx, c, "/v1/ssh", nil)
}

// Certify returns a certificate for the caller's own key, in the form of a .pub file.
func (c *Client) Certify(ctx context.Context, publicKey string) (SSHCertificate, error) {
	return send[SSHCertificate](ctx, c, http.MethodPost, "/v1/ssh/certificates", map[string]string{"public_key": publicKey})
}
