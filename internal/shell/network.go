package shell

import (
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// peer is the name or the address of a host.
var peer = regexp.MustCompile(`^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$`)

// ports is a port, or a range of ports.
var ports = regexp.MustCompile(`^[0-9]{1,5}(-[0-9]{1,5})?$`)

// reaches notes a connection to a host that the line names.
func (c *call) reaches(how, host, port string) bool {
	if !peer.MatchString(host) || port != "" && !ports.MatchString(port) {
		c.fail(host, "it is no host that is understood", "")
		return false
	}
	if port != "" {
		host += ":" + port
	}
	c.a.host(how + " " + host)
	return true
}

// texts are the texts that a word can be; none if one of them is known only when it runs.
func (w *word) texts() []string {
	if w.form == static {
		return []string{w.text}
	}
	if w.form != each || w.feed != nil {
		return nil
	}
	var all []string
	for i := range w.alternatives {
		if one := &w.alternatives[i]; one.form != static || one.below {
			return nil
		}
		all = append(all, w.alternatives[i].text)
	}
	return all
}

// spelt reports whether all arguments are written out, or are operands that a loop takes
// from words that are.
func (c *call) spelt(in *input) bool {
	for i := range c.args {
		if c.args[i].form != static && (!slices.Contains(in.operands, i) || c.args[i].texts() == nil) {
			c.fail(c.args[i].source(), "the argument is known only when it runs", "write it out")
			return false
		}
	}
	return true
}

// network understands programs that ask another host and tell what it answers. What
// they send may be what an agent has read: they are connections, as those of curl.
func (c *call) network(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok || !c.spelt(in) {
		return
	}
	value := func(option, without string) string {
		if w, given := in.has(option); given {
			return w.text
		}
		return without
	}
	c.effect(gate.EffectTunnel)
	c.operands(p, in)
	if len(in.operands) == 0 && len(p.Operands) > 0 {
		c.fail("", "a host is needed", "") // without one some read commands
		return
	}
	for _, words := range c.combined(in.operands) {
		if !c.connects(in, words, value) {
			return
		}
	}
	c.add(p, from)
}

// combined are the operands as they can be together.
func (c *call) combined(operands []int) [][]string {
	all := [][]string{nil}
	for _, i := range operands {
		var longer [][]string
		for _, words := range all {
			for _, text := range c.args[i].texts() {
				longer = append(longer, append(slices.Clone(words), text))
			}
		}
		if all = longer; len(all) > maxAlternatives {
			c.fail("", "it names too many hosts", "")
			return nil
		}
	}
	return all
}

// connects notes where a program connects to by its operands.
func (c *call) connects(in *input, words []string, value func(option, without string) string) bool {
	switch c.name {
	case "nc":
		if _, scans := in.has("-z"); !scans || len(words) != 2 {
			c.fail("", "only nc -z HOST PORT is understood", "")
			return false
		}
		how := "TCP"
		if _, udp := in.has("-u"); udp {
			how = "UDP"
		}
		return c.reaches(how, words[0], words[1])
	case "host", "nslookup":
		return c.reaches("DNS", words[0], "") && (len(words) < 2 || c.reaches("DNS", words[1], "53"))
	case "resolvectl query":
		return c.reaches("DNS", words[0], "")
	case "redis-cli":
		return c.reaches("REDIS", value("-h", "localhost"), value("-p", "6379"))
	case "mysqladmin":
		return c.reaches("MYSQL", value("-h", "localhost"), value("-P", "3306"))
	case "pg_isready":
		host := value("-h", "")
		return host == "" || c.reaches("POSTGRES", host, value("-p", "5432"))
	case "openssl s_client":
		host, port, _ := cutLast(value("-connect", ""), ":")
		if port == "" {
			c.fail("", "-connect HOST:PORT is needed", "")
			return false
		}
		return c.reaches("TLS", strings.Trim(host, "[]"), port)
	}
	return c.reaches("PING", words[0], "")
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// digWords are the words with a plus sign of dig that name no file; no and a number
// may stand with them.
var digWords = set("short all answer authority additional comments cmd question stats noidnin identify multiline dnssec cdflag adflag recurse tcp vc " +
	"trace nssearch search time tries retry timeout edns bufsize ttlid ttlunits rrcomments qr nsid ndots")

// dig understands dig with names, types and a server. It would read options from a file
// of the account's without -r.
func (c *call) dig(p *Program, from int) {
	c.effect(gate.EffectTunnel)
	names := 0
	for i := from; i < len(c.args); i++ {
		text := c.args[i].text
		if c.args[i].form != static {
			texts := c.args[i].texts()
			if texts == nil || slices.ContainsFunc(texts, func(t string) bool { return t == "" || strings.ContainsAny(t[:1], "+-@") || !c.reaches("DNS", t, "") }) {
				c.fail(c.args[i].source(), "the argument is known only when it runs", "write it out")
				return
			}
			names++
			continue
		}
		switch {
		case strings.HasPrefix(text, "+"):
			name, number, has := strings.Cut(text[1:], "=")
			if !digWords[name] && !digWords[strings.TrimPrefix(name, "no")] || has && !digitsOnly(number) {
				c.fail(text, "the option is not in the table of those that are understood", "leave it out")
				return
			}
		case strings.HasPrefix(text, "@"):
			if !c.reaches("DNS", text[1:], "53") {
				return
			}
		case slices.Contains([]string{"-4", "-6", "-r", "-u"}, text):
		case slices.Contains([]string{"-x", "-t", "-c", "-q"}, text) && i+1 < len(c.args) && c.args[i+1].form == static:
			if i++; !peer.MatchString(c.args[i].text) {
				c.fail(c.args[i].text, "the value is not understood", "")
				return
			}
			if text == "-x" || text == "-q" {
				names++
				c.reaches("DNS", c.args[i].text, "")
			}
		case slices.Contains(digTypes, strings.ToUpper(text)):
		default:
			names++
			if !c.reaches("DNS", text, "") {
				return
			}
		}
	}
	if names == 0 {
		c.fail("", "a name is needed", "")
		return
	}
	c.add(p, from)
}

var digTypes = strings.Fields("A AAAA ANY CAA CNAME DNSKEY DS HTTPS MX NAPTR NS PTR SOA SRV SSHFP SVCB TLSA TXT IN")
