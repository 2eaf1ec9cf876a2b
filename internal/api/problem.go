package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Kind says how a call went wrong. The zero value is an internal failure.
type Kind uint8

const (
	// Internal: the gateway failed; the caller learns nothing more.
	Internal Kind = iota
	// NotFound: there is no such thing, or the caller may not know of it.
	NotFound
	// Forbidden: the caller may not do this to this object.
	Forbidden
	// Conflict: the object's state does not permit it.
	Conflict
	// Invalid: what was sent makes no sense; see Places.
	Invalid
	// Unavailable: it cannot be done now; trying again can help.
	Unavailable
)

// Place is one thing wrong in what was sent.
type Place struct {
	Where      string `json:"where,omitempty" doc:"Member or document that is meant"`
	Line       int    `json:"line,omitempty" doc:"Line in the body, from 1"`
	Column     int    `json:"column,omitempty" doc:"Column in the line, from 1"`
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty" doc:"What would be right"`
}

// Error is how an implementation of this package's interfaces tells the server
// what to tell the caller. Any other error is answered as Internal.
type Error struct {
	Kind Kind
	// Public is shown to the caller: one sentence, no internals.
	Public string
	// Places are the faults of Invalid.
	Places []Place
	// Err is for the log; may be nil.
	Err error
}

// Error joins the public text and the inner error.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Public
	}
	return e.Public + ": " + e.Err.Error()
}

// Unwrap returns the inner error.
func (e *Error) Unwrap() error { return e.Err }

// Problem is the one form of every error answer (RFC 9457). The client returns
// it as an error.
type Problem struct {
	Type   string  `json:"type" doc:"Always about:blank: code says what it is"`
	Title  string  `json:"title" doc:"The status in words"`
	Status int     `json:"status"`
	Code   string  `json:"code" doc:"Machine-readable word" enum:"bad_request,unauthenticated,forbidden,not_found,conflict,too_large,unsupported_media_type,invalid,too_many_requests,internal,unavailable,timeout"`
	Detail string  `json:"detail" doc:"What happened, and what to do"`
	Errors []Place `json:"errors,omitempty" doc:"What is wrong in what was sent"`

	retryAfter time.Duration
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType names the media type of problems, for huma.
func (p *Problem) ContentType(string) string { return problemType }

// GetHeaders returns the headers that belong to the problem, for huma.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.retryAfter.Round(time.Second)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		// RFC 6750, section 3.
		h.Set("WWW-Authenticate", `Bearer realm="sallyport"`)
	}
	return h
}

const problemType = "application/problem+json"

// newProblem words a problem by its status. Every text that a caller can read
// for a reason of this package's own is here.
func newProblem(status int, detail string) *Problem {
	p := &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
	words := map[int][2]string{
		http.StatusBadRequest:            {"bad_request", "The request could not be read."},
		http.StatusUnauthorized:          {"unauthenticated", "A valid token is needed: send it as Authorization: Bearer TOKEN."},
		http.StatusForbidden:             {"forbidden", "Your token does not permit this."},
		http.StatusNotFound:              {"not_found", "There is no such thing here."},
		http.StatusRequestTimeout:        {"timeout", "The request did not arrive in time."},
		http.StatusConflict:              {"conflict", "The present state does not permit this."},
		http.StatusRequestEntityTooLarge: {"too_large", "The request is too large."},
		http.StatusUnsupportedMediaType:  {"unsupported_media_type", "The body is not of the type that this call takes."},
		http.StatusUnprocessableEntity:   {"invalid", "What was sent is not valid."},
		http.StatusTooManyRequests:       {"too_many_requests", "Too many failed attempts from your address: wait and try again."},
		http.StatusServiceUnavailable:    {"unavailable", "This cannot be done now: try again later."},
	}
	w, ok := words[status]
	if !ok {
		p.Status, p.Title = http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError)
		w = [2]string{"internal", "The gateway failed to do this; its log says why."}
	}
	p.Code = w[0]
	if p.Detail == "" || !ok {
		p.Detail = w[1]
	}
	return p
}

// problemOf turns an error of an implementation into what the caller is told.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var e *Error
	if !errors.As(err, &e) {
		return newProblem(http.StatusInternalServerError, "")
	}
	status := http.StatusInternalServerError
	switch e.Kind {
	case NotFound:
		status = http.StatusNotFound
	case Forbidden:
		status = http.StatusForbidden
	case Conflict:
		status = http.StatusConflict
	case Invalid:
		status = http.StatusUnprocessableEntity
	case Unavailable:
		status = http.StatusServiceUnavailable
	}
	p = newProblem(status, e.Public)
	p.Errors = e.Places
	return p
}

// rewordProblem is a huma transformer: it replaces huma's own error answers,
// which repeat what was sent, by ours.
func rewordProblem(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := newProblem(m.Status, "")
	for _, d := range m.Errors {
		if p.Status < http.StatusInternalServerError {
			p.Errors = append(p.Errors, Place{Where: d.Location, Message: d.Message})
		}
	}
	return p, nil
}

// writeProblem answers a request that huma does not handle.
func writeProblem(w http.ResponseWriter, p *Problem) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the status is out; a caller that left is no error
}
