package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func newTokenCommand() *cobra.Command {
	var c connection
	var r api.TokenRequest
	var secretFile, ca string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Print a token for an agent",
		Long: `Print a token for an agent, from the first of these that is given:

  --issuer URL --client-id ID --client-secret-file FILE
                       asks the issuer for one (OAuth 2.0 client credentials)
  --token-file FILE    a file that something else keeps fresh, such as a projected
                       Kubernetes service account token
  SALLYPORT_TOKEN, SALLYPORT_TOKEN_FILE
                       the same from the environment

A token that has expired is refused here already.`,
		Example: `  PGPASSWORD=$(sallyport token) psql "host=gateway port=6432 dbname=orders user=agent sslmode=require"`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := func() (gate.Secret, error) {
				if r.Issuer == "" {
					return c.token()
				}
				return requestToken(cmd, r, secretFile, ca)
			}()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token.Reveal())
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.tokenFile, "token-file", "", "`FILE` that holds the token (SALLYPORT_TOKEN_FILE)")
	f.StringVar(&r.Issuer, "issuer", "", "`URL` of the issuer to ask")
	f.StringVar(&r.ClientID, "client-id", "", "`ID` of the OAuth client")
	f.StringVar(&secretFile, "client-secret-file", "", "`FILE` that holds the client's secret")
	f.StringVar(&r.Scope, "scope", "", "scopes to ask for, separated by spaces")
	f.StringVar(&r.Audience, "audience", "", "audience to ask for, where the issuer wants the parameter audience")
	f.StringVar(&r.Resource, "resource", "", "audience to ask for as `URI`, where the issuer wants the parameter resource (RFC 8707)")
	f.StringVar(&ca, "issuer-ca", "", "`FILE` of PEM certificates to trust for the issuer; default: the system's")
	return cmd
}

func requestToken(cmd *cobra.Command, r api.TokenRequest, secretFile, ca string) (gate.Secret, error) {
	if r.ClientID == "" || secretFile == "" {
		return gate.Secret{}, &usageError{cmd.CommandPath(), "--issuer needs --client-id and --client-secret-file"}
	}
	if cmd.Flags().Changed("token-file") {
		return gate.Secret{}, &usageError{cmd.CommandPath(), "--issuer and --token-file exclude each other"}
	}
	secret, err := readSmall(secretFile)
	if err != nil {
		return gate.Secret{}, fmt.Errorf("read the client's secret: %w", err)
	}
	r.ClientSecret = gate.NewSecret(trimLine(secret))
	if ca != "" {
		if r.CA, err = readSmall(ca); err != nil {
			return gate.Secret{}, fmt.Errorf("read the issuer's CA file: %w", err)
		}
	}
	token, err := api.RequestToken(cmd.Context(), r)
	if err != nil {
		return gate.Secret{}, &hintError{err: err, hint: "The issuer's log says more; the client must be permitted the grant client_credentials."}
	}
	return checkToken(token.Reveal(), "the issuer's answer")
}
