package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/store"
	"github.com/sallyport-gateway/sallyport/internal/vault"
)

// maxSecret bounds a secret on standard input.
const maxSecret = 64 << 10

func newCredentialCommand() *cobra.Command {
	var file string
	c := newGroup("credential", "Keep the credentials of targets in the sealed store",
		newCredentialSetCommand(&file), newCredentialListCommand(&file), newCredentialDeleteCommand(&file))
	c.PersistentFlags().StringVar(&file, "config", "sallyport.yaml", "configuration file of the process")
	return c
}

func newCredentialSetCommand(file *string) *cobra.Command {
	var username string
	c := &cobra.Command{
		Use:   "set NAME --username USER < SECRET",
		Short: "Seal the password read from standard input",
		Long: "Read a password from standard input (one line) and keep it encrypted in the state, under NAME.\n" +
			"A Credential document uses it with sealed: NAME. A running gateway uses it from the next log-in on.",
		Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			secret, err := readSecret(c.InOrStdin())
			if err != nil {
				return err
			}
			return withVault(c.Context(), *file, func(v *vault.Vault) error {
				if err := v.Put(c.Context(), args[0], gate.Credential{Name: args[0], Username: username, Password: secret}, localUser()); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "credential %s is sealed\n", clean(args[0]))
				return err
			})
		},
	}
	c.Flags().StringVar(&username, "username", "", "account at the target")
	_ = c.MarkFlagRequired("username")
	return c
}

func newCredentialListCommand(file *string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the sealed credentials, without their secrets", Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return withVault(c.Context(), *file, func(v *vault.Vault) error {
				entries, err := v.List(c.Context())
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c.OutOrStdout(), entries)
				}
				rows := make([][]string, 0, len(entries))
				for _, e := range entries {
					rows = append(rows, []string{e.Name, e.Username, fmt.Sprint(e.Version), when(e.At), e.Who})
				}
				return table(c.OutOrStdout(), []string{"NAME", "USERNAME", "VERSION", "CHANGED", "BY"}, rows)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newCredentialDeleteCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Forget a sealed credential", Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			return withVault(c.Context(), *file, func(v *vault.Vault) error {
				err := v.Delete(c.Context(), args[0], localUser())
				if errors.Is(err, vault.ErrNotFound) {
					return &hintError{err: err, code: exitNotFound}
				}
				return err
			})
		},
	}
}

// withVault opens the state of the configuration for one local change.
func withVault(ctx context.Context, file string, f func(*vault.Vault) error) error {
	cfg, err := config.LoadProcess(file, protocolNames()...)
	if err != nil {
		return err
	}
	state, err := store.Open(ctx, cfg.State)
	if err != nil {
		return err
	}
	defer state.Close()
	key, err := vault.OpenKey(cfg.Key)
	if err != nil {
		return err
	}
	v, err := vault.New(vault.Config{Store: state.Secrets, Keys: key, StoreID: state.ID})
	if err != nil {
		return err
	}
	return f(v)
}

// readSecret reads the first line.
func readSecret(r io.Reader) (gate.Secret, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return gate.Secret{}, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" || len(line) >= maxSecret-1 {
		return gate.Secret{}, &hintError{err: errors.New("no secret on standard input"), hint: "Give it as one line: sallyport credential set NAME --username USER < FILE", code: exitInvalid}
	}
	return gate.NewSecret(line), nil
}

// localUser names who runs the command, for the record.
func localUser() string {
	if u, err := user.Current(); err == nil {
		return "local:" + u.Username
	}
	return fmt.Sprintf("local:uid-%d", os.Getuid())
}
