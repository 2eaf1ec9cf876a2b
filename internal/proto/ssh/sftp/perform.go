package sftp

import (
	"bytes"
	"context"
	"errors"
	"path"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// outcome is how a command ended: a response for the client, or an opened file.
type outcome struct {
	response Response
	opened   *opened
	place    Place
	note     string
}

func status(c Code) outcome { return outcome{response: &Status{c, c.text()}} }

// denied is an outcome in our words.
func denied(message string) outcome {
	return outcome{response: &Status{PermissionDenied, message}, note: message}
}

// of passes a server's response on, as far as it is an answer to the request.
func of(r Response) outcome { return outcome{response: rebuilt(r)} }

// perform takes a command through resolve, judge, perform and answer.
func (r *Relay) perform(ctx context.Context, c *Command) error {
	if c.service {
		return r.service(ctx, c)
	}
	o, grant, err := r.judge(ctx, c)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		o, err = denied(refused.Message), nil
	}
	if err != nil {
		return err
	}
	return r.finish(ctx, c, o, grant)
}

func (r *Relay) judge(ctx context.Context, c *Command) (outcome, Grant, error) {
	if o, err := r.resolve(ctx, c); err != nil || o.response != nil {
		return o, Grant{}, err
	}
	grant, err := r.cfg.Judge.Decide(ctx, c)
	if err != nil {
		return outcome{}, Grant{}, err
	}
	o, err := r.execute(ctx, c, grant)
	return o, grant, err
}

// finish answers the client.
func (r *Relay) finish(ctx context.Context, c *Command, o outcome, grant Grant) error {
	var frame Frame
	code := OK
	if o.opened != nil {
		var ok bool
		if frame, ok = r.engine.Opened(c, o.opened.handle, o.opened.fd, o.place, grant); !ok {
			if err := r.discard(*o.opened); err != nil {
				return err
			}
			o = outcome{response: &Status{Failure, tooMany}, note: tooMany}
		}
	}
	if o.response != nil {
		if s, ok := o.response.(*Status); ok {
			code = s.Code
		}
		frame = r.engine.Answer(c, o.response)
	}
	if err := r.cfg.Observer.Done(c, code, o.note); err != nil {
		return err
	}
	if err := r.inOrder(ctx); err != nil {
		return err
	}
	return r.toClient(frame, true)
}

const tooMany = "too many files are open"

// resolve sets the places of a command's paths.
func (r *Relay) resolve(ctx context.Context, c *Command) (outcome, error) {
	switch c.Operation {
	case OpCopy:
		return r.measure(ctx, c)
	case OpExpand, OpHome:
		if o, err := r.expand(ctx, c); err != nil || o.response != nil {
			return o, err
		}
	}
	if c.resolved {
		return outcome{}, nil
	}
	for i := range c.Paths {
		p := &c.Paths[i]
		switch {
		case p.Absolute != "":
		case strings.HasPrefix(p.Given, "/"):
			p.Absolute = p.Given
		default:
			p.Absolute = strings.TrimSuffix(r.host.start, "/") + "/" + p.Given
		}
		if len(p.Absolute) > MaxPath {
			return denied("the path is too long"), nil
		}
	}
	if c.Operation == OpSymlink {
		return outcome{}, r.resolveLink(ctx, c.Paths)
	}
	if err := r.place(ctx, c.Paths); err != nil {
		return outcome{}, err
	}
	if c.Operation == OpReplace && c.Paths[1].Place.Kind == KindAbsent {
		c.Paths[1].Effects = gate.EffectWrite // nothing is replaced
	}
	return outcome{}, nil
}

// resolveLink resolves where a link is made, and from there what it says.
func (r *Relay) resolveLink(ctx context.Context, paths []Path) error {
	if err := r.place(ctx, paths[:1]); err != nil {
		return err
	}
	text := &paths[1]
	switch {
	case text.Given == "":
		return &Refused{"a symbolic link needs a target"}
	case text.Given[0] == '/':
		text.Absolute = text.Given
	default:
		text.Absolute = strings.TrimSuffix(path.Dir(paths[0].Place.Real), "/") + "/" + text.Given
	}
	if len(text.Absolute) > MaxPath {
		return &Refused{"the path is too long"}
	}
	return r.place(ctx, paths[1:])
}

// place asks the Resolver and checks what it says.
func (r *Relay) place(ctx context.Context, paths []Path) error {
	if err := r.cfg.Resolver.Resolve(ctx, r.ask(), paths); err != nil {
		return err
	}
	for i := range paths {
		p := &paths[i].Place
		if p.Kind == KindUnknown || len(p.Real) > MaxPath || !strings.HasPrefix(p.Real, "/") ||
			path.Clean(p.Real) != p.Real || strings.IndexByte(p.Real, 0) >= 0 {
			return &Refused{"it cannot be told what the path names"}
		}
		paths[i].Effects |= special(p.Real, paths[i].Effects)
	}
	return nil
}

// special returns what it does beyond reading and writing to use the files in
// which a kernel shows itself. Writing there changes the machine, and the files
// of a process hold its memory and environment (proc(5)): whoever writes to
// /proc/self/mem runs code in the server.
func special(real string, e gate.Effects) gate.Effects {
	within := func(dir string) bool { return real == dir || strings.HasPrefix(real, dir+"/") }
	if !within("/proc") && !within("/sys") && !within("/dev") {
		return 0
	}
	var more gate.Effects
	if e&(gate.EffectWrite|gate.EffectDelete) != 0 && !within("/dev/shm") {
		more |= gate.EffectAdmin
	}
	if process, ok := strings.CutPrefix(real, "/proc/"); ok && process != "" && (process[0] >= '0' && process[0] <= '9' ||
		strings.HasPrefix(process, "self") || strings.HasPrefix(process, "thread-self")) {
		more |= gate.EffectUnknown
	}
	return more
}

// expand has the server say what ~, ~user or a user's home directory is.
func (r *Relay) expand(ctx context.Context, c *Command) (outcome, error) {
	p := &c.Paths[0]
	var q Request = &HomeDirectory{p.Given}
	if c.Operation == OpExpand {
		if !strings.HasPrefix(p.Given, "~") {
			return outcome{}, nil
		}
		q = &ExpandPath{p.Given}
	}
	answer, err := r.ask().Do(ctx, q)
	if err != nil {
		return outcome{}, err
	}
	name, ok := nameOf(answer)
	switch {
	case !ok:
		return of(answer), nil
	case !strings.HasPrefix(name, "/"):
		return status(Failure), nil
	}
	p.Absolute = name
	return outcome{}, nil
}

// measure makes the length of a copy explicit and checks it against the limits
// under which the files were opened.
func (r *Relay) measure(ctx context.Context, c *Command) (outcome, error) {
	if c.Length == 0 { // to the end of the file
		answer, err := r.ask().Do(ctx, &Fstat{c.file.server})
		if err != nil {
			return outcome{}, err
		}
		a, ok := answer.(*FileAttrs)
		if !ok || !a.Attrs.HasSize {
			return status(Failure), nil
		}
		if a.Attrs.Size > c.FromOffset {
			c.Length = a.Attrs.Size - c.FromOffset
		}
	}
	if message := r.engine.copyable(c); message != "" {
		return denied(message), nil
	}
	return outcome{}, nil
}

// service answers what concerns no file.
func (r *Relay) service(ctx context.Context, c *Command) error {
	answer, err := r.ask().Do(ctx, c.request)
	if err != nil {
		return err
	}
	switch a := answer.(type) {
	case *LimitsReply:
		least := func(theirs, ours uint64) uint64 {
			if theirs == 0 {
				return ours
			}
			return min(theirs, ours)
		}
		answer = &LimitsReply{least(a.Packet, MaxPacket), least(a.Read, maxRead), least(a.Write, maxRead),
			least(a.Handles, uint64(r.cfg.Handles))} //nolint:gosec // a small positive number
	case *UsersGroupsReply:
		for _, names := range [][][]byte{a.Users, a.Groups} {
			for i, n := range names {
				if bytes.ContainsFunc(n, func(c rune) bool { return c <= ' ' || c > '~' || c == ':' || c == '/' }) {
					names[i] = nil
				}
			}
		}
	}
	return r.toClient(r.engine.Answer(c, rebuilt(answer)), true)
}
