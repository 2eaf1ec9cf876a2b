package config

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/nearest"
)

// Document is one decoded document. It is immutable.
type Document struct {
	// Kind and Name identify the document in its set.
	Kind string
	Name string
	// Value is the pointer that Kind.New made, filled. Do not change it.
	Value any
	// File and Line say where the document starts.
	File string
	Line int

	chunk  *chunk
	places map[string]ast.Node
}

// Source returns the document's text, without document markers and blank lines
// around it.
func (d *Document) Source() string { return strings.Trim(d.chunk.text(), "\n") }

// Digest returns "sha256:…" over the document's text.
func (d *Document) Digest() string {
	sum := sha256.Sum256([]byte(d.Source()))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Errorf returns an error at the field with the given path ("limits.rows"; empty
// is the document itself).
func (d *Document) Errorf(path, hint, format string, args ...any) *Error {
	line, column := d.locate(path, 0, 0)
	return d.chunk.errorAt(line, column, hint, format, args...)
}

// Set is a validated set of documents. It is immutable and safe for concurrent use.
type Set struct {
	docs       map[string]map[string]*Document // kind → name
	targets    map[string]*gate.Target
	generation uint64
}

// Generation changes with every change of the set; it counts from 1 in each process.
func (s *Set) Generation() uint64 { return s.generation }

// Get returns one document, or false.
func (s *Set) Get(kind, name string) (*Document, bool) {
	d, ok := s.docs[kind][name]
	return d, ok
}

// All returns the documents of a kind in the order of their names; an empty kind
// means all kinds.
func (s *Set) All(kind string) []*Document {
	if kind == "" {
		var all []*Document
		for _, k := range slices.Sorted(maps.Keys(s.docs)) {
			all = append(all, s.All(k)...)
		}
		return all
	}
	return slices.SortedFunc(maps.Values(s.docs[kind]), func(a, b *Document) int { return cmp.Compare(a.Name, b.Name) })
}

// Values returns the decoded documents of a Go type (Target, Credential, an
// issuer's or policy's document type) in the order of their names.
func Values[T any](s *Set) []*T {
	var all []*T
	for _, d := range s.All("") {
		if v, ok := d.Value.(*T); ok {
			all = append(all, v)
		}
	}
	return all
}

// Target implements gate.Directory.
func (s *Set) Target(name string) (*gate.Target, bool) {
	t, ok := s.targets[name]
	return t, ok
}

// Targets returns the targets in the order of their names.
func (s *Set) Targets() []*gate.Target {
	return slices.SortedFunc(maps.Values(s.targets), func(a, b *gate.Target) int { return cmp.Compare(a.Name, b.Name) })
}

// Credential returns a Credential document, or false.
func (s *Set) Credential(name string) (*Credential, bool) {
	d, ok := s.docs[KindCredential][name]
	if !ok {
		return nil, false
	}
	c, ok := d.Value.(*Credential)
	return c, ok
}

// LabelNames returns every label that a Labels document gives, in order.
func (s *Set) LabelNames() []string {
	names := map[string]bool{}
	for _, l := range Values[Labels](s) {
		for n := range l.Columns {
			names[n] = true
		}
		for n := range l.Paths {
			names[n] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// May reports whether a person has a role that can do what permission says. Only
// people have roles: an agent, an unknown kind and a nil principal may do nothing.
func (s *Set) May(p *gate.Principal, permission string) bool {
	if p == nil || p.Kind != gate.KindPerson {
		return false
	}
	for _, r := range Values[Role](s) {
		if !slices.Contains(r.Can, permission) || r.Issuer != "" && r.Issuer != p.Issuer {
			continue
		}
		if r.Issuer != "" && slices.Contains(r.Subjects, p.Subject) {
			return true
		}
		if slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(p.Groups, g) }) {
			return true
		}
	}
	return false
}

// builder makes a Set from chunks and collects what is wrong with them.
type builder struct {
	kinds map[string]Kind
	base  string
	set   *Set
	errs  Errors
}

// build decodes and validates chunks as one set.
func build(kinds []Kind, base string, chunks []*chunk, generation uint64) (*Set, Errors) {
	b := &builder{kinds: map[string]Kind{}, base: base,
		set: &Set{docs: map[string]map[string]*Document{}, targets: map[string]*gate.Target{}, generation: generation}}
	for _, k := range kinds {
		b.kinds[k.Name] = k
		b.set.docs[k.Name] = map[string]*Document{}
	}
	nodes := map[string]*int{}
	for _, c := range chunks {
		if c.empty() {
			continue
		}
		if nodes[c.file] == nil {
			nodes[c.file] = new(int)
		}
		b.document(c, nodes[c.file])
	}
	if len(b.errs) == 0 {
		b.crossCheck()
	}
	b.sort()
	return b.set, b.errs
}

func (b *builder) sort() {
	slices.SortStableFunc(b.errs, func(x, y *Error) int {
		return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	if len(b.errs) > maxErrors {
		b.errs = b.errs[:maxErrors]
	}
}

// document decodes one chunk and adds it to the set.
func (b *builder) document(c *chunk, nodes *int) {
	c.secret = looksSecret(c, b.kinds)
	body, err := c.parse()
	if err != nil {
		b.errs = append(b.errs, err)
		return
	}
	k, err := b.kindOf(c, body)
	if err != nil {
		b.errs = append(b.errs, err)
		return
	}
	d := &decoder{c: c, places: map[string]ast.Node{}, anchors: map[string]ast.Node{}, nodes: nodes}
	ast.Walk(collect{d}, body)
	value := k.New()
	d.value(body, reflect.ValueOf(value).Elem(), "", "")
	doc := &Document{Kind: k.Name, Value: value, File: c.file, chunk: c, places: d.places}
	doc.Line, _ = c.position(body)
	b.errs = append(b.errs, d.errs...)
	if len(d.errs) > 0 {
		return
	}
	if !b.name(doc, k) {
		return
	}
	if k.Validate != nil {
		for _, err := range k.Validate(value) {
			b.errs = append(b.errs, b.set.place(doc, err)...)
		}
	}
}

// looksSecret finds out before parsing whether errors may show the chunk's lines.
func looksSecret(c *chunk, kinds map[string]Kind) bool {
	for _, l := range c.lines {
		for name, k := range kinds {
			if k.Secret && strings.Contains(l, name) && strings.Contains(l, "kind") {
				return true
			}
		}
	}
	return false
}

func (b *builder) kindOf(c *chunk, body *ast.MappingNode) (Kind, *Error) {
	names := slices.Sorted(maps.Keys(b.kinds))
	for _, e := range body.Values {
		key, ok := e.Key.(*ast.StringNode)
		if !ok || key.Value != "kind" {
			continue
		}
		line, column := c.position(e.Value)
		word, ok := e.Value.(*ast.StringNode)
		if !ok {
			return Kind{}, c.errorAt(line, column, "", "kind is a word: one of %s", strings.Join(names, ", "))
		}
		k, ok := b.kinds[word.Value]
		if !ok {
			hint := nearest.Hint(word.Value, names)
			if hint == "" {
				hint = "one of " + strings.Join(names, ", ")
			}
			return Kind{}, c.errorAt(line, column, hint, "unknown kind %q", word.Value)
		}
		c.secret = c.secret || k.Secret
		return k, nil
	}
	line, column := c.position(body)
	return Kind{}, c.errorAt(line, column, "one of "+strings.Join(names, ", "), "field \"kind\" is missing")
}

// name finds the document's name and adds the document under it.
func (b *builder) name(doc *Document, k Kind) bool {
	v := reflect.ValueOf(doc.Value).Elem()
	path := "name"
	for _, f := range fieldsOf(v.Type()) {
		if f.typ.Kind() != reflect.String {
			continue
		}
		s := v.FieldByIndex(f.index).String()
		if f.name == "name" && s != "" || f.name == "target" && k.KeyedByTarget && doc.Name == "" {
			doc.Name, path = s, f.name
		}
	}
	if !namePattern.MatchString(doc.Name) {
		b.errs = append(b.errs, doc.Errorf(path, "lower-case letters, digits, dots, dashes and underscores, at most 63",
			"%q is not a name", doc.Name))
		return false
	}
	if first, twice := b.set.docs[k.Name][doc.Name]; twice {
		b.errs = append(b.errs, doc.Errorf(path, fmt.Sprintf("the first is in %s on line %d", first.File, first.Line),
			"there are two documents %s %q", k.Name, doc.Name))
		return false
	}
	b.set.docs[k.Name][doc.Name] = doc
	return true
}

// place turns a validator's error into Errors with a place.
func (s *Set) place(doc *Document, err error) Errors {
	var many Errors
	if errors.As(err, &many) {
		return many
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		text := ""
		for _, e := range joined.Unwrap() {
			many = append(many, s.place(doc, e)...)
			text += e.Error() + "\n"
		}
		if text == err.Error()+"\n" { // errors.Join; fmt.Errorf says more than its parts
			return many
		}
	}
	var one *Error
	if errors.As(err, &one) {
		return Errors{one}
	}
	var p Placed
	if errors.As(err, &p) {
		kind, name, path, line, column := p.Place()
		if d, ok := s.docs[kind][name]; ok {
			doc = d
		}
		if doc != nil {
			l, c := doc.locate(path, line, column)
			return Errors{doc.chunk.errorAt(l, c, p.Hint(), "%s", p.Error())}
		}
	}
	if doc != nil {
		return Errors{doc.chunk.errorAt(doc.Line, 1, "", "%s", err)}
	}
	return Errors{{Message: err.Error()}}
}

// crossCheck checks what documents say of one another and builds the targets.
func (b *builder) crossCheck() {
	s := b.set
	credentials := slices.Sorted(maps.Keys(s.docs[KindCredential]))
	targets := slices.Sorted(maps.Keys(s.docs[KindTarget]))
	for _, kind := range []string{KindLabels, KindFunctions} {
		for _, d := range s.All(kind) {
			var target string
			switch v := d.Value.(type) {
			case *Labels:
				target = v.Target
			case *Functions:
				target = v.Target
			}
			if _, ok := s.docs[KindTarget][target]; !ok {
				b.errs = append(b.errs, d.Errorf("target", nearest.Hint(target, targets), "there is no target %q", target))
			}
		}
	}
	for _, d := range s.All(KindTarget) {
		t, ok := d.Value.(*Target)
		if !ok {
			continue
		}
		if _, ok := s.docs[KindCredential][t.Credential]; !ok {
			b.errs = append(b.errs, d.Errorf("credential", nearest.Hint(t.Credential, credentials), "there is no credential %q", t.Credential))
			continue
		}
		if built := b.target(d, t); built != nil {
			s.targets[built.Handle()] = b.sealTarget(built)
			b.logins(d, t, built, credentials)
		}
	}
}

// logins adds the target once more for each of its further accounts.
func (b *builder) logins(d *Document, t *Target, built *gate.Target, credentials []string) {
	for login, credential := range t.Logins {
		if _, ok := b.set.docs[KindCredential][credential]; !ok {
			b.errs = append(b.errs, d.Errorf("logins."+login, nearest.Hint(credential, credentials), "there is no credential %q", credential))
			continue
		}
		other := *built
		other.Login, other.Credential = login, credential
		b.set.targets[other.Handle()] = b.sealTarget(&other)
	}
}

// sealTarget gives the finished target its generation.
func (b *builder) sealTarget(t *gate.Target) *gate.Target {
	credential, _ := b.set.Credential(t.Credential)
	t.Generation = ""
	sum := sha256.Sum256(canonical(struct {
		Target     *gate.Target
		Credential *Credential
	}{t, credential}))
	t.Generation = hex.EncodeToString(sum[:16])
	return t
}

// maxCABytes bounds a CA bundle: the system's own is about 220 KiB.
const maxCABytes = 4 << 20

// target builds what the gate sees.
func (b *builder) target(d *Document, t *Target) *gate.Target {
	g := &gate.Target{Name: t.Name, Protocol: t.Protocol, Address: t.Address, Connector: t.Connector, Database: t.Database,
		Labels: t.Labels, Credential: t.Credential, Keys: t.HostKeys, Authorities: t.HostCAs, Marks: map[string][]string{}, Functions: map[string]gate.Effects{},
		TLS: gate.TLS{Mode: t.tlsMode(), ServerName: t.TLS.ServerName},
		Limits: gate.Limits{Rows: t.Limits.Rows, Bytes: int64(t.Limits.Bytes), Statement: t.Limits.Statement,
			Session: t.Limits.Session, Idle: t.Limits.Idle, Sessions: t.Limits.Sessions, SessionsPerAgent: t.Limits.PerAgent}}
	if t.TLS.CA != "" {
		pem, err := readFile(resolve(b.base, t.TLS.CA), maxCABytes)
		if err != nil {
			b.errs = append(b.errs, d.Errorf("tls.ca", "", "the CA file cannot be read: %v", err))
			return nil
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			b.errs = append(b.errs, d.Errorf("tls.ca", "", "the CA file holds no PEM certificate"))
			return nil
		}
		g.TLS.CA = pem
	}
	for _, l := range Values[Labels](b.set) {
		if l.Target == t.Name {
			for name, columns := range l.Columns {
				g.Marks[name] = append(g.Marks[name], columns...)
			}
			for name, paths := range l.Paths {
				g.Marks[name] = append(g.Marks[name], paths...)
			}
			g.Detect = append(g.Detect, l.Detect...)
		}
	}
	slices.Sort(g.Detect)
	g.Detect = slices.Compact(g.Detect)
	for name := range g.Marks {
		slices.Sort(g.Marks[name])
		g.Marks[name] = slices.Compact(g.Marks[name])
	}
	for _, fd := range b.set.All(KindFunctions) {
		f, ok := fd.Value.(*Functions)
		if !ok || f.Target != t.Name {
			continue
		}
		for signature, word := range f.Functions {
			effect, _ := gate.ParseEffect(word) // an unknown word was refused before; zero means unknown
			if _, twice := g.Functions[signature]; twice {
				b.errs = append(b.errs, fd.Errorf("functions."+signature+"#key", "", "function %q is reviewed in two documents", signature))
			}
			g.Functions[signature] = effect
		}
	}
	return g
}
