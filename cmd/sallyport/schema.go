package main

import (
	"reflect"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/identity"
	"github.com/sallyport-gateway/sallyport/internal/policy"
)

func newSchemaCommand() *cobra.Command {
	return newGroup("schema", "Print the schema of the documents, of sallyport.yaml, or of the API",
		newSchema("documents", "Print the JSON Schema of the documents", func() ([]byte, error) {
			return config.Schema(schemaKinds())
		}),
		newSchema("process", "Print the JSON Schema of sallyport.yaml", func() ([]byte, error) {
			return config.ProcessSchema()
		}),
		newSchema("openapi", "Print the OpenAPI 3.1 document of the HTTP API", func() ([]byte, error) {
			return api.OpenAPI(readVersion().Version)
		}))
}

// schemaKinds is every kind of document, for its form alone: who reads documents
// adds the checks.
func schemaKinds() []config.Kind {
	return append(config.Kinds(),
		config.Kind{Name: "Issuer", Doc: "Whose tokens are accepted, and what they mean.", New: func() any { return reflect.New(issuerForm()).Interface() }},
		config.Kind{Name: "Policy", Doc: "Rules that decide commands.", New: func() any { return new(policy.Document) }})
}

// issuerForm is the type of Issuer documents without the member kind, which the
// schema gives to every document.
func issuerForm() reflect.Type {
	return reflect.StructOf(slices.DeleteFunc(reflect.VisibleFields(reflect.TypeFor[identity.Issuer]()),
		func(f reflect.StructField) bool { return f.Name == "Kind" }))
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
