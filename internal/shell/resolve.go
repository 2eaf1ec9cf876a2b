package shell

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// byName are the databases of getent in which a name may be looked for in the network.
var byName = set("hosts ahosts ahostsv4 ahostsv6 networks netgroup")

// getent understands getent. A host that it looks for is asked for as by dig.
func (c *call) getent(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.operands(p, in)
	if len(in.operands) < 2 || !byName[c.args[in.operands[0]].text] {
		c.effect(0)
		return
	}
	c.effect(gate.EffectTunnel)
	for _, i := range in.operands[1:] {
		texts := c.args[i].texts()
		if texts == nil {
			c.fail(c.args[i].source(), "the name is known only when it runs", "write it out")
			return
		}
		for _, text := range texts {
			if !c.reaches("DNS", text, "") {
				return
			}
		}
	}
}

// address reports whether a text is an address, or a network, which nobody is asked for.
func address(text string) bool {
	if inner, bracketed := strings.CutPrefix(text, "["); bracketed {
		head, tail, closed := strings.Cut(inner, "]")
		if text = head + tail; !closed {
			return false
		}
	}
	_, notAddress := netip.ParseAddr(text)
	_, notNetwork := netip.ParsePrefix(text)
	return notAddress == nil || notNetwork == nil
}

var (
	// socketPort is a port behind an address, by its number or its name.
	socketPort = regexp.MustCompile(`^(.*):([A-Za-z0-9-]+|\*)?$`)
	// socketSigns are what stands between the words of a filter of sockets.
	socketSigns = regexp.MustCompile(`[()!=<>&| \t]+`)
)

// The words of a filter of sockets, apart from addresses and ports (ss(8)).
var socketWords = set("state exclude all connected synchronized bucket big established estab syn-sent syn-recv fin-wait-1 fin-wait-2 time-wait " +
	"closed unconnected close-wait last-ack listening listen closing bound-inactive dst src dport sport autobound and or not eq ne neq ge geq le leq gt lt")

// socket reports whether a word of a filter is the end of a connection, without a name of
// a host.
func socket(text string) bool {
	text = strings.TrimPrefix(strings.TrimPrefix(text, "inet6:"), "inet:")
	if address(text) || text == "*" || digitsOnly(text) && len(text) <= 5 {
		return true
	}
	parts := socketPort.FindStringSubmatch(text)
	// Without brackets a colon is one of an address, or before the port.
	return parts != nil && (parts[1] == "" || parts[1] == "*" || address(parts[1]) && (strings.HasPrefix(parts[1], "[") || !strings.Contains(parts[1], ":")))
}

// ss understands ss, which asks for the hosts that its filter names.
func (c *call) ss(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(0)
	end := false // the word is the end of a connection
	for _, i := range in.operands {
		if !c.constant(&c.args[i], nil, "the filter") {
			return
		}
		for _, word := range socketSigns.Split(c.args[i].text, -1) {
			switch {
			case word == "", slices.Contains([]string{"eq", "ne", "neq"}, word):
			case (end || !socketWords[word]) && !socket(word):
				c.fail(word, "the filter may name a host, which would be asked for", "write its address")
				return
			default:
				end = word == "dst" || word == "src"
			}
		}
	}
}

// fuser understands fuser, which asks for the host that stands behind a port.
func (c *call) fuser(p *Program, from int) {
	for i := from; i < len(c.args); i++ {
		if w := &c.args[i]; w.form != static && w.form != homely && w.form != pattern || strings.Contains(w.text, ",") {
			c.fail(w.source(), "it may name a host, which would be asked for", "write the port alone")
			return
		}
	}
	c.standard(p, from)
}

// netFiles are the files of the network of lsof, without a host or with its address.
var netFiles = regexp.MustCompile(`^[46]?(?i:tcp|udp|udplite)?(@[^@]*?)?(:[A-Za-z0-9,-]+)?$`)

// netFile reports whether a text selects files of the network and names no host.
func netFile(text string) bool {
	parts := netFiles.FindStringSubmatch(text)
	return parts != nil && (parts[1] == "" || address(parts[1][1:]))
}

// lsof understands lsof. Of files of the network it tells no path; what else is open can
// lie anywhere. The address behind -i may stand in the next word.
func (c *call) lsof(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(0)
	var net, all, named, more, told bool
	for _, g := range in.given {
		switch g.name {
		case "-i":
			net = true
			if w := &g.value; w.source() != "" && (w.form != static || !netFile(w.text)) {
				c.fail("-i", "it may name a host, which would be asked for", "write its address")
				return
			}
		case "-a":
			all = true
		case "-v", "-h", "-?":
			told = true
		case "-c", "-d", "-p", "-u", "-U", "-N", "-X", "+d", "+D", "+L":
			more = true
		}
	}
	for n, i := range in.operands {
		w := &c.args[i]
		if net && n == 0 && w.form == static && netFile(w.text) {
			continue
		}
		if named = true; net && w.form != homely && (w.form != static || !strings.HasPrefix(w.text, "/")) {
			c.fail(w.source(), "it may name a host, which would be asked for", "begin the path with a slash")
			return
		}
	}
	first := len(c.a.asked)
	c.operands(p, in)
	if told || net && (all || !more && !named) {
		return
	}
	if named && !more && !net {
		// Of a file that is named it tells that alone; of the directory where a file system
		// is mounted, all that is open on that.
		for i := first; i < len(c.a.asked); i++ {
			c.a.asked[i].file = true
		}
		return
	}
	c.use(Walk, &word{form: static, text: "/"}, nil, "", true)
}
