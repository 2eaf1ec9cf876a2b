package api

import "time"

// Party is one identity as one issuer names it.
type Party struct {
	Issuer  string `json:"issuer" doc:"Issuer URL, exactly as in its document"`
	Subject string `json:"subject" doc:"Subject at that issuer"`
}

// Caller says who is behind an access request or a session.
type Caller struct {
	Subject    Party           `json:"subject" doc:"Who the work is for"`
	Actor      *Party          `json:"actor,omitempty" doc:"Who is acting for the subject; absent when the subject acts itself"`
	Client     string          `json:"client,omitempty" doc:"OAuth client that obtained the token"`
	Agent      string          `json:"agent,omitempty" doc:"The agent's name, as the issuer's claim mapping gives it"`
	Attributes map[string]Fact `json:"attributes,omitempty" doc:"The mapped facts of its token"`
}

// CommandView is a command as an approver reads it. Text and Params are never
// truncated; a list leaves them out and gives only Headline.
type CommandView struct {
	Headline string   `json:"headline,omitempty" doc:"The beginning in one safe line; says how much it leaves out"`
	Text     string   `json:"text,omitempty" doc:"The exact command; not in lists"`
	Params   []string `json:"params,omitempty" doc:"Its parameters, in order; not in lists"`
	Effects  []string `json:"effects,omitempty" doc:"What it does"`
	Labels   []string `json:"labels,omitempty" doc:"Labels of the data that it touches"`
}

// TargetView is what a command would run on.
type TargetView struct {
	Name       string            `json:"name"`
	Protocol   string            `json:"protocol"`
	Generation string            `json:"generation,omitempty" doc:"Changes with every document that shapes the target"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// Origin says where a request came from. It is not part of what is bound.
type Origin struct {
	Session     string `json:"session" doc:"The session that asked"`
	Remote      string `json:"remote,omitempty" doc:"The client's network address"`
	Application string `json:"application,omitempty" doc:"What the client calls itself; not verified"`
}

// Needs says who may answer an access request.
type Needs struct {
	Groups []string `json:"groups,omitempty" doc:"An approver is in one of these groups"`
	Count  int      `json:"count" doc:"How many different people must approve"`
}

// Answer is what one approver said.
type Answer struct {
	By       Party     `json:"by"`
	Name     string    `json:"name,omitempty" doc:"The person as a reader knows it"`
	Decision string    `json:"decision" enum:"approve,deny"`
	Comment  string    `json:"comment,omitempty"`
	Time     time.Time `json:"time"`
}

// Approval is an access request.
type Approval struct {
	ID      string      `json:"id" doc:"Unguessable id; it grants nothing"`
	State   string      `json:"state" enum:"pending,approved,denied,expired,cancelled,consumed" doc:"Any other word counts as not approved"`
	Filed   time.Time   `json:"filed"`
	Expires time.Time   `json:"expires" doc:"When a pending request or an unused grant ends"`
	Ended   *time.Time  `json:"ended,omitempty" doc:"When it was consumed, expired or cancelled"`
	Note    string      `json:"note,omitempty" doc:"What ended it"`
	By      Caller      `json:"by" doc:"Who asked"`
	Origin  Origin      `json:"origin"`
	Target  TargetView  `json:"target"`
	Rule    string      `json:"rule" doc:"The rule that holds the command, as policy/rule"`
	Reason  string      `json:"reason,omitempty" doc:"The rule's message"`
	Command CommandView `json:"command"`
	Digest  string      `json:"digest" doc:"What a grant is bound to: sha256:…"`
	Needs   Needs       `json:"needs"`
	Answers []Answer    `json:"answers,omitempty" doc:"What approvers said; not shown to agents"`
}

// Counts is what happened in a session so far.
type Counts struct {
	Commands    int64 `json:"commands"`
	Blocked     int64 `json:"blocked" doc:"Commands that were refused for good"`
	Held        int64 `json:"held" doc:"Commands that a rule held for a person"`
	Unknown     int64 `json:"unknown" doc:"Commands that were forwarded and whose outcome is not on record, as after a crash"`
	AnswerBytes int64 `json:"answer_bytes" doc:"What the agent was answered"`
}

// Session is a session, live or recorded.
type Session struct {
	ID          string     `json:"id"`
	State       string     `json:"state" enum:"live,ended,interrupted" doc:"interrupted: the recording has no end, as after a crash"`
	By          Caller     `json:"by"`
	Target      string     `json:"target"`
	Protocol    string     `json:"protocol"`
	Remote      string     `json:"remote,omitempty" doc:"The client's network address"`
	User        string     `json:"user,omitempty" doc:"The user name that the client gave; not verified"`
	Application string     `json:"application,omitempty" doc:"What the client calls itself; not verified"`
	Started     time.Time  `json:"started"`
	Deadline    *time.Time `json:"deadline,omitempty" doc:"When a live session ends at the latest"`
	Ended       *time.Time `json:"ended,omitempty"`
	End         string     `json:"end,omitempty" doc:"Why it ended: closed, expired, revoked, …"`
	Counts      Counts     `json:"counts"`
}

// Revocation withdraws an agent, one token or one session. Exactly one of Agent,
// TokenID and Session is set.
type Revocation struct {
	ID      string     `json:"id"`
	Agent   string     `json:"agent,omitempty" doc:"Every token of this agent"`
	TokenID string     `json:"token_id,omitempty" doc:"The token with this id (jti)"`
	Session string     `json:"session,omitempty" doc:"One live session"`
	Issuer  string     `json:"issuer,omitempty" doc:"Restricts agent or token_id to one issuer; absent means every issuer"`
	Reason  string     `json:"reason"`
	By      Party      `json:"by"`
	Created time.Time  `json:"created"`
	Until   *time.Time `json:"until,omitempty" doc:"When it ends; absent means never"`
	Lift    bool       `json:"lift,omitempty" doc:"Not a revocation: the end of those made before, of this agent or token"`
}

// Revoked is what a revocation did.
type Revoked struct {
	Revocation Revocation `json:"revocation"`
	Ended      int        `json:"ended" doc:"How many live sessions it ended"`
}

// Document is one configuration document in force.
type Document struct {
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	Source  string    `json:"source" doc:"Where it came from: a file of the documents folder, or api"`
	Version string    `json:"version" doc:"Digest of its content"`
	Changed time.Time `json:"changed"`
	By      string    `json:"by,omitempty" doc:"Who changed it last"`
}

// DocumentChange is what applying did, or would do, to one document.
type DocumentChange struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Action string `json:"action" enum:"added,changed,removed,unchanged"`
	Diff   string `json:"diff,omitempty" doc:"Unified difference"`
}

// Applied is the result of applying documents.
type Applied struct {
	DryRun  bool             `json:"dry_run" doc:"Nothing was changed"`
	Changes []DocumentChange `json:"changes"`
}

// Fact is one attribute of a principal.
type Fact struct {
	Value string `json:"value"`
	Trust string `json:"trust" enum:"declared,caller,provider" doc:"Who vouches for it"`
}

// Whoami is the caller as the gateway sees it.
type Whoami struct {
	Kind        string    `json:"kind" enum:"agent,person"`
	Caller      Caller    `json:"caller"`
	Groups      []string  `json:"groups,omitempty"`
	TokenID     string    `json:"token_id" doc:"Names the token for revocation"`
	Expires     time.Time `json:"expires"`
	Permissions []string  `json:"permissions" doc:"What the caller's roles permit in this interface"`
}
