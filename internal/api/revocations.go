package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

type revokeInput struct {
	Body struct {
		Agent   string     `json:"agent,omitempty" maxLength:"512" doc:"Revoke every token of this agent"`
		TokenID string     `json:"token_id,omitempty" maxLength:"512" doc:"Revoke the token with this id (jti)"`
		Session string     `json:"session,omitempty" maxLength:"128" doc:"End this live session"`
		Issuer  string     `json:"issuer,omitempty" maxLength:"2048" doc:"Restricts agent or token_id to one issuer"`
		Reason  string     `json:"reason" minLength:"1" maxLength:"1024"`
		Until   *time.Time `json:"until,omitempty" doc:"When it ends; absent means never"`
		Lift    bool       `json:"lift,omitempty" doc:"Lift the revocations of this agent or token that are in force, instead of making one"`
	}
}

type revokedOutput struct{ Body Revoked }

type revocationsOutput struct {
	Body struct {
		Revocations []Revocation `json:"revocations"`
	}
}

func (s *Server) registerRevocations() {
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "revoke", Method: http.MethodPost, Path: "/v1/revocations",
		Summary: "Revoke an agent, a token or a session", Tags: []string{"revocations"},
		Description: "Exactly one of agent, token_id and session. Live sessions that it concerns end at once, " +
			"and the running command is cancelled at the target. With lift, an agent or a token may log in again; " +
			"a revocation that was restricted to an issuer is lifted with that issuer.",
	}, PermitRevoke, false), s.revoke)
	huma.Register(s.api, s.operation(huma.Operation{
		OperationID: "list-revocations", Method: http.MethodGet, Path: "/v1/revocations",
		Summary: "List revocations in force, newest first", Tags: []string{"revocations"},
	}, PermitRevoke, false), s.listRevocations)
}

func (s *Server) revoke(ctx context.Context, in *revokeInput) (*revokedOutput, error) {
	b := in.Body
	named, object := 0, ""
	for kind, id := range map[string]string{"agent ": b.Agent, "token ": b.TokenID, "session ": b.Session} {
		if id != "" {
			named, object = named+1, kind+id
		}
	}
	switch {
	case named != 1:
		return nil, newProblem(http.StatusUnprocessableEntity, "Name exactly one of agent, token_id and session.")
	case b.Session != "" && (b.Issuer != "" || b.Until != nil || b.Lift):
		return nil, newProblem(http.StatusUnprocessableEntity, "A session is ended for good: issuer, until and lift do not go with it.")
	case b.Lift && b.Until != nil:
		return nil, newProblem(http.StatusUnprocessableEntity, "Lifting is for good: until does not go with it.")
	case b.Until != nil && !b.Until.After(s.cfg.Now()):
		return nil, newProblem(http.StatusUnprocessableEntity, "The time in until has passed already.")
	}
	action := "revoke"
	if b.Lift {
		action = "revoke.lift"
	}
	out := &revokedOutput{}
	err := s.call(ctx, action, object, b.Reason, func(ctx context.Context) (err error) {
		out.Body, err = s.cfg.Revocations.Revoke(ctx, callerOf(ctx).principal, Revocation{
			Agent: b.Agent, TokenID: b.TokenID, Session: b.Session, Issuer: b.Issuer, Reason: b.Reason, Until: b.Until, Lift: b.Lift,
		})
		return err
	})
	if err != nil {
		return nil, s.fail(ctx, "revoke", err)
	}
	return out, nil
}

func (s *Server) listRevocations(ctx context.Context, _ *struct{}) (*revocationsOutput, error) {
	list, err := s.cfg.Revocations.List(ctx)
	if err != nil {
		return nil, s.fail(ctx, "list-revocations", err)
	}
	out := &revocationsOutput{}
	out.Body.Revocations = append([]Revocation{}, list...)
	return out, nil
}
