package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const (
	// maxTokenBytes bounds a token, as the identity package does.
	maxTokenBytes = 16 << 10
	// maxJSONBody bounds the body of every call but the documents'.
	maxJSONBody = 64 << 10
	// bodyTimeout bounds the arrival of a body.
	bodyTimeout = 20 * time.Second
	// auditTimeout bounds recording the outcome of a call.
	auditTimeout = 5 * time.Second

	metaPermission = "permission"
	metaAgents     = "agents"
)

var problemReflect = reflect.TypeFor[Problem]()

// caller is who sent a request.
type caller struct {
	principal *gate.Principal
	remote    string
}

type callerKey struct{}

// callerOf returns who sent the request. Handlers run only behind authenticate,
// so there always is one.
func callerOf(ctx context.Context) caller { return ctx.Value(callerKey{}).(caller) }

// authenticate is the middleware before every operation: nothing of the request
// but its Authorization header is read before the caller is known and permitted.
func (s *Server) authenticate(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	p, problem := s.identify(r)
	if problem == nil {
		problem = s.authorise(p, ctx.Operation())
	}
	if problem != nil {
		writeProblem(w, problem)
		return
	}
	if i := infoOf(r.Context()); i != nil {
		i.principal = p
	}
	next(huma.WithValue(ctx, callerKey{}, caller{principal: p, remote: r.RemoteAddr}))
}

// identify verifies the token of a request.
func (s *Server) identify(r *http.Request) (*gate.Principal, *Problem) {
	slow := s.failures.slow(r.RemoteAddr)
	refuse := func() *Problem {
		s.failures.failed(r.RemoteAddr)
		if slow {
			p := newProblem(http.StatusTooManyRequests, "")
			p.retryAfter = failureWindow
			return p
		}
		return newProblem(http.StatusUnauthorized, "")
	}
	token, ok := bearer(r.Header)
	if !ok {
		return nil, refuse()
	}
	if slow {
		if !s.failures.enter(r.Context()) {
			return nil, refuse()
		}
		defer s.failures.leave()
	}
	p, err := s.cfg.Identifier.Identify(r.Context(), token)
	if err != nil || p == nil {
		s.cfg.Log.Info("api token refused", "remote", r.RemoteAddr, "error", err)
		return nil, refuse()
	}
	if _, revoked := s.cfg.Identifier.Revoked(p); revoked || !s.cfg.Now().Before(p.Expiry) {
		return nil, refuse()
	}
	return p, nil
}

// bearer returns the token of an Authorization header. RFC 6750, section 2.1;
// the other two ways of section 2 put tokens into logs and are not supported.
func bearer(h http.Header) (gate.Secret, bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return gate.Secret{}, false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxTokenBytes {
		return gate.Secret{}, false
	}
	return gate.NewSecret(token), true
}

// authorise decides whether the caller may call the operation at all. An
// operation that says nothing is permitted to nobody.
func (s *Server) authorise(p *gate.Principal, o *huma.Operation) *Problem {
	permission, ok := o.Metadata[metaPermission].(string)
	agents, _ := o.Metadata[metaAgents].(bool)
	switch {
	case !ok:
		return newProblem(http.StatusForbidden, "")
	case p.Kind == gate.KindPerson:
		if permission == "" || s.cfg.Authority.Allowed(p, permission) {
			return nil
		}
		return newProblem(http.StatusForbidden, "Your roles do not include the permission \""+permission+"\".")
	case p.Kind == gate.KindAgent && agents:
		return nil
	case p.Kind == gate.KindAgent:
		return newProblem(http.StatusForbidden, "This is for people: an agent's token does not permit it.")
	default:
		return newProblem(http.StatusForbidden, "")
	}
}

// owns reports whether the principal is the one who asked: the same subject, the
// same actor, the same client. Two agents can work for one subject.
func owns(p *gate.Principal, by Caller) bool {
	actor := Party{}
	if by.Actor != nil {
		actor = *by.Actor
	}
	return partyOf(p.Party) == by.Subject && partyOf(p.Actor) == actor && p.ClientID == by.Client && !p.IsZero()
}

func partyOf(p gate.Party) Party { return Party{Issuer: p.Issuer, Subject: p.Subject} }

// CallerOf returns the view of a principal.
func CallerOf(p *gate.Principal) Caller {
	c := Caller{Subject: partyOf(p.Party), Client: p.ClientID, Agent: p.Agent}
	if !p.Actor.IsZero() {
		a := partyOf(p.Actor)
		c.Actor = &a
	}
	for name, a := range p.Attributes {
		if c.Attributes == nil {
			c.Attributes = make(map[string]Fact, len(p.Attributes))
		}
		c.Attributes[name] = Fact{Value: a.Value, Trust: a.Trust.String()}
	}
	return c
}
