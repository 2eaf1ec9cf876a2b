package record

import (
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// formatVersion is in every Start. A reader refuses a newer one.
const formatVersion = 1

// Start is what a recording says of its session, from the first frame on. It
// holds no token and no credential.
type Start struct {
	// Version is the version of the format.
	Version int    `json:"v"`
	ID      string `json:"id"`
	// Agent is the agent's name as its issuer's document maps it.
	Agent   string     `json:"agent"`
	Subject gate.Party `json:"subject"`
	// Actor is who acts for the subject; zero if the subject acts itself.
	Actor    gate.Party `json:"actor,omitzero"`
	ClientID string     `json:"client_id,omitempty"`
	// TokenID names the token; it is not the token.
	TokenID    string               `json:"token_id,omitempty"`
	Attributes map[string]Attribute `json:"attributes,omitempty"`
	Target     string               `json:"target"`
	Protocol   string               `json:"protocol"`
	// Address, Database, Labels, Generation and Credential are the target's, as
	// configured when the session opened. Credential is a name.
	Address    string            `json:"address,omitempty"`
	Database   string            `json:"database,omitempty"`
	Login      string            `json:"login,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Generation string            `json:"generation,omitempty"`
	Credential string            `json:"credential,omitempty"`
	// Remote is the client's network address. User and Application are what the
	// client says of itself.
	Remote      string `json:"remote,omitempty"`
	User        string `json:"user,omitempty"`
	Application string `json:"application,omitempty"`
	// Connection is the same for the sessions of one connection of the client.
	Connection string    `json:"connection,omitempty"`
	Started    time.Time `json:"started"`
	Deadline   time.Time `json:"deadline,omitzero"`
	Expiry     time.Time `json:"token_expiry,omitzero"`
}

// Attribute is a fact about the agent and who vouches for it.
type Attribute struct {
	Value string `json:"value"`
	// Trust is provider, caller or declared.
	Trust string `json:"trust"`
}

func newStart(s *gate.SessionInfo) Start {
	st := Start{
		Version: formatVersion, ID: s.ID, Protocol: s.Protocol, Remote: s.Remote, User: s.User,
		Application: s.Application, Connection: s.Connection, Started: s.Started.UTC(), Deadline: s.Deadline.UTC(),
	}
	if p := s.Principal; p != nil {
		st.Agent, st.Subject, st.Actor, st.ClientID = p.Agent, p.Party, p.Actor, p.ClientID
		st.TokenID, st.Expiry = p.TokenID, p.Expiry.UTC()
		if len(p.Attributes) > 0 {
			st.Attributes = make(map[string]Attribute, len(p.Attributes))
		}
		for name, a := range p.Attributes {
			st.Attributes[name] = Attribute{a.Value, a.Trust.String()}
		}
	}
	if t := s.Target; t != nil {
		st.Target, st.Address, st.Database, st.Labels = t.Name, t.Address, t.Database, t.Labels
		st.Login, st.Generation, st.Credential = t.Login, t.Generation, t.Credential
	}
	return st
}

// Cause says how a session ended in the eyes of its recording, where the gate
// gave no reason.
const (
	// CauseCrash: the process ended without ending the session.
	CauseCrash = "crash"
	// CauseRecorder: the recording could not be written, so the session ended.
	CauseRecorder = string(gate.EndRecorder)
)

// Summary is one recording in a few words.
type Summary struct {
	Start
	// Ended is the time of the last event; zero while the session is live.
	Ended time.Time `json:"ended,omitzero"`
	// Cause is the gate.EndReason, or CauseCrash. Empty while live.
	Cause    string `json:"cause,omitempty"`
	Commands uint64 `json:"commands"`
	// Blocked counts commands that were refused for good, Held those that a
	// rule held for a person.
	Blocked uint64 `json:"blocked"`
	Held    uint64 `json:"held"`
	// Unknown counts commands that were forwarded and have no recorded effect.
	Unknown uint64 `json:"unknown"`
	// Bytes is what the agent was answered.
	Bytes uint64 `json:"bytes"`
	// Complete: the recording has its end event and was closed in order.
	Complete bool `json:"complete"`
	// Live: the session is being recorded now.
	Live bool `json:"live,omitempty"`
	// Size is what the recording takes on disk.
	Size int64 `json:"size,omitempty"`
}

func (s *Summary) setCounts(c counts) {
	s.Commands, s.Blocked, s.Held, s.Unknown, s.Bytes = c.Commands, c.Blocked, c.Held, c.Unknown, c.Bytes
}
