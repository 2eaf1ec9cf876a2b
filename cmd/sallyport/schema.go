package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
)

func newSchemaCommand() *cobra.Command {
	return newGroup("schema", "Print the schema of the documents, of sallyport.yaml, or of the API",
		newSchema("openapi", "Print the OpenAPI 3.1 document of the HTTP API", func() ([]byte, error) {
			return api.OpenAPI(readVersion().Version)
		}))
}

func newSchema(use, short string, make func() ([]byte, error)) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			raw, err := make()
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(append(raw, '\n'))
			return err
		},
	}
}
