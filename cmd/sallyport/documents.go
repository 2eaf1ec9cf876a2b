package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
)

func newDocumentsCommand() *cobra.Command {
	return newGroup("documents", "List the documents in force, and remove one",
		newDocumentsList(), newDocumentsRemove())
}

func newDocumentsList() *cobra.Command {
	c := &connection{}
	return c.flags(&cobra.Command{
		Use:   "list",
		Short: "List the documents in force, with the files that they stand in",
		Args:  exactly(),
		RunE: action(c, func(ctx context.Context, client *api.Client, _ []string) ([]api.Document, error) {
			return client.Documents(ctx)
		}, showDocuments),
	})
}

func newDocumentsRemove() *cobra.Command {
	c := &connection{}
	var dryRun bool
	cmd := c.flags(&cobra.Command{
		Use:   "remove KIND NAME",
		Short: "Take a document out of force and out of its file",
		Long: "Take a document out of force and out of its file.\n\n" +
			"The documents that are left are checked as a whole: one that others need is not removed.",
		Example: "  sallyport documents remove Policy reporting --dry-run",
		Args:    exactly("KIND", "NAME"),
		RunE: action(c, func(ctx context.Context, client *api.Client, args []string) (api.Applied, error) {
			return client.RemoveDocument(ctx, args[0], args[1], dryRun)
		}, showApplied),
	})
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show the difference, change nothing")
	return cmd
}

func showDocuments(w io.Writer, list []api.Document) error {
	var rows [][]string
	for _, d := range list {
		rows = append(rows, []string{d.Kind, d.Name, d.Source})
	}
	return table(w, []string{"KIND", "NAME", "FILE"}, rows)
}
