package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

type listApprovalsInput struct {
	State string `query:"state" enum:"pending,approved,denied,expired,cancelled,consumed" doc:"Only requests in this state"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type approvalsOutput struct {
	Body struct {
		Approvals []Approval `json:"approvals"`
	}
}

type approvalInput struct {
	ID string `path:"id" maxLength:"128"`
}

type approvalOutput struct{ Body Approval }

type answerInput struct {
	ID   string `path:"id" maxLength:"128"`
	Body struct {
		Comment string `json:"comment,omitempty" maxLength:"4096" doc:"Why; kept with the request"`
	}
}

func (s *Server) registerApprovals() {
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "list-approvals", Method: http.MethodGet, Path: "/v1/approvals",
		Summary: "List access requests, newest first", Tags: []string{"approvals"},
	}, PermitApprovals, false), s.listApprovals)
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "show-approval", Method: http.MethodGet, Path: "/v1/approvals/{id}",
		Summary: "Show an access request", Tags: []string{"approvals"},
		Description: "An agent may read its own requests: same subject, same actor, same client. Any other id does not exist for it.",
	}, PermitApprovals, true), s.showApproval)
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "approve", Method: http.MethodPost, Path: "/v1/approvals/{id}/approve",
		Summary: "Approve an access request", Tags: []string{"approvals"},
	}, PermitApprovals, false), s.answer(true))
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "deny", Method: http.MethodPost, Path: "/v1/approvals/{id}/deny",
		Summary: "Deny an access request", Tags: []string{"approvals"},
	}, PermitApprovals, false), s.answer(false))
}

func (s *Server) listApprovals(ctx context.Context, in *listApprovalsInput) (*approvalsOutput, error) {
	list, err := s.cfg.Approvals.List(ctx, ApprovalFilter{State: in.State, Limit: in.Limit})
	if err != nil {
		return nil, s.fail(ctx, "list-approvals", err)
	}
	out := &approvalsOutput{}
	out.Body.Approvals = append([]Approval{}, list...)
	return out, nil
}

func (s *Server) showApproval(ctx context.Context, in *approvalInput) (*approvalOutput, error) {
	a, err := s.cfg.Approvals.Show(ctx, in.ID)
	if err != nil {
		return nil, s.fail(ctx, "show-approval", err)
	}
	if p := callerOf(ctx).principal; p.Kind != gate.KindPerson {
		if !owns(p, a.By) {
			// The same answer as for an id that does not exist.
			return nil, newProblem(http.StatusNotFound, noApproval)
		}
		a.Answers = nil
	}
	return &approvalOutput{Body: a}, nil
}

// noApproval is what Approvals should say as well, so that an agent cannot tell
// the two apart.
const noApproval = "There is no such access request."

// NoApproval returns the error for an access request that does not exist.
func NoApproval() *Error { return &Error{Kind: NotFound, Public: noApproval} }

func (s *Server) answer(approve bool) func(context.Context, *answerInput) (*approvalOutput, error) {
	action := "approval.deny"
	if approve {
		action = "approval.approve"
	}
	return func(ctx context.Context, in *answerInput) (*approvalOutput, error) {
		out := &approvalOutput{}
		err := s.call(ctx, action, in.ID, in.Body.Comment, func(ctx context.Context) (err error) {
			out.Body, err = s.cfg.Approvals.Answer(ctx, callerOf(ctx).principal, in.ID, approve, in.Body.Comment)
			return err
		})
		if err != nil {
			return nil, s.fail(ctx, action, err)
		}
		return out, nil
	}
}
