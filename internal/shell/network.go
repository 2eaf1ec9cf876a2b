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

// spelt reports whether all arguments are written out.
func (c *call) spelt() bool {
	for i := range c.args {
		if c.args[i].form != static {
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
	if !ok || !c.spelt() {
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
	var words []string
	for _, i := range in.operands {
		words = append(words, c.args[i].text)
	}
	if len(words) == 0 && len(p.Operands) > 0 {
		c.fail("", "a host is needed", "") // without one some read commands
		return
	}
	switch c.name {
	case "nc":
		if _, scans := in.has("-z"); !scans || len(words) != 2 {
			c.fail("", "only nc -z HOST PORT is understood", "")
			return
		}
		how := "TCP"
		if _, udp := in.has("-u"); udp {
			how = "UDP"
		}
		c.reaches(how, words[0], words[1])
	case "host", "nslookup":
		if c.reaches("DNS", words[0], "") && len(words) > 1 {
			c.reaches("DNS", words[1], "53")
		}
	case "resolvectl query":
		c.reaches("DNS", words[0], "")
	case "redis-cli":
		c.reaches("REDIS", value("-h", "localhost"), value("-p", "6379"))
	case "mysqladmin":
		c.reaches("MYSQL", value("-h", "localhost"), value("-P", "3306"))
	case "pg_isready":
		if host := value("-h", ""); host != "" {
			c.reaches("POSTGRES", host, value("-p", "5432"))
		}
	case "openssl s_client":
		host, port, _ := cutLast(value("-connect", ""), ":")
		if port == "" {
			c.fail("", "-connect HOST:PORT is needed", "")
			return
		}
		c.reaches("TLS", strings.Trim(host, "[]"), port)
	default:
		c.reaches("PING", words[0], "")
	}
	c.add(p, from)
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
	if !c.spelt() {
		return
	}
	names := 0
	for i := from; i < len(c.args); i++ {
		text := c.args[i].text
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
		case slices.Contains([]string{"-x", "-t", "-c", "-q"}, text) && i+1 < len(c.args):
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
