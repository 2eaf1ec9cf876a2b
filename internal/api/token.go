package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// maxIssuerBytes bounds what an issuer answers.
const maxIssuerBytes = 1 << 20

// TokenRequest asks an issuer for a token in the name of an OAuth client.
type TokenRequest struct {
	// Issuer is the issuer's URL, as in its document: https, or http with a loopback
	// address, where nobody can listen in.
	Issuer       string
	ClientID     string
	ClientSecret gate.Secret
	// Scope, Audience and Resource are sent if set. Which of them an issuer
	// wants to be told the audience by differs: RFC 8707 says resource.
	Scope    string
	Audience string
	Resource string
	// CA is a PEM bundle to trust instead of the system's roots. Nil means the
	// system's; an empty bundle is an error.
	CA []byte
}

// RequestToken obtains an access token by the client credentials grant (RFC 6749,
// section 4.4) from the token endpoint that the issuer's metadata names (OpenID
// Connect Discovery 1.0, section 4). The secret goes nowhere but to an endpoint,
// as safe as the issuer's URL, of an issuer that calls itself by the same name. Errors
// hold no secret.
func RequestToken(ctx context.Context, r TokenRequest) (gate.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	client, err := issuerClient(r.CA)
	if err != nil {
		return gate.Secret{}, err
	}
	defer client.CloseIdleConnections()
	endpoint, err := discoverToken(ctx, client, r.Issuer)
	if err != nil {
		return gate.Secret{}, err
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	setQuery(form, "scope", r.Scope)
	setQuery(form, "audience", r.Audience)
	setQuery(form, "resource", r.Resource)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return gate.Secret{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// RFC 6749, section 2.3.1: both are form-encoded before they are joined.
	req.SetBasicAuth(url.QueryEscape(r.ClientID), url.QueryEscape(r.ClientSecret.Reveal()))
	var answer struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
		Error string `json:"error"`
	}
	status, err := askIssuer(client, req, &answer)
	switch {
	case err != nil:
		return gate.Secret{}, fmt.Errorf("ask %s for a token: %w", r.Issuer, err)
	case status != http.StatusOK && answer.Error != "":
		return gate.Secret{}, fmt.Errorf("%s gives no token: %s", r.Issuer, answer.Error)
	case status != http.StatusOK:
		return gate.Secret{}, fmt.Errorf("%s gives no token: HTTP status %d", r.Issuer, status)
	case answer.Token == "" || !strings.EqualFold(answer.Type, "Bearer"):
		return gate.Secret{}, fmt.Errorf("%s gives no bearer token", r.Issuer)
	}
	return gate.NewSecret(answer.Token), nil
}

func issuerClient(ca []byte) (*http.Client, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("the issuer's CA file holds no PEM certificate")
		}
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c,
			TLSHandshakeTimeout: connectTimeout, MaxResponseHeaderBytes: maxHeaderBytes},
	}, nil
}

// discoverToken returns the issuer's token endpoint.
func discoverToken(ctx context.Context, client *http.Client, issuer string) (string, error) {
	scheme := safeScheme(issuer)
	if scheme == "" {
		return "", fmt.Errorf("issuer %q is not a plain https:// URL, nor http:// with a loopback address", issuer)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", nil)
	if err != nil {
		return "", err
	}
	var metadata struct {
		Issuer   string `json:"issuer"`
		Endpoint string `json:"token_endpoint"`
	}
	status, err := askIssuer(client, req, &metadata)
	switch {
	case err != nil:
		return "", fmt.Errorf("read the metadata of %s: %w", issuer, err)
	case status != http.StatusOK:
		return "", fmt.Errorf("read the metadata of %s: HTTP status %d", issuer, status)
	case metadata.Issuer != issuer:
		// Discovery, section 4.3: they must be the same, or somebody else answers.
		return "", fmt.Errorf("the metadata of %s is of the issuer %q", issuer, metadata.Issuer)
	case safeScheme(metadata.Endpoint) != scheme:
		return "", fmt.Errorf("the metadata of %s names no %s token endpoint that a secret can be sent to", issuer, scheme)
	}
	return metadata.Endpoint, nil
}

// safeScheme returns the scheme of a URL that a secret can be sent to: https, or http
// with a loopback address. Of any other it is empty.
func safeScheme(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return ""
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || u.Scheme == "http" && (ip != nil && ip.IsLoopback() || u.Hostname() == "localhost") {
		return u.Scheme
	}
	return ""
}

func askIssuer(client *http.Client, req *http.Request, v any) (int, error) {
	req.Header.Set("Accept", "application/json")
	r, err := client.Do(req)
	if err != nil {
		return 0, innermost(err)
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxIssuerBytes))
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(raw, v); err != nil && r.StatusCode == http.StatusOK {
		return 0, errors.New("the answer is not JSON")
	}
	return r.StatusCode, nil
}
