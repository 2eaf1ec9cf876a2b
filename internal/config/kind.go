package config

import (
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Kind is one sort of document.
type Kind struct {
	// Name is the word after "kind:".
	Name string
	// Doc says in one sentence what such a document is for.
	Doc string
	// New returns a pointer to an empty struct with yaml tags. It must have a
	// field "name", or "target" if KeyedByTarget.
	New func() any
	// KeyedByTarget makes the field "target" the document's name where it has
	// no "name" of its own.
	KeyedByTarget bool
	// Secret keeps the values of a document out of error texts.
	Secret bool
	// Validate checks one decoded document; may be nil. Errors may be [Placed].
	Validate func(doc any) []error
}

// The names of the kinds that this package defines.
const (
	KindTarget     = "Target"
	KindCredential = "Credential"
	KindLabels     = "Labels"
	KindFunctions  = "Functions"
	KindRole       = "Role"
)

// Kinds returns the kinds that belong to no other package. cmd adds Issuer and
// Policy.
func Kinds() []Kind {
	return []Kind{
		{Name: KindTarget, Doc: "A protected resource: one database, host, cluster or API.", New: func() any { return new(Target) },
			Validate: func(d any) []error { return d.(*Target).validate() }},
		{Name: KindCredential, Doc: "Where the secret is that the gateway logs in to targets with.", Secret: true,
			New: func() any { return new(Credential) }, Validate: func(d any) []error { return d.(*Credential).validate() }},
		{Name: KindLabels, Doc: "Which columns, fields or paths of a target are sensitive.", KeyedByTarget: true,
			New: func() any { return new(Labels) }, Validate: func(d any) []error { return d.(*Labels).validate() }},
		{Name: KindFunctions, Doc: "The reviewed functions of a target: what calling them does.", KeyedByTarget: true,
			New: func() any { return new(Functions) }, Validate: func(d any) []error { return d.(*Functions).validate() }},
		{Name: KindRole, Doc: "Which people may do what on the API and the console.", New: func() any { return new(Role) },
			Validate: func(d any) []error { return d.(*Role).validate() }},
	}
}

// Target is the document of a protected resource.
type Target struct {
	Name       string            `yaml:"name" required:"true" doc:"Name that agents connect to." example:"orders"`
	Protocol   string            `yaml:"protocol" required:"true" doc:"Wire protocol of the target." example:"postgres"`
	Address    string            `yaml:"address" required:"true" doc:"host:port, or the path of a unix socket, as the gateway or the connector reaches it." example:"db.internal:5432"`
	Connector  string            `yaml:"connector" doc:"Name of the connector to dial through. This release has none: leave it out." default:"dial from the gateway" example:"dc1"`
	Database   string            `yaml:"database" doc:"Database or namespace at the target." default:"the protocol's own" example:"orders"`
	Labels     map[string]string `yaml:"labels" doc:"Key/value labels that policies see as target.labels." example:"{env: prod}"`
	Credential string            `yaml:"credential" required:"true" doc:"Name of the Credential document to log in with." example:"orders-agent"`
	Logins     map[string]string `yaml:"logins" doc:"Further accounts, for protocols where agents choose one (SSH: LOGIN+TARGET): the account's name here to its Credential document." example:"{backup: web1-backup}"`
	HostKeys   []string          `yaml:"host_keys" doc:"Public keys of an SSH host, as in its /etc/ssh/ssh_host_*_key.pub. sallyport inspect shows them." example:"[ssh-ed25519 AAAAC3Nz…]"`
	HostCAs    []string          `yaml:"host_cas" doc:"Public keys of the authorities whose certificates an SSH host may show." example:"[ssh-ed25519 AAAAC3Nz…]"`
	Limits     Limits            `yaml:"limits" doc:"Bounds of one session and of one answer." default:"none beyond the gateway's own"`
	TLS        TLS               `yaml:"tls" doc:"How the gateway speaks to the target."`
}

// Limits bound one session at a target.
type Limits struct {
	Rows      int64         `yaml:"rows" doc:"Rows of one command's answer." default:"no limit" example:"10000"`
	Bytes     Size          `yaml:"bytes" doc:"Bytes of one command's answer." default:"no limit" example:"64MiB"`
	Statement time.Duration `yaml:"statement" doc:"Time of one command at the target." default:"no limit" example:"30s"`
	Session   time.Duration `yaml:"session" doc:"Time from the opening to the end of a session." default:"the token's lifetime" example:"1h"`
	Idle      time.Duration `yaml:"idle" doc:"Time in which neither side of an interactive session says anything." default:"15m" example:"10m"`
	Sessions  int           `yaml:"sessions" doc:"Sessions of the target that are open at a time, at one gateway." default:"no limit" example:"50"`
	PerAgent  int           `yaml:"sessions_per_agent" doc:"Sessions of one agent at the target that are open at a time, at one gateway." default:"no limit" example:"5"`
}

// TLS is how the gateway speaks to a target.
type TLS struct {
	Mode       string `yaml:"mode" enum:"verify-full,verify-ca,require,disable" doc:"How far the way to the target is trusted. disable is for loopback and unix sockets." default:"verify-full"`
	CA         string `yaml:"ca" doc:"PEM file of trusted certificate authorities, relative to the configuration file." default:"the system's" example:"ca.pem"`
	ServerName string `yaml:"server_name" doc:"Name that the certificate must have." default:"the host of the address" example:"db.internal"`
}

// Credential is the document of an account at a target. It says where the secret
// is; it never holds one.
type Credential struct {
	Name        string  `yaml:"name" required:"true" doc:"Name that targets refer to." example:"orders-agent"`
	Username    string  `yaml:"username" required:"true" doc:"Account at the target." example:"sallyport_orders"`
	Password    *Source `yaml:"password" doc:"Where the password is." example:"{from: env:ORDERS_PASSWORD}"`
	Sealed      string  `yaml:"sealed" doc:"Name of a secret stored by sallyport credential set." example:"orders-agent"`
	Certificate string  `yaml:"certificate" doc:"PEM file of the client certificate chain, relative to the configuration file." example:"orders.crt"`
	Key         *Source `yaml:"key" doc:"Where the PEM private key is: of the certificate, or an SSH key." example:"{from: file:orders.key}"`
	Authority   string  `yaml:"authority" enum:"ssh" doc:"Log in with a certificate that the gateway's own SSH authority signs for each session. sallyport setup ssh prints what the host needs." example:"ssh"`
}

// Labels is the document that marks the sensitive places of a target.
type Labels struct {
	Name    string              `yaml:"name" doc:"Name of the document, where a target has several." default:"the target's name"`
	Target  string              `yaml:"target" required:"true" doc:"Name of the target." example:"orders"`
	Columns map[string][]string `yaml:"columns" doc:"Label to columns of a database: schema.table.column." example:"{pii: [public.customers.email]}"`
	Paths   map[string][]string `yaml:"paths" doc:"Label to absolute paths of a host, each with everything below it; * stands for a part of a name." example:"{secret: [/home/app/.ssh, /etc/shadow]}"`
	Detect  []string            `yaml:"detect" doc:"Content detectors that watch what the target answers. What they find is masked as the rule says, or redacted." example:"[secrets, card]"`
}

// Functions is the document of a target's reviewed functions.
type Functions struct {
	Name      string            `yaml:"name" doc:"Name of the document, where a target has several." default:"the target's name"`
	Target    string            `yaml:"target" required:"true" doc:"Name of the target." example:"orders"`
	Functions map[string]string `yaml:"functions" required:"true" enum:"read,write,delete,schema,admin,execute,export,tunnel" doc:"Signature to the effect of calling it." example:"{\"public.order_total(bigint)\": read}"`
}

// Role is the document that gives people rights on the API. Whoever no role names
// may do nothing.
type Role struct {
	Name     string   `yaml:"name" required:"true" doc:"Name of the role." example:"dba"`
	Can      []string `yaml:"can" required:"true" enum:"sessions,revoke,documents,approvals,metrics" doc:"What the role may do: see sessions and recordings, revoke agents, change documents, see and answer access requests, read metrics." example:"[sessions, approvals]"`
	Issuer   string   `yaml:"issuer" doc:"URL of the issuer that the people come from; needed with subjects." default:"any issuer of people" example:"https://idp.corp.example/realms/people"`
	Groups   []string `yaml:"groups" doc:"Groups of people that have the role." example:"[dba]"`
	Subjects []string `yaml:"subjects" doc:"Single people that have the role, by the subject of their token." example:"[alice]"`
}

// Size is a number of bytes, written with a unit: 64MiB.
type Size int64

var sizes = []struct {
	unit  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

// UnmarshalText reads "64MiB", "500kB" or a plain number of bytes.
func (s *Size) UnmarshalText(b []byte) error {
	number, factor := string(b), int64(1)
	for _, u := range sizes {
		if n, ok := strings.CutSuffix(number, u.unit); ok {
			number, factor = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/factor {
		return fmt.Errorf("%q is not a size; write for example 64MiB", b)
	}
	*s = Size(n * factor)
	return nil
}

// MarshalText writes the largest binary unit that divides the size.
func (s Size) MarshalText() ([]byte, error) {
	for _, i := range []int{3, 2, 1, 0} {
		if u := sizes[i]; s != 0 && int64(s)%u.bytes == 0 {
			return fmt.Appendf(nil, "%d%s", int64(s)/u.bytes, u.unit), nil
		}
	}
	return fmt.Appendf(nil, "%d", int64(s)), nil
}

// namePattern is what documents and rules may be called: it needs no quoting in a
// URL, a file name or the machine-readable line of a refusal.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// loginPattern is what accounts at a target may be called: it holds no + and
// nothing that needs quoting.
var loginPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)

// fieldError is a Placed error of this package's own validators.
type fieldError struct{ path, message, hint string }

func (e *fieldError) Error() string                              { return e.message }
func (e *fieldError) Hint() string                               { return e.hint }
func (e *fieldError) Place() (kind, name, path string, l, c int) { return "", "", e.path, 0, 0 }

func (t *Target) validate() (errs []error) {
	if strings.HasPrefix(t.Address, "/") {
		if t.TLS.Mode != "" && t.TLS.Mode != "disable" {
			errs = append(errs, &fieldError{"tls.mode", "a unix socket has no TLS", "write mode: disable"})
		}
	} else if !hostPort(t.Address) {
		errs = append(errs, &fieldError{"address", fmt.Sprintf("%q is not host:port", t.Address), "for example: db.internal:5432"})
	}
	for login := range t.Logins {
		if !loginPattern.MatchString(login) {
			errs = append(errs, &fieldError{"logins." + login + "#key", fmt.Sprintf("%q is not the name of an account", login), "letters, digits, dots, dashes and underscores"})
		}
	}
	if t.Limits.Sessions < 0 {
		errs = append(errs, &fieldError{"limits.sessions", "a limit is not negative", "leave it out for no limit"})
	}
	if t.Limits.PerAgent < 0 {
		errs = append(errs, &fieldError{"limits.sessions_per_agent", "a limit is not negative", "leave it out for no limit"})
	}
	return errs
}

// tlsMode translates the document's word. An unknown word is the strictest mode.
func (t *Target) tlsMode() gate.TLSMode {
	switch {
	case t.TLS.Mode == "" && strings.HasPrefix(t.Address, "/"), t.TLS.Mode == "disable":
		return gate.TLSDisable
	case t.TLS.Mode == "verify-ca":
		return gate.TLSVerifyCA
	case t.TLS.Mode == "require":
		return gate.TLSRequire
	}
	return gate.TLSVerifyFull
}

func (c *Credential) validate() (errs []error) {
	switch {
	case c.Password != nil && c.Sealed != "":
		errs = append(errs, &fieldError{"sealed", "both password and sealed are given", "keep one of them"})
	case c.Authority != "" && (c.Password != nil || c.Sealed != "" || c.Certificate != "" || c.Key != nil):
		errs = append(errs, &fieldError{"authority", "the authority's certificates need no other secret", "keep authority, or the secret"})
	case c.Authority != "":
	case c.Password == nil && c.Sealed == "" && c.Certificate == "" && c.Key == nil:
		errs = append(errs, &fieldError{"name", "the credential has no secret",
			"add password: {from: env:NAME}, password: {from: file:PATH}, or sealed: " + c.Name + " and run sallyport credential set " + c.Name})
	}
	if c.Certificate != "" && c.Key == nil {
		errs = append(errs, &fieldError{"certificate", "the certificate has no key", "add key: {from: file:PATH}"})
	}
	return errs
}

func (l *Labels) validate() (errs []error) {
	if len(l.Columns)+len(l.Paths)+len(l.Detect) == 0 {
		errs = append(errs, &fieldError{"target", "nothing is labelled", "add columns, paths or detect"})
	}
	for name, paths := range l.Paths {
		for i, p := range paths {
			if rest, home := strings.CutPrefix(p, "~"); !strings.HasPrefix(rest, "/") || home && rest == "/" || path.Clean(rest) != rest || strings.ContainsAny(p, "\x00\n") {
				errs = append(errs, &fieldError{fmt.Sprintf("paths.%s[%d]", name, i), fmt.Sprintf("%q is not an absolute path in its shortest form", p), "for example: /home/app/.ssh or ~/.ssh"})
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

func (f *Functions) validate() (errs []error) {
	for signature := range f.Functions {
		if !strings.Contains(signature, "(") || !strings.HasSuffix(signature, ")") {
			errs = append(errs, &fieldError{"functions." + signature + "#key", fmt.Sprintf("%q is not a signature", signature),
				"write the argument types too: public.order_total(bigint)"})
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

func (r *Role) validate() (errs []error) {
	if len(r.Groups)+len(r.Subjects) == 0 {
		errs = append(errs, &fieldError{"name", "nobody has this role", "add groups or subjects"})
	}
	if len(r.Subjects) > 0 && r.Issuer == "" {
		errs = append(errs, &fieldError{"subjects", "a subject means nothing without its issuer", "add issuer: URL"})
	}
	return errs
}

func hostPort(address string) bool {
	i := strings.LastIndexByte(address, ':')
	if i <= 0 {
		return false
	}
	port, err := strconv.ParseUint(address[i+1:], 10, 16)
	return err == nil && port > 0 && !strings.ContainsAny(address, " \t/@")
}
