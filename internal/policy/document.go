package policy

import (
	"slices"
	"strings"
	"time"
)

// KindName is the word after "kind:" in a policy document.
const KindName = "Policy"

// Expression is a CEL expression of type bool. The literals true and false may
// stand in a document without quotes.
type Expression string

// UnmarshalText takes the text as it is; Compile checks it.
func (e *Expression) UnmarshalText(b []byte) error {
	*e = Expression(b)
	return nil
}

// MarshalText returns the text.
func (e Expression) MarshalText() ([]byte, error) { return []byte(e), nil }

// Document is one policy: rules for the targets that On picks.
type Document struct {
	Name     string     `yaml:"name" required:"true" doc:"Name of the policy." example:"production-databases"`
	Protocol string     `yaml:"protocol" doc:"Protocol whose facts (sql.*, …) the rules may use; the policy then concerns only its targets." default:"every protocol, without facts" example:"postgres"`
	On       Expression `yaml:"on" doc:"CEL condition that picks the targets and sessions the policy concerns." default:"all" example:"target.labels.env == \"prod\""`
	Rules    []Rule     `yaml:"rules" required:"true" doc:"The rules. Their order does not decide: block beats hold beats allow."`
	Tests    []Case     `yaml:"tests" doc:"Cases that sallyport policy test checks, against this policy alone."`
}

// Rule says what happens to the commands that When picks.
type Rule struct {
	Name      string            `yaml:"name" required:"true" doc:"Name of the rule, shown in refusals." example:"reads"`
	When      Expression        `yaml:"when" required:"true" doc:"CEL condition over command.*, agent.*, target.*, session.* and the protocol's facts." example:"command.effects == [\"read\"]"`
	Then      string            `yaml:"then" required:"true" enum:"block,hold,allow" doc:"What happens to the command."`
	Message   string            `yaml:"message" doc:"What the agent is told when the rule blocks or holds." example:"Schema changes in production go through migrations."`
	Mask      map[string]string `yaml:"mask" enum:"redact,null,token,last4,email,date-year,digits,plain" doc:"Label to mask, for commands that the rule allows or holds. A label that no rule names is redacted." example:"{pii: redact, card: last4}"`
	Approvers *Approvers        `yaml:"approvers" doc:"Who answers a held command; required for hold."`
}

// Approvers says who answers a held command.
type Approvers struct {
	Groups []string      `yaml:"groups" required:"true" doc:"Groups whose members may approve." example:"[dba]"`
	Count  int           `yaml:"count" doc:"How many different people must approve." default:"1" example:"1"`
	Within time.Duration `yaml:"within" doc:"How long the request, and then the approval, may live." default:"15m" example:"15m"`
}

// DefaultWithin is how long a request lives when its rule does not say.
const DefaultWithin = 15 * time.Minute

// maxWithin bounds Approvers.Within: an approval is for work in hand.
const maxWithin = 24 * time.Hour

// maxApprovers bounds Approvers.Count; more people than that are a typing error.
const maxApprovers = 20

// Case is a test case in a policy document.
type Case struct {
	Name    string            `yaml:"name" required:"true" doc:"The claim that the case checks." example:"an agent of high risk cannot write"`
	Agent   CaseAgent         `yaml:"agent" doc:"The agent that asks."`
	Target  CaseTarget        `yaml:"target" doc:"The target that it asks."`
	Session CaseSession       `yaml:"session" doc:"The session that it asks in."`
	Budget  CaseBudget        `yaml:"budget" doc:"What the agent has spent within the last hour." default:"nothing"`
	Command *CaseCommand      `yaml:"command" doc:"The command, described by what it does."`
	SQL     string            `yaml:"sql" doc:"The command as its text, which the protocol's parser describes." example:"DELETE FROM orders"`
	Expect  string            `yaml:"expect" required:"true" enum:"block,hold,allow" doc:"The decision that must come out."`
	Rule    string            `yaml:"rule" doc:"The rule that must be named." default:"any" example:"reads"`
	Mask    map[string]string `yaml:"mask" enum:"redact,null,token,last4,email,date-year,digits,plain" doc:"The masks that must apply, per label." default:"any"`
}

// CaseBudget is what the agent of a case has spent.
type CaseBudget struct {
	Rows   int64 `yaml:"rows" doc:"Rows read or changed." example:"10001"`
	Bytes  int64 `yaml:"bytes" doc:"Bytes answered."`
	Cells  int64 `yaml:"cells" doc:"Labelled values shown."`
	Writes int64 `yaml:"writes" doc:"Rows changed."`
}

// CaseAgent is the agent of a case. Every member may be left out.
type CaseAgent struct {
	Issuer     string            `yaml:"issuer" doc:"URL of the issuer."`
	Subject    string            `yaml:"subject" doc:"Whom the work is for."`
	Actor      string            `yaml:"actor" doc:"Who is acting, if not the subject."`
	ClientID   string            `yaml:"client_id" doc:"OAuth client that obtained the token."`
	Name       string            `yaml:"name" doc:"The agent's name."`
	Attributes map[string]string `yaml:"attributes" doc:"Facts about the agent." example:"{risk_tier: high}"`
	Trust      map[string]string `yaml:"trust" enum:"declared,caller,provider" doc:"Who vouches for an attribute." default:"provider"`
}

// CaseTarget is the target of a case.
type CaseTarget struct {
	Name     string            `yaml:"name" doc:"Name of the target." default:"test"`
	Protocol string            `yaml:"protocol" doc:"Protocol of the target." default:"the policy's"`
	Labels   map[string]string `yaml:"labels" doc:"The target's labels." example:"{env: prod}"`
}

// CaseSession is the session of a case.
type CaseSession struct {
	User        string `yaml:"user" doc:"User name that the client gave."`
	Application string `yaml:"application" doc:"What the client calls itself."`
	Remote      string `yaml:"remote" doc:"The client's address."`
}

// CaseCommand describes a command by what it does.
type CaseCommand struct {
	Text    string         `yaml:"text" doc:"The command's text."`
	Effects []string       `yaml:"effects" enum:"read,write,delete,schema,admin,execute,export,tunnel,unknown" doc:"What the command does." default:"[unknown]" example:"[read]"`
	Labels  []string       `yaml:"labels" doc:"Labels that the command touches." example:"[pii]"`
	Facts   map[string]any `yaml:"facts" doc:"The protocol's facts; one that is left out is empty, zero or false." example:"{unbounded: true}"`
}

// The masks in the order of strictness, strictest first. Masks of one line show
// different parts of a value, so none of them is stricter than another.
var maskRanks = [][]string{{"redact"}, {"null"}, {"token"}, {"last4", "email", "date-year", "digits"}, {"plain"}}

// maskRank returns how strict a mask is (0 is the strictest), or false for a word
// that names no mask.
func maskRank(name string) (int, bool) {
	for i, r := range maskRanks {
		if slices.Contains(r, name) {
			return i, true
		}
	}
	return 0, false
}

func maskNames() []string { return slices.Concat(maskRanks...) }

// stricter returns the mask that satisfies two rules: the stricter one, and redact
// where neither is.
func stricter(a, b string) string {
	x, okX := maskRank(a)
	y, okY := maskRank(b)
	switch {
	case a == b:
		return a
	case !okX || !okY || x == y:
		return "redact"
	case x < y:
		return a
	}
	return b
}

// leak says what a mask shows, for explain; empty for one that shows nothing.
func leak(mask string) string {
	switch mask {
	case "redact", "null":
		return ""
	case "token":
		return "equal values stay equal"
	case "plain":
		return "shows the value"
	}
	return "shows part of the value"
}

// quoteList writes names for an error.
func quoteList(names []string) string { return strings.Join(names, ", ") }
