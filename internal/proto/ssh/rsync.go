package ssh

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
)

// rsyncCall is a call of rsync's server side, which a client's rsync makes. What its
// two sides then say to one another is not decoded, so it is never only a read: it has
// the effect execute besides, and a rule names it (ssh.kind == "rsync").
type rsyncCall struct {
	sender, follow, deletes, recurses bool
	argv                              []string
	paths                             []string
}

var (
	// rsyncFlags are the letters of rsync(1) that neither run a program, nor name a
	// file beyond the paths, nor take arguments from the other side (-s). What comes
	// after e are the client's capabilities: a bare e would take the next word, which
	// may be --sender, for them.
	rsyncFlags = regexp.MustCompile(`^-([vqlogDtprnzuxcHAXSWmIdOJhL]+(e\.[A-Za-z.]*)?|e\.[A-Za-z.]*)$`)
	// rsyncOptions are long options of the same sort.
	rsyncOptions = regexp.MustCompile(`^--(delete(-(before|during|after|delay|excluded))?|numeric-ids|inplace|partial|size-only|stats|ignore-existing|existing|` +
		`log-format=[%A-Za-z]{0,16}|(compress|checksum)-choice=[a-z0-9,]{1,32}|compress-level=[0-9]{1,2}|new-compress|old-compress|` +
		`(timeout|bwlimit|max-size|min-size|modify-window)=[0-9]{1,15}[KMGkmg]?|no-implied-dirs|dirs|omit-dir-times|safe-links)$`)
)

// parseRsync parses the words of a call. Options that are not known to be harmless are
// an error, which names them.
func parseRsync(argv []string) (*rsyncCall, error) {
	if len(argv) < 4 || argv[1] != "--server" {
		return nil, fmt.Errorf("rsync is served only as the far side of a transfer (rsync --server)")
	}
	c := &rsyncCall{argv: argv}
	rest := argv[2:]
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		word := rest[0]
		rest = rest[1:]
		switch {
		case word == "--sender":
			c.sender = true
		case rsyncOptions.MatchString(word):
			c.deletes = c.deletes || strings.HasPrefix(word, "--delete")
		case rsyncFlags.MatchString(word):
			letters, _, _ := strings.Cut(word, "e")
			c.follow = c.follow || strings.Contains(letters, "L")
			c.recurses = c.recurses || strings.Contains(letters, "r")
		default:
			return nil, fmt.Errorf("rsync option %q is not one that the gateway passes on", word)
		}
	}
	// "." stands before the paths, where rsync's own arguments end.
	if len(rest) < 2 || rest[0] != "." || !c.sender && len(rest) != 2 || len(rest) > maxRsyncPaths {
		return nil, fmt.Errorf("rsync --server without the paths that a client sends")
	}
	for _, p := range rest[1:] {
		if p == "" {
			p = "."
		}
		if strings.HasPrefix(p, "-") || strings.ContainsAny(p, "*?[\x00\n") {
			return nil, fmt.Errorf("rsync path %q: patterns and names that look like options are not passed on; name the folder", p)
		}
		c.paths = append(c.paths, p)
	}
	return c, nil
}

const maxRsyncPaths = 64

// rsync judges and runs one call.
func (s *session) rsync(ctx context.Context, argv []string) {
	var quoted []string
	for _, w := range argv {
		quoted = append(quoted, hostpath.Quote(w))
	}
	text := strings.Join(quoted, " ")
	call, err := parseRsync(argv)
	if err != nil {
		s.refuse(ctx, text, err.Error(), "use sftp or scp")
		return
	}
	answers, err := s.ask(ctx, call.questions())
	if err != nil {
		s.c.server.cfg.Log.Warn("paths not resolved at the target", "session", s.gate.ID, "error", err)
		s.refuse(ctx, text, "the paths in it could not be resolved at the target")
		return
	}
	facts, labels, err := call.facts(answers)
	if err != nil {
		s.refuse(ctx, text, err.Error())
		return
	}
	facts.Login = s.gate.Target.Login
	s.facts = facts
	cmd := &gate.Command{Text: text, Effects: call.effects(), Labels: labels, Facts: facts, Follow: gate.FollowInput,
		Binding: s.binding("rsync", text)}
	if call.sender {
		cmd.Mask = s.unsearched(labels, "what rsync sends")
	}
	p, ok := s.judge(ctx, cmd, []string{"rsync runs only where a rule names it: ssh.kind == \"rsync\""})
	if !ok {
		return
	}
	if s.waited && !s.rsyncStands(ctx, call, facts, labels) {
		s.changed(p)
		return
	}
	s.outs[0], s.outs[1] = nil, nil // they would break the protocol that rsync's sides speak
	s.run(p, wire.AppendRequest(s.preamble(), "exec", true, ssh.Marshal(struct{ Command string }{text})), 0)
}

// rsyncStands is stands for rsync.
func (s *session) rsyncStands(ctx context.Context, call *rsyncCall, judged *Facts, labels []string) bool {
	answers, err := s.ask(ctx, call.questions())
	if err != nil {
		return false
	}
	facts, again, err := call.facts(answers)
	if err != nil {
		return false
	}
	facts.Login = judged.Login
	return reflect.DeepEqual(facts, judged) && slices.Equal(again, labels)
}

func (c *rsyncCall) effects() gate.Effects {
	e := gate.EffectExecute
	switch {
	case c.sender:
		e |= gate.EffectRead
	case c.deletes:
		e |= gate.EffectWrite | gate.EffectDelete
	default:
		e |= gate.EffectWrite
	}
	return e
}

// questions ask where the paths lead and what is below them. A receiver goes through
// a link to the directory that it is given, with or without a slash behind it.
func (c *rsyncCall) questions() (all []hostpath.Question) {
	for _, p := range c.paths {
		all = append(all, hostpath.Question{Name: p, Use: hostpath.Recurse, Follow: c.follow})
		if !c.sender {
			all = append(all, hostpath.Question{Name: p + "/", Use: hostpath.Recurse, Follow: c.follow},
				// It may write through a link that is there, or put a file in its place.
				hostpath.Question{Name: p, Use: hostpath.Create, Follow: true}, hostpath.Question{Name: p, Use: hostpath.Delete})
		}
	}
	return all
}

func (c *rsyncCall) facts(answers *hostpath.Answers) (*Facts, []string, error) {
	f := &Facts{Kind: "rsync", Programs: []string{"rsync"}, Operation: "write"}
	if c.sender {
		f.Operation = "read"
	}
	var labels []string
	for _, a := range answers.List {
		if a.Refused != "" || a.Infeasible {
			return nil, nil, fmt.Errorf("it cannot be told what a path names: %s", a.Refused)
		}
		labels = append(labels, a.Labels()...)
		for _, p := range a.Places {
			if p.Refused != "" || p.Real == "" {
				return nil, nil, fmt.Errorf("it cannot be told what %q names: %s", p.Name, p.Refused)
			}
			f.Paths = append(f.Paths, p.Real)
		}
	}
	slices.Sort(f.Paths)
	f.Paths = slices.Compact(f.Paths)
	if c.sender {
		f.Reads = f.Paths
	} else {
		f.Writes = f.Paths
	}
	slices.Sort(labels)
	return f, slices.Compact(labels), nil
}
