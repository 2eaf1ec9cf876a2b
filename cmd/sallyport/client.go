package main

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const (
	defaultAPI = "https://127.0.0.1:8420"
	// maxSmallFile bounds token, secret and CA files.
	maxSmallFile = 1 << 20
)

// connection is how a command reaches the gateway.
type connection struct {
	api, ca, tokenFile string
	json               bool
}

// flags adds the connection's flags to a command. There is no flag for a token
// itself: everybody on a machine can read the command lines on it.
func (c *connection) flags(cmd *cobra.Command) *cobra.Command {
	f := cmd.Flags()
	f.StringVar(&c.api, "api", "", "the gateway's address (SALLYPORT_API; default "+defaultAPI+")")
	f.StringVar(&c.ca, "ca", "", "`FILE` of PEM certificates to trust for it (SALLYPORT_CA; default: the system's)")
	f.StringVar(&c.tokenFile, "token-file", "", "`FILE` that holds your token (SALLYPORT_TOKEN_FILE, or the token itself in SALLYPORT_TOKEN)")
	f.BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

// client returns a client for the gateway.
func (c *connection) client() (*api.Client, error) {
	cfg := api.ClientConfig{
		URL:   or(c.api, os.Getenv("SALLYPORT_API"), defaultAPI),
		Token: func(context.Context) (gate.Secret, error) { return c.token() },
	}
	if file := or(c.ca, os.Getenv("SALLYPORT_CA")); file != "" {
		pem, err := readSmall(file)
		if err != nil {
			return nil, fmt.Errorf("read the CA file: %w", err)
		}
		cfg.CA = pem
	}
	return api.NewClient(cfg)
}

// token finds the caller's token. A flag goes before the environment.
func (c *connection) token() (gate.Secret, error) {
	if value := os.Getenv("SALLYPORT_TOKEN"); c.tokenFile == "" && value != "" {
		return checkToken(value, "SALLYPORT_TOKEN")
	}
	file := or(c.tokenFile, os.Getenv("SALLYPORT_TOKEN_FILE"))
	if file == "" {
		return gate.Secret{}, &hintError{errors.New("there is no token to show to the gateway"),
			"Set SALLYPORT_TOKEN, or SALLYPORT_TOKEN_FILE, or give --token-file FILE.", exitRefused}
	}
	return tokenFromFile(file)
}

func tokenFromFile(file string) (gate.Secret, error) {
	raw, err := readSmall(file)
	if err != nil {
		return gate.Secret{}, fmt.Errorf("read the token: %w", err)
	}
	return checkToken(string(raw), file)
}

// checkToken refuses what the gateway would refuse anyway, with a better reason.
// It verifies nothing.
func checkToken(value, source string) (gate.Secret, error) {
	value = strings.TrimSpace(value)
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return gate.Secret{}, &hintError{fmt.Errorf("%s does not hold a token", source),
			"It must hold one token and nothing else.", exitRefused}
	}
	if ended, ok := tokenExpiry(value); ok && !time.Now().Before(ended) {
		return gate.Secret{}, &hintError{fmt.Errorf("the token in %s expired at %s", source, when(ended)),
			"Get a fresh one from your identity provider.", exitRefused}
	}
	return gate.NewSecret(value), nil
}

// tokenExpiry reads exp of a JWT (RFC 7519, section 4.1.4) without verifying it.
func tokenExpiry(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1e12 {
		return time.Time{}, false
	}
	return time.Unix(int64(claims.Exp), 0), true
}

// explain adds what to do to an error of the client.
func explain(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var away *api.UnreachableError
	var problem *api.Problem
	hint := ""
	switch {
	case errors.As(err, &unknown):
		hint = "Its certificate is of no authority that you trust: give --ca FILE (or SALLYPORT_CA) with the gateway's CA."
	case errors.As(err, &host):
		hint = "Its certificate is for another name: use the name that the certificate has in --api."
	case errors.As(err, &away):
		hint = "Is it running, and is --api (or SALLYPORT_API) its console's address?"
	case errors.As(err, &problem) && problem.Status == 401:
		hint = "Your token was not accepted: it may have expired, be revoked, or be of an issuer or audience that the gateway does not know."
	}
	if hint == "" {
		return err
	}
	return &hintError{err: err, hint: hint}
}

// action is a command that calls the gateway: do gets a client, and what it
// returns is printed as JSON or by show.
func action[T any](c *connection, do func(context.Context, *api.Client, []string) (T, error), show func(io.Writer, T) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		v, err := do(cmd.Context(), client, args)
		if err != nil {
			return explain(err)
		}
		if c.json {
			return printJSON(cmd.OutOrStdout(), v)
		}
		return show(cmd.OutOrStdout(), v)
	}
}

// or returns the first value that is not empty.
func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// readSmall reads a file of at most maxSmallFile bytes.
func readSmall(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err == nil && len(raw) > maxSmallFile {
		err = fmt.Errorf("%s is larger than %d bytes", file, maxSmallFile)
	}
	return raw, err
}

// trimLine drops the line end that editors leave in a file of one value.
func trimLine(raw []byte) string { return strings.TrimRight(string(raw), "\r\n") }

// writeOutput gives write a file, or standard output. The file appears when it
// is complete and never replaces another; it is for the owner alone, because
// recordings hold data. What goes to a terminal is made safe for it.
func writeOutput(stdout io.Writer, file string, write func(io.Writer) error) error {
	if file == "" {
		if f, ok := stdout.(*os.File); ok {
			if i, err := f.Stat(); err == nil && i.Mode()&os.ModeCharDevice != 0 {
				return write(screenWriter{f})
			}
		}
		return write(stdout)
	}
	if _, err := os.Lstat(file); err == nil {
		return &hintError{fmt.Errorf("%s exists already", file), "Choose another name.", exitConflict}
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".sallyport-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when the file got its name
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// replaceFile writes a file for the owner alone, in one step, also over one that
// others can read.
func replaceFile(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".sallyport-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when the file got its name
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// screenWriter makes what is written safe for a terminal.
type screenWriter struct{ w io.Writer }

func (s screenWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(s.w, screen(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}
