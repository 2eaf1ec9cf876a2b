package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-gateway/sallyport/internal/api"
	"github.com/sallyport-gateway/sallyport/internal/approval"
)

func newApplyCommand() *cobra.Command {
	c := &connection{}
	var files []string
	var dryRun bool
	cmd := c.flags(&cobra.Command{
		Use:   "apply -f FILE|DIR|-",
		Short: "Put documents in force: issuers, targets, labels, policies and the like",
		Long: "Put documents in force, all or none: a bad document changes nothing.\n\n" +
			"Of a folder, every .yaml and .yml file is taken, in order of name, also in folders below.",
		Example: "  sallyport apply -f documents/ --dry-run\n  sallyport apply -f policy.yaml",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			sources, err := readDocuments(files, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return action(c, func(ctx context.Context, client *api.Client, _ []string) (api.Applied, error) {
				applied, err := client.Apply(ctx, sources.body.Bytes(), dryRun)
				return applied, sources.locate(err)
			}, showApplied)(cmd, nil)
		},
	})
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "`FILE` or folder of documents, or - for standard input; may be repeated")
	_ = cmd.MarkFlagRequired("file") // fails only for a flag that does not exist
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check and show the difference, change nothing")
	return cmd
}

// documentSources is the one body made of several files.
type documentSources struct {
	body  bytes.Buffer
	parts []documentPart
}

// documentPart is where a file's lines are in the body.
type documentPart struct {
	name  string
	first int // the file's line 1 is this line of the body
}

func readDocuments(files []string, stdin io.Reader) (*documentSources, error) {
	s := &documentSources{}
	for _, f := range files {
		if f == "-" {
			if err := s.add("standard input", stdin); err != nil {
				return nil, err
			}
			continue
		}
		// WalkDir gives a file as itself, and a folder's in order of name.
		err := filepath.WalkDir(f, func(path string, d fs.DirEntry, err error) error {
			ext := strings.ToLower(filepath.Ext(path))
			if err != nil || d.IsDir() || path != f && ext != ".yaml" && ext != ".yml" {
				return err
			}
			return s.addFile(path)
		})
		if err != nil {
			return nil, err
		}
	}
	if s.body.Len() == 0 {
		return nil, &hintError{errors.New("there are no documents in what was given"),
			"A folder is searched for .yaml and .yml files.", exitInvalid}
	}
	return s, nil
}

func (s *documentSources) addFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.add(path, f)
}

func (s *documentSources) add(name string, r io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(r, api.MaxDocumentsBytes+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")) // a byte order mark is only allowed at the very start
	if s.body.Len() > 0 {
		if b := s.body.Bytes(); b[len(b)-1] != '\n' {
			s.body.WriteByte('\n')
		}
		s.body.WriteString("---\n")
	}
	s.parts = append(s.parts, documentPart{name, 1 + bytes.Count(s.body.Bytes(), []byte("\n"))})
	s.body.Write(raw)
	if s.body.Len() > api.MaxDocumentsBytes {
		return &hintError{fmt.Errorf("the documents are larger than %d MiB together", api.MaxDocumentsBytes>>20),
			"Apply them in parts.", exitInvalid}
	}
	return nil
}

// documentsError is a problem whose places are in files here.
type documentsError struct {
	*api.Problem
	excerpts []string // what stands at each place, for a person; may be empty
}

func (e *documentsError) Unwrap() error { return e.Problem }

// locate turns the places of a problem, which are in the body, into places in
// the files.
func (s *documentSources) locate(err error) error {
	var p *api.Problem
	if !errors.As(err, &p) || len(p.Errors) == 0 {
		return err
	}
	e := &documentsError{p, make([]string, len(p.Errors))}
	lines := bytes.Split(s.body.Bytes(), []byte("\n"))
	for i := range p.Errors {
		place := &p.Errors[i]
		if place.Line <= 0 || place.Line > len(lines) {
			continue
		}
		e.excerpts[i] = excerpt(string(lines[place.Line-1]), place.Column)
		// The last part that begins at or before the line.
		for j := len(s.parts) - 1; j >= 0; j-- {
			if part := s.parts[j]; place.Line >= part.first {
				place.Where, place.Line = part.name, place.Line-part.first+1
				break
			}
		}
	}
	return e
}

// excerpt shows a line with a mark under the column. The line is the caller's
// own, but may hold anything.
func excerpt(line string, column int) string {
	const most = 160
	shown := approval.VisibleLine(line)
	if shown != line || len(line) > most || column < 1 || column > len(line)+1 {
		return "" // the mark would stand under something else
	}
	return "    | " + line + "\n    | " + strings.Repeat(" ", column-1) + "^"
}

func showApplied(w io.Writer, a api.Applied) error {
	counts := map[string]int{}
	for _, c := range a.Changes {
		counts[c.Action]++
		if c.Action == "unchanged" {
			continue
		}
		fmt.Fprintf(w, "%-7s %s %s\n", clean(c.Action), clean(c.Kind), clean(c.Name))
		for _, line := range strings.Split(strings.TrimSuffix(screen(c.Diff), "\n"), "\n") {
			if line != "" {
				fmt.Fprintf(w, "    %s\n", line)
			}
		}
	}
	what := "In force now"
	if a.DryRun {
		what = "Valid; nothing was changed"
	}
	_, err := fmt.Fprintf(w, "%s: %d added, %d changed, %d removed, %d unchanged.\n", what,
		counts["added"], counts["changed"], counts["removed"], counts["unchanged"])
	return err
}
