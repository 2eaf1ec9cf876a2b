package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// MaxDocumentsBytes bounds the body of an apply.
const MaxDocumentsBytes = 4 << 20

type documentsOutput struct {
	Body struct {
		Documents []Document `json:"documents"`
	}
}

type applyInput struct {
	Type    string `header:"Content-Type"`
	DryRun  bool   `query:"dry_run" doc:"Check and show the difference, change nothing"`
	RawBody []byte `contentType:"application/yaml"`
}

type appliedOutput struct{ Body Applied }

func (s *Server) registerDocuments() {
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "list-documents", Method: http.MethodGet, Path: "/v1/documents",
		Summary: "List the configuration documents in force", Tags: []string{"documents"},
	}, PermitDocuments, false), s.listDocuments)
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "apply-documents", Method: http.MethodPut, Path: "/v1/documents",
		Summary: "Create or change documents", Tags: []string{"documents"},
		Description: "A stream of YAML documents of at most 4 MiB, taken as a whole: a bad document changes nothing.",
		// huma refuses a body that reaches its limit.
		MaxBodyBytes: MaxDocumentsBytes + 1,
	}, PermitDocuments, false), s.apply)
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "remove-document", Method: http.MethodDelete, Path: "/v1/documents/{kind}/{name}",
		Summary: "Remove a document", Tags: []string{"documents"},
		Description: "The documents that are left are checked as a whole: one that others need is not removed.",
	}, PermitDocuments, false), s.removeDocument)
}

type removeInput struct {
	Kind   string `path:"kind" maxLength:"64"`
	Name   string `path:"name" maxLength:"253"`
	DryRun bool   `query:"dry_run" doc:"Show the difference, change nothing"`
}

func (s *Server) listDocuments(ctx context.Context, _ *struct{}) (*documentsOutput, error) {
	list, err := s.cfg.Documents.List(ctx)
	if err != nil {
		return nil, s.fail(ctx, "list-documents", err)
	}
	out := &documentsOutput{}
	out.Body.Documents = append([]Document{}, list...)
	return out, nil
}

func (s *Server) apply(ctx context.Context, in *applyInput) (*appliedOutput, error) {
	if t, _, err := mime.ParseMediaType(in.Type); err != nil || t != "application/yaml" {
		return nil, newProblem(http.StatusUnsupportedMediaType, "Send documents as Content-Type: application/yaml.")
	}
	sum := sha256.Sum256(in.RawBody)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	return s.change(ctx, "documents.apply", "", digest, in.DryRun, func(ctx context.Context) (Applied, error) {
		return s.cfg.Documents.Apply(ctx, callerOf(ctx).principal, in.RawBody, in.DryRun)
	})
}

func (s *Server) removeDocument(ctx context.Context, in *removeInput) (*appliedOutput, error) {
	return s.change(ctx, "documents.remove", in.Kind+" "+in.Name, "", in.DryRun, func(ctx context.Context) (Applied, error) {
		return s.cfg.Documents.Remove(ctx, callerOf(ctx).principal, in.Kind, in.Name, in.DryRun)
	})
}

// change changes the documents, with an entry in the audit log unless it is a dry run.
func (s *Server) change(ctx context.Context, action, object, detail string, dryRun bool, change func(context.Context) (Applied, error)) (*appliedOutput, error) {
	out := &appliedOutput{}
	do := func(ctx context.Context) (err error) {
		out.Body, err = change(ctx)
		return err
	}
	var err error
	if dryRun {
		err = do(ctx)
	} else {
		err = s.call(ctx, action, object, detail, do)
	}
	if err != nil {
		return nil, s.fail(ctx, action, err)
	}
	if out.Body.Changes == nil {
		out.Body.Changes = []DocumentChange{}
	}
	return out, nil
}
