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
	out := &appliedOutput{}
	apply := func(ctx context.Context) (err error) {
		out.Body, err = s.cfg.Documents.Apply(ctx, callerOf(ctx).principal, in.RawBody, in.DryRun)
		return err
	}
	var err error
	if in.DryRun {
		err = apply(ctx)
	} else {
		err = s.call(ctx, "documents.apply", "", digest, apply)
	}
	if err != nil {
		return nil, s.fail(ctx, "apply-documents", err)
	}
	if out.Body.Changes == nil {
		out.Body.Changes = []DocumentChange{}
	}
	return out, nil
}
