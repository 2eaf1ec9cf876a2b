package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The outcomes that a case can expect.
const (
	Blocked = "blocked"
	Masked  = "masked"
	Allowed = "allowed"
)

// maskPolicy is the policy whose answers must not depend on secrets.
const maskPolicy = "mask"

// defaultPort stands in case files for the port of the direct server.
const defaultPort = "55499"

// Case is one line of a case file.
type Case struct {
	// ID names the case; Class says what it is about, with dots.
	ID    string `json:"id"`
	Class string `json:"class"`
	// Mode is how statements given as plain text are sent: "extended" and
	// "prepared" by the extended protocol, all others as Query messages.
	Mode string `json:"mode"`
	SQL  []Op   `json:"sql"`
	// Expect is Blocked, Masked or Allowed; Policy is readonly, mask or default.
	Expect string `json:"expect"`
	Policy string `json:"policy"`
	Why    string `json:"why"`
	Check  Check  `json:"check"`
	// Role is agent (the default) or agent_su.
	Role string `json:"role"`
	// Setup runs as superuser, past the gateway, before the case.
	Setup []string `json:"setup"`
	// Startup are further parameters of the StartupMessage.
	Startup map[string]string `json:"startup"`
	// MustSucceed: a masked answer counts, an error does not.
	MustSucceed truth `json:"must_succeed"`
	// VolatileOutput: the answer differs from run to run, so it is not compared.
	VolatileOutput truth `json:"volatile_output"`
	// NoNI: the answer differs between the twins for reasons other than secrets.
	NoNI truth `json:"no_ni"`
	// Since is the first release of PostgreSQL whose grammar has the statement; 0 is
	// any.
	Since int `json:"since"`
}

// Check is how it is seen that an attack worked: all that are given must hold.
type Check struct {
	// Leak lists detectors, one of which fires.
	Leak []string `json:"leak"`
	// Changed is a query whose answer the case changes.
	Changed string `json:"changed"`
	// Regex is found in, NoRegex is not found in, what the client got.
	Regex   string `json:"regex"`
	NoRegex string `json:"noregex"`
	// Translate maps the characters of the first text to those of the second;
	// then a secret is found.
	Translate []string `json:"translate"`
	// Oracle are two steps that are answered differently.
	Oracle []int `json:"oracle"`
	// Slow is how many seconds the case takes at least.
	Slow float64 `json:"slow"`
	// OK: every step was answered without an error. OKAny: one step completed.
	OK    truth `json:"ok"`
	OKAny truth `json:"okany"`
	// Differs: the twins answer differently, and nothing else shows it.
	Differs truth `json:"differs"`

	given map[string]bool // the members of the object
}

// Op is one step of a case: exactly one of its kinds.
type Op struct {
	text *text // a plain statement, sent as the case's mode says

	Q       *text           `json:"q"`      // a Query message
	QHex    *string         `json:"qhex"`   // a Query message with these bytes
	RawHex  *string         `json:"rawhex"` // bytes as they are
	Sleep   *float64        `json:"sleep"`  // seconds
	F       *string         `json:"f"`      // a FunctionCall of this signature
	Args    []string        `json:"args"`
	Pipe    []Part          `json:"pipe"` // messages that are sent at once
	X       *text           `json:"x"`    // Parse, Bind, Describe, Execute, Sync
	NewConn json.RawMessage `json:"newconn"`

	Named  truth    `json:"named"`  // of X: a named statement
	Params []param  `json:"params"` // of X
	RFmt   []int16  `json:"rfmt"`   // of X: result formats
	Max    uint32   `json:"max"`    // of X: rows
	Syncs  int      `json:"syncs"`  // how many ReadyForQuery are waited for; 0 means one
	Copy   []string `json:"copy"`   // CopyData messages for COPY FROM STDIN
}

// Part is one message of a pipeline.
type Part struct {
	Q        *text           `json:"q"`
	Parse    *string         `json:"parse"`
	SQL      text            `json:"sql"`
	Bind     *string         `json:"bind"`
	Stmt     string          `json:"stmt"`
	Params   []param         `json:"params"`
	RFmt     []int16         `json:"rfmt"`
	Describe *string         `json:"describe"`
	Execute  *string         `json:"execute"`
	Max      uint32          `json:"max"`
	Close    *string         `json:"close"`
	Name     string          `json:"name"`
	Sync     json.RawMessage `json:"sync"`
	Flush    json.RawMessage `json:"flush"`
}

// ReadCases reads a case file, one JSON object a line. port is that of the
// direct server, for statements that name it.
func ReadCases(file []byte, port int) ([]Case, error) {
	var out []Case
	seen := map[string]bool{}
	n := 0
	for line := range bytes.Lines(file) {
		n++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		line = bytes.ReplaceAll(line, []byte(defaultPort), []byte(strconv.Itoa(port)))
		var c Case
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("line %d: case %q: %w", n, c.ID, err)
		}
		if seen[c.ID] {
			return nil, fmt.Errorf("line %d: case %q is there twice", n, c.ID)
		}
		seen[c.ID] = true
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("no cases")
	}
	return out, nil
}

func (c *Case) check() error {
	if c.ID == "" || c.Class == "" {
		return errors.New("no id or class")
	}
	switch c.Expect {
	case Blocked, Masked, Allowed:
	default:
		return fmt.Errorf("unknown expectation %q", c.Expect)
	}
	switch c.Policy {
	case "readonly", maskPolicy, "default":
	default:
		return fmt.Errorf("unknown policy %q", c.Policy)
	}
	switch c.Role {
	case "":
		c.Role = roleAgent
	case roleAgent, roleSuper:
	default:
		return fmt.Errorf("unknown role %q", c.Role)
	}
	if len(c.Check.given) == 0 && c.Expect != Allowed {
		return errors.New("an attack without a check: nobody could say whether it worked")
	}
	return nil
}

// answered is how many steps have an answer when nothing goes wrong.
func (c *Case) answered() int {
	n := 0
	for i := range c.SQL {
		if c.SQL[i].NewConn == nil && c.SQL[i].Sleep == nil {
			n++
		}
	}
	if len(c.Startup) > 0 {
		n++
	}
	return n
}

// Statement is what the case sends, for a reader.
func (c *Case) Statement() string {
	var parts []string
	for i := range c.SQL {
		parts = append(parts, c.SQL[i].String())
	}
	return strings.Join(parts, " ⏎ ")
}

// UnmarshalJSON refuses members that this package does not know: a check that is
// not made must not look like one that holds.
func (k *Check) UnmarshalJSON(b []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return err
	}
	type plain Check
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(k)); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	k.given = map[string]bool{}
	for name := range members {
		k.given[name] = true
	}
	if k.given["translate"] && len(k.Translate) != 2 || k.given["oracle"] && len(k.Oracle) != 2 {
		return errors.New("check: translate and oracle need two members")
	}
	return nil
}

// UnmarshalJSON reads a step: a text, or an object of one kind.
func (o *Op) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		o.text = new(text)
		return o.text.UnmarshalJSON(b)
	}
	type plain Op
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(o)); err != nil {
		return fmt.Errorf("step: %w", err)
	}
	kinds := 0
	for _, given := range []bool{o.Q != nil, o.QHex != nil, o.RawHex != nil, o.Sleep != nil, o.F != nil, o.Pipe != nil, o.X != nil, o.NewConn != nil} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		return fmt.Errorf("step %s: %d kinds instead of one", b, kinds)
	}
	return nil
}

// String is the step for a reader.
func (o *Op) String() string {
	switch {
	case o.text != nil:
		return string(*o.text)
	case o.Q != nil:
		return string(*o.Q)
	case o.X != nil:
		return fmt.Sprintf("%s %q", *o.X, o.Params)
	case o.QHex != nil:
		return "Query x'" + *o.QHex + "'"
	case o.RawHex != nil:
		return "raw x'" + *o.RawHex + "'"
	case o.Sleep != nil:
		return fmt.Sprintf("[wait %g s]", *o.Sleep)
	case o.F != nil:
		return "FunctionCall " + *o.F
	case o.NewConn != nil:
		return "[new connection]"
	}
	var parts []string
	for i := range o.Pipe {
		parts = append(parts, o.Pipe[i].String())
	}
	return "pipeline(" + strings.Join(parts, "; ") + ")"
}

// String is the message for a reader.
func (p *Part) String() string {
	switch {
	case p.Q != nil:
		return "Query " + string(*p.Q)
	case p.Parse != nil:
		return fmt.Sprintf("Parse %q %s", *p.Parse, string(p.SQL))
	case p.Bind != nil:
		return fmt.Sprintf("Bind %q of %q", *p.Bind, p.Stmt)
	case p.Describe != nil:
		return fmt.Sprintf("Describe %s %q", *p.Describe, p.Name)
	case p.Execute != nil:
		return fmt.Sprintf("Execute %q max %d", *p.Execute, p.Max)
	case p.Close != nil:
		return fmt.Sprintf("Close %s %q", *p.Close, p.Name)
	case p.Sync != nil:
		return "Sync"
	case p.Flush != nil:
		return "Flush"
	}
	return "nothing"
}

// truth is a flag written as true or as a number other than zero.
type truth bool

// UnmarshalJSON reads true, false or a number.
func (t *truth) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "true":
		*t = true
	case "false", "null":
		*t = false
	default:
		n, err := strconv.ParseFloat(string(b), 64)
		if err != nil {
			return fmt.Errorf("%s is not a flag", b)
		}
		*t = n != 0
	}
	return nil
}

// param is a parameter in text form; nil is NULL.
type param []byte

// UnmarshalJSON reads null, a text, a number or a flag.
func (p *param) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		*p = nil
	case string(b) == "true":
		*p = param("True")
	case string(b) == "false":
		*p = param("False")
	case len(b) > 0 && b[0] == '"':
		var t text
		err := t.UnmarshalJSON(b)
		*p = param(t)
		if *p == nil {
			*p = param{}
		}
		return err
	default:
		*p = param(bytes.Clone(b))
	}
	return nil
}

// text is bytes written as a JSON text. A lone surrogate U+DC80 to U+DCFF stands
// for the byte 0x80 to 0xFF, so that text that is not UTF-8 can be written
// (Python's error handler surrogateescape, PEP 383).
type text []byte

// UnmarshalJSON reads a JSON text.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil { // the syntax
		return err
	}
	if !bytes.Contains(b, []byte(`\u`)) {
		*t = text(s)
		return nil
	}
	*t = nil
	for raw := b[1 : len(b)-1]; len(raw) > 0; {
		if raw[0] != '\\' {
			*t, raw = append(*t, raw[0]), raw[1:]
			continue
		}
		if raw[1] != 'u' {
			if err := json.Unmarshal([]byte(`"`+string(raw[:2])+`"`), &s); err != nil {
				return err
			}
			*t, raw = append(*t, s...), raw[2:]
			continue
		}
		r := unit(raw)
		raw = raw[6:]
		switch {
		case r >= 0xDC80 && r <= 0xDCFF:
			*t = append(*t, byte(r-0xDC00))
			continue
		case utf16.IsSurrogate(r):
			low := rune(-1)
			if len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
				low = unit(raw)
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return errors.New("a lone surrogate that stands for no byte")
			}
			raw = raw[6:]
		}
		*t = utf8.AppendRune(*t, r)
	}
	return nil
}

// unit reads \uXXXX, which json.Unmarshal has checked.
func unit(b []byte) rune {
	n, _ := strconv.ParseUint(string(b[2:6]), 16, 32)
	return rune(n)
}
