package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/sallyport-gateway/sallyport/internal/nearest"
)

// ListenConsole is the listener that every build has.
const ListenConsole = "console"

// Process is sallyport.yaml: what one gateway process is given. Everything else
// is in documents. LoadProcess fills in the defaults and makes paths absolute.
type Process struct {
	// Listen maps "console" and the names of protocols to host:port. A protocol
	// that is not in it is not served. Default: console on 127.0.0.1:8420.
	Listen map[string]string `yaml:"listen" doc:"Address (host:port) of the console and of each protocol. A protocol that is not listed is not served." default:"{console: 127.0.0.1:8420}" example:"{console: 127.0.0.1:8420, postgres: 127.0.0.1:6432}"`
	// URL is the address of the console as people reach it, for links in holds.
	// Default: https:// and listen.console.
	URL string `yaml:"url" doc:"Address of the console as people reach it, for the links in approval notices." default:"https:// and listen.console" example:"https://sallyport.corp.example"`
	// State is where durable state is kept: sqlite:PATH. Default: sqlite:./data/state.db.
	State string `yaml:"state" doc:"Durable state: sqlite:PATH." default:"sqlite:./data/state.db" example:"sqlite:./data/state.db"`
	// Recordings is where recordings are kept: file:PATH. Default: file:./data/recordings.
	Recordings string `yaml:"recordings" doc:"Recordings: file:PATH." default:"file:./data/recordings" example:"file:./data/recordings"`
	// Key is what wraps the data keys: file:PATH (made on first start, mode
	// 0600). Default: file:./data/key.
	Key string `yaml:"key" doc:"Key that wraps the data keys of the sealed store: file:PATH (made with mode 0600 on first start)." default:"file:./data/key" example:"file:./data/key"`
	// Documents is the folder of the documents. Default: ./documents.
	Documents string `yaml:"documents" doc:"Folder of the documents: *.yaml and *.yml, not in subfolders." default:"./documents" example:"./documents"`
	// TLS is the gateway's own certificate, for every listener.
	TLS ProcessTLS `yaml:"tls" doc:"The gateway's own certificate, shown to agents and people."`
	// Hold is how long a command waits for a person before its client is told
	// to come back. Zero means what suits each protocol's clients.
	Hold time.Duration `yaml:"hold" doc:"How long a command waits for a person before its client is told to come back." default:"45s; 110s for SSH" example:"45s"`
	// Limits bound the process.
	Limits ProcessLimits `yaml:"limits" doc:"Bounds of the process."`
	// Log says what is logged.
	Log Log `yaml:"log" doc:"The log of the process, on standard error."`

	// Dir is the folder of the file: relative paths are under it.
	Dir string `yaml:"-"`
}

// ProcessTLS is the gateway's own certificate. Both or neither are given.
type ProcessTLS struct {
	Certificate string `yaml:"certificate" doc:"PEM file of the certificate chain." default:"a self-signed pair made on first start" example:"tls/gateway.crt"`
	Key         string `yaml:"key" doc:"PEM file of the private key." example:"tls/gateway.key"`
}

// ProcessLimits bound the process. Counts are of one process.
type ProcessLimits struct {
	// Connections is how many client connections one listener holds at a time,
	// logged in or not. Default: 4096.
	Connections int `yaml:"connections" doc:"Client connections that one listener holds at a time, logged in or not." default:"16384" example:"16384"`
	// Handshake is how long a client may take to log in. Default: 10s.
	Handshake time.Duration `yaml:"handshake" doc:"Time that a client has to log in." default:"10s" example:"10s"`
	// Shutdown is how long sessions have to close when the process stops.
	// Default: 10s.
	Shutdown time.Duration `yaml:"shutdown" doc:"Time that sessions have to close when the process stops." default:"10s" example:"10s"`
	// Memory is the soft limit of the Go heap (debug.SetMemoryLimit). Zero sets
	// none. Default: none.
	Memory Size `yaml:"memory" doc:"Soft limit of the process's memory." default:"none" example:"1GiB"`
}

// Log says what is logged.
type Log struct {
	Level  string `yaml:"level" enum:"debug,info,warn,error" doc:"Least important level that is logged." default:"info" example:"info"`
	Format string `yaml:"format" enum:"text,json" doc:"Form of the log lines." default:"text" example:"json"`
}

// LoadProcess reads sallyport.yaml. protocols are the listeners that this build
// knows besides the console; none means that any word is accepted. Mistakes are
// Errors. Relative paths in the file are made absolute, under the file's folder.
func LoadProcess(path string, protocols ...string) (*Process, error) {
	text, err := readFile(path, maxFileBytes)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return parseProcess(path, dir, text, protocols)
}

func parseProcess(path, dir string, text []byte, protocols []string) (*Process, error) {
	chunks, serr := split(path, text)
	if serr != nil {
		return nil, Errors{serr}
	}
	chunks = slices.DeleteFunc(chunks, (*chunk).empty)
	p := &Process{Dir: dir}
	switch len(chunks) {
	case 0:
		p.defaults()
		return p, nil
	case 1:
	default:
		return nil, Errors{chunks[1].errorAt(chunks[1].line, 1, "documents belong in the documents folder", "the file holds more than one document")}
	}
	body, serr := chunks[0].parse()
	if serr != nil {
		return nil, Errors{serr}
	}
	d := &decoder{c: chunks[0], places: map[string]ast.Node{}, anchors: map[string]ast.Node{}, nodes: new(int)}
	ast.Walk(collect{d}, body)
	d.value(body, reflect.ValueOf(p).Elem(), "", "")
	doc := &Document{File: path, Line: chunks[0].line, chunk: chunks[0], places: d.places}
	errs := append(d.errs, p.validate(doc, protocols)...)
	if len(errs) > 0 {
		return nil, errs
	}
	p.defaults()
	return p, nil
}

func (p *Process) validate(doc *Document, protocols []string) (errs Errors) {
	known := append([]string{ListenConsole}, protocols...)
	for _, name := range slices.Sorted(maps.Keys(p.Listen)) {
		if len(protocols) > 0 && !slices.Contains(known, name) {
			hint := nearest.Hint(name, known)
			if hint == "" {
				hint = "this build serves " + strings.Join(known, ", ")
			}
			errs = append(errs, doc.Errorf("listen."+name+"#key", hint, "unknown listener %q", name))
		}
		if !listenAddress(p.Listen[name]) {
			errs = append(errs, doc.Errorf("listen."+name, "for example: 127.0.0.1:6432", "%q is not host:port", p.Listen[name]))
		}
	}
	for _, l := range []struct{ path, value, scheme string }{
		{"state", p.State, "sqlite:"}, {"recordings", p.Recordings, "file:"}, {"key", p.Key, "file:"},
	} {
		if l.value != "" && (!strings.HasPrefix(l.value, l.scheme) || l.value == l.scheme) {
			errs = append(errs, doc.Errorf(l.path, "", "%s starts with %s and has a path behind it: this release supports no other place", l.path, l.scheme))
		}
	}
	if p.URL != "" && !strings.HasPrefix(p.URL, "https://") {
		errs = append(errs, doc.Errorf("url", "", "the console is reached by https://"))
	}
	if (p.TLS.Certificate == "") != (p.TLS.Key == "") {
		errs = append(errs, doc.Errorf("tls", "give both, or neither for a self-signed pair", "tls needs certificate and key"))
	}
	if p.Limits.Connections > maxConnections {
		errs = append(errs, doc.Errorf("limits.connections", "", "at most %d", maxConnections))
	}
	return errs
}

// maxConnections is what a file descriptor table of 2^20 allows with two
// descriptors a session.
const maxConnections = 500_000

// listenAddress accepts an empty host, which means every interface, and port 0,
// which means any free port.
func listenAddress(a string) bool {
	return hostPort(a) || strings.HasPrefix(a, ":") && hostPort("x"+a) || strings.HasSuffix(a, ":0") && hostPort(a[:len(a)-1]+"1")
}

func (p *Process) defaults() {
	if p.Listen == nil {
		p.Listen = map[string]string{}
	}
	for _, d := range []struct {
		to    *string
		value string
	}{
		{&p.State, "sqlite:./data/state.db"}, {&p.Recordings, "file:./data/recordings"},
		{&p.Key, "file:./data/key"}, {&p.Documents, "./documents"}, {&p.Log.Level, "info"}, {&p.Log.Format, "text"},
	} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
	if p.Listen[ListenConsole] == "" {
		p.Listen[ListenConsole] = "127.0.0.1:8420"
	}
	if p.URL == "" {
		p.URL = "https://" + p.Listen[ListenConsole]
	}
	if p.Limits.Connections == 0 {
		p.Limits.Connections = 16384
	}
	if p.Limits.Handshake == 0 {
		p.Limits.Handshake = 10 * time.Second
	}
	if p.Limits.Shutdown == 0 {
		p.Limits.Shutdown = 10 * time.Second
	}
	for _, l := range []*string{&p.State, &p.Recordings, &p.Key} {
		for _, scheme := range []string{"file:", "sqlite:"} {
			if rest, ok := strings.CutPrefix(*l, scheme); ok {
				*l = scheme + resolve(p.Dir, rest)
			}
		}
	}
	p.Documents = resolve(p.Dir, p.Documents)
	if p.TLS.Certificate != "" {
		p.TLS.Certificate, p.TLS.Key = resolve(p.Dir, p.TLS.Certificate), resolve(p.Dir, p.TLS.Key)
	}
}

// FilePath returns the path of a location like file:PATH or sqlite:PATH, or false
// for one of another scheme.
func FilePath(location string) (string, bool) {
	for _, scheme := range []string{"file:", "sqlite:"} {
		if rest, ok := strings.CutPrefix(location, scheme); ok {
			return rest, true
		}
	}
	return "", false
}

// String describes where the process keeps things, for a start-up log.
func (p *Process) String() string {
	return fmt.Sprintf("documents %s, state %s, recordings %s", p.Documents, userInfo.ReplaceAllString(p.State, "://…@"), userInfo.ReplaceAllString(p.Recordings, "://…@"))
}
