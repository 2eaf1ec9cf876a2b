package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/hostpath"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/scp"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/sftp"
	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
)

const (
	// contentKept is how much of each file's content the recording keeps, in each
	// direction. Of the whole it has the digest.
	contentKept = 256 << 10
	// fileTimeout bounds each wait for an answer of the host's file server.
	fileTimeout = 30 * time.Second
)

// files serves file transfers: it judges, resolves and observes for the SFTP relay.
// The session's own stream carries the relay's packets, each made anew from what was
// decoded; each command in them is decided and recorded by itself.
type files struct {
	s    *session
	kind string // sftp or scp

	mu       sync.Mutex
	commands map[*sftp.Command]uint64 // guarded by mu; those not answered yet, and of open files
	last     uint64                   // guarded by mu; the newest command
	home     string                   // the account's, once the host has told it
}

// sftp serves the subsystem.
func (s *session) sftp(ctx context.Context) {
	f, server, ok := s.openFiles(ctx, "sftp", "sftp session")
	if !ok {
		return
	}
	defer s.land()
	relay := sftp.New(f.config(), &packets{kind: wire.Output, send: f.toClient}, &packets{kind: wire.Input, send: f.toServer})
	ended := make(chan struct{})
	go func() { // ends with the relay's own goroutine
		defer close(ended)
		defer s.c.recovered()
		<-relay.Ended()
		s.finishFiles(0)
	}()
	err := relay.Run(ctx, s.ch, server)
	s.up.Interrupt()
	err = errors.Join(err, relay.Finish())
	<-ended
	s.logFiles(err)
}

// scp serves the old protocol of scp: what the client asks for is done at the host by
// SFTP, so that it is judged, limited and recorded the same way.
func (s *session) scp(ctx context.Context, argv []string) {
	cmd, err := scp.Parse(argv)
	if err != nil {
		s.refuse(ctx, quoted(argv), err.Error(), "use sftp, or scp without -O")
		return
	}
	f, server, ok := s.openFiles(ctx, "scp", quoted(argv))
	if !ok {
		return
	}
	defer s.land()
	client := struct {
		io.Reader
		io.Writer
	}{s.ch, &chunks{send: f.toClient}}
	status, err := scp.Serve(ctx, cmd, client, f.config(), &stopper{packets: packets{kind: wire.Input, send: f.toServer}, s: s}, server)
	s.logFiles(err)
	s.finishFiles(uint32(status)) //nolint:gosec // 0 or 1
}

// quoted writes words so that different ones look different.
func quoted(argv []string) string {
	all := make([]string, len(argv))
	for i, w := range argv {
		all[i] = hostpath.Quote(w)
	}
	return strings.Join(all, " ")
}

func (s *session) logFiles(err error) {
	if err != nil && s.gate.Err() == nil {
		s.c.server.cfg.Log.Info("file transfer ended", "session", s.gate.ID, "error", err)
	}
}

// finishFiles ends the channel of a transfer.
func (s *session) finishFiles(status uint32) {
	if s.gate.Err() != nil {
		s.farewell()
		return
	}
	_ = s.gate.Answer(0, wire.AppendEnd(nil, status)) // an error ends the session, which says so
}

// openFiles asks for the session itself, which reads nothing yet, and starts the
// host's file server.
func (s *session) openFiles(ctx context.Context, kind, text string) (*files, io.Reader, bool) {
	s.facts = &Facts{Kind: kind, Login: s.gate.Target.Login, Operation: "start"}
	p, ok := s.judge(ctx, &gate.Command{Text: text, Effects: gate.EffectRead, Facts: s.facts, Follow: gate.FollowInput,
		Binding: s.binding(kind, text)}, nil)
	if !ok {
		return nil, nil, false
	}
	frames := wire.AppendRequest(s.preamble(), "subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"}))
	if !s.launch(p, frames) {
		return nil, nil, false
	}
	server := &serverOutput{s: s}
	if err := server.started(); err != nil {
		_ = s.gate.Effect(p.Command(), "not started: "+err.Error(), 0)
		b := wire.Append(wire.AppendReply(nil, true), wire.ErrorOutput, []byte("sallyport: the host does not serve SFTP, which file transfers need\n"))
		_ = s.gate.Answer(p.Command(), wire.AppendEnd(b, exitRefused))
		return nil, nil, false
	}
	if s.gate.Answer(p.Command(), wire.AppendReply(nil, true)) != nil {
		return nil, nil, false
	}
	return &files{s: s, kind: kind, commands: map[*sftp.Command]uint64{}, last: p.Command()}, server, true
}

func (f *files) config() sftp.Config {
	return sftp.Config{Judge: f, Resolver: f, Observer: f, Timeout: fileTimeout, Go: func(run func()) {
		go func() { // ends when reading from the host does
			defer f.s.c.recovered()
			run()
		}()
	}}
}

// toClient sends a frame to the agent. What of it is kept was put on record before.
func (f *files) toClient(frame []byte) error {
	f.mu.Lock()
	command := f.last
	f.mu.Unlock()
	return f.s.gate.AnswerContent(command, frame, nil)
}

// toServer sends a frame to the host's file server.
func (f *files) toServer(frame []byte) error { return f.s.forward(frame, nil) }

// Decide implements sftp.Judge.
func (f *files) Decide(ctx context.Context, c *sftp.Command) (sftp.Grant, error) {
	s := f.s
	facts := &Facts{Kind: f.kind, Login: s.gate.Target.Login, Operation: string(c.Operation)}
	var labels []string
	for i := range c.Paths {
		p := &c.Paths[i]
		real := p.Place.Real
		facts.Paths = append(facts.Paths, real)
		if p.Effects.Has(gate.EffectRead) && !onlyLooks(c.Operation) {
			facts.Reads = append(facts.Reads, real)
		}
		if p.Effects&^gate.EffectRead != 0 {
			facts.Writes = append(facts.Writes, real)
		}
		labels = append(labels, p.Place.Labels...)
		if p.Place.Kind == sftp.KindDirectory && p.Effects&^gate.EffectRead != 0 {
			labels = append(labels, f.below(real)...)
		}
	}
	slices.Sort(labels)
	cmd := &gate.Command{Text: f.kind + ": " + c.Text(), Effects: c.Effects(), Labels: slices.Compact(labels), Facts: facts,
		Binding: func() gate.Binding { return gate.Binding{Role: s.gate.Target.Login, Action: c.Action()} }}
	if c.Operation == sftp.OpOpen && c.Flags&sftp.FlagRead != 0 {
		cmd.Mask = s.unsearched(cmd.Labels, "a file on its way")
	}
	_, err := s.decide(ctx, cmd)
	f.mu.Lock()
	f.last = s.commands
	if err == nil {
		f.commands[c] = s.commands
	}
	f.mu.Unlock()
	var r *gate.Refusal
	if errors.As(err, &r) {
		// Clients show the status, and what is on standard error, but not the text.
		text := refusalText(r, []string{"it was: " + c.Text()})
		if err := s.gate.Answer(s.commands, wire.Append(nil, wire.ErrorOutput, text)); err != nil {
			return sftp.Grant{}, err
		}
		return sftp.Grant{}, &sftp.Refused{Message: r.Error() + " (" + r.Line() + ")"}
	}
	if err != nil {
		return sftp.Grant{}, err
	}
	grant := sftp.Grant{Read: sftp.NoLimit, Write: sftp.NoLimit, Record: contentKept}
	if l := s.gate.Target.Limits.Bytes; l > 0 {
		grant.Read, grant.Write = uint64(l), uint64(l)
	}
	return grant, nil
}

// onlyLooks are the operations that tell of a file's existence, size and times, and nothing
// of what is in it.
func onlyLooks(o sftp.Operation) bool {
	switch o {
	case sftp.OpStat, sftp.OpLstat, sftp.OpRealpath, sftp.OpReadlink, sftp.OpStatvfs, sftp.OpHome, sftp.OpExpand:
		return true
	}
	return false
}

// below returns the labels of places below a directory, which go where it goes.
func (f *files) below(dir string) (labels []string) {
	for label, patterns := range f.s.gate.Target.Marks {
		for _, p := range patterns {
			if rest, home := strings.CutPrefix(p, "~/"); home {
				p = f.home + "/" + rest
			}
			fixed, _, _ := strings.Cut(p, "*")
			if strings.HasPrefix(p, dir+"/") || strings.HasPrefix(dir+"/", fixed) {
				labels = append(labels, label)
			}
		}
	}
	return labels
}

// Resolve implements sftp.Resolver. Where nothing is labelled, the file server's own
// answers do; a label also holds for hard links, of which only the host knows.
func (f *files) Resolve(ctx context.Context, h *sftp.Host, paths []sftp.Path) error {
	if len(f.s.gate.Target.Marks) == 0 {
		return sftp.ByServer{}.Resolve(ctx, h, paths)
	}
	questions := make([]hostpath.Question, len(paths))
	for i := range paths {
		questions[i] = hostpath.Question{Name: paths[i].Absolute, Use: useOf(&paths[i]), Follow: paths[i].Follow}
	}
	answers, err := f.s.ask(ctx, questions)
	if err != nil {
		if f.s.gate.Err() != nil {
			return err
		}
		why := "the host gives no answer"
		if errors.Is(err, hostpath.ErrName) {
			why = hostpath.ErrName.Error()
		}
		return f.untold(&paths[0], why)
	}
	f.home = answers.Home
	for i := range paths {
		a := answers.List[i]
		if a.Refused != "" || len(a.Places) != 1 {
			return f.untold(&paths[i], a.Refused)
		}
		if p := &a.Places[0]; p.Refused != "" || p.Real == "" {
			return f.untold(&paths[i], p.Refused)
		}
		paths[i].Place = placeOf(&a.Places[0])
	}
	return nil
}

// untold refuses a path of which the host cannot tell what it names. Clients do not
// show the text of a status, so it stands on standard error, too.
func (f *files) untold(p *sftp.Path, why string) error {
	message := "it cannot be told what the path names"
	if why != "" {
		message += ": " + why
	}
	text := fmt.Appendf(nil, "sallyport: %s: %s\n", sftp.Escape(p.Given), clean(message))
	if err := f.s.gate.Answer(f.s.commands, wire.Append(nil, wire.ErrorOutput, text)); err != nil {
		return err
	}
	return &sftp.Refused{Message: message}
}

func useOf(p *sftp.Path) hostpath.Use {
	switch {
	case p.Effects.Has(gate.EffectDelete), p.Role == sftp.RoleSource:
		return hostpath.Delete // a rename takes the name away from all that is reached by it
	case p.Effects.Has(gate.EffectWrite) && p.Role == sftp.RoleDestination:
		return hostpath.Create
	case p.Effects.Has(gate.EffectWrite):
		return hostpath.Write
	default:
		return hostpath.Read
	}
}

func placeOf(h *hostpath.Place) sftp.Place {
	p := sftp.Place{Real: h.Real, Device: h.Identity.Device, Inode: h.Identity.Inode, Links: h.Links, Labels: h.Labels}
	switch h.Kind {
	case hostpath.Missing:
		p.Kind = sftp.KindAbsent
	case hostpath.File:
		p.Kind = sftp.KindRegular
	case hostpath.Directory:
		p.Kind = sftp.KindDirectory
	case hostpath.Link:
		p.Kind = sftp.KindSymlink
	default:
		p.Kind = sftp.KindOther
	}
	return p
}

// Content implements sftp.Observer.
func (f *files) Content(_ *sftp.File, d sftp.Direction, data []byte) error {
	f.mu.Lock()
	command := f.last
	f.mu.Unlock()
	if d == sftp.Upload {
		return f.s.gate.Keep(command, true, wire.Append(nil, wire.Input, data))
	}
	return f.s.gate.Keep(command, false, wire.Append(nil, wire.Output, data))
}

// Closed implements sftp.Observer: what a file carried is the effect of opening it.
func (f *files) Closed(r *sftp.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "closed %s", sftp.Escape(r.File.Place.Real))
	for _, part := range []struct {
		word string
		sum  sftp.Summary
	}{{"downloaded", r.Downloaded}, {"uploaded", r.Uploaded}} {
		if part.sum.Bytes+part.sum.Copied == 0 {
			continue
		}
		fmt.Fprintf(&b, ", %s %d bytes sha256=%s", part.word, part.sum.Bytes, part.sum.SHA256)
		if !part.sum.InOrder || part.sum.First != 0 {
			b.WriteString(" (not the whole file in order)")
		}
		if part.sum.Failed > 0 {
			fmt.Fprintf(&b, ", %d writes of it failed at the host", part.sum.Failed)
		}
		if part.sum.Bytes > part.sum.Recorded {
			fmt.Fprintf(&b, ", the first %d on record", part.sum.Recorded)
		}
		if part.sum.Copied > 0 {
			fmt.Fprintf(&b, ", %d more copied at the host", part.sum.Copied)
		}
	}
	f.mu.Lock()
	command := f.commands[r.File.Command]
	delete(f.commands, r.File.Command)
	f.mu.Unlock()
	return f.s.gate.Effect(command, b.String(), 0)
}

// Done implements sftp.Observer.
func (f *files) Done(c *sftp.Command, code sftp.Code, note string) error {
	f.mu.Lock()
	command := f.commands[c]
	if code != sftp.OK || c.Operation != sftp.OpOpen && c.Operation != sftp.OpList {
		delete(f.commands, c) // an open file's command is needed when it is closed
	}
	f.mu.Unlock()
	text := fmt.Sprintf("status %d", code)
	if note != "" {
		text += ": " + note
	}
	return f.s.gate.Effect(command, text, 0)
}

// Refused implements sftp.Observer.
func (f *files) Refused(what string) error {
	return f.s.gate.Effect(0, "refused by the gateway: "+what, 0)
}

// chunks sends what is written as a frame.
type chunks struct {
	send func(frame []byte) error
	buf  []byte
}

// Write implements io.Writer.
func (c *chunks) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := min(len(rest), pumpLarge)
		c.buf = wire.Append(c.buf[:0], wire.Output, rest[:n])
		if err := c.send(c.buf); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(b), nil
}

// stopper is the way to the host's file server that ends it when it is closed.
type stopper struct {
	packets
	s *session
}

// Close implements io.Closer.
func (w *stopper) Close() error {
	w.s.up.Interrupt()
	return nil
}

// serverOutput reads what the host's file server says from the session's frames.
type serverOutput struct {
	s    *session
	buf  *[]byte // from relayBuffers, while there is something in it
	rest []byte  // of the last Output
	end  error
}

var errNotStarted = errors.New("the host has no sftp subsystem")

// started waits until the host has started the subsystem.
func (o *serverOutput) started() error {
	for {
		f, err := o.frame()
		if err != nil {
			return err
		}
		switch f.Kind {
		case wire.Opened:
		case wire.Reply:
			if ok, err := wire.DecodeReply(f.Payload); err != nil || !ok {
				return errNotStarted
			}
			return nil
		default:
			return errNotStarted
		}
	}
}

// frame returns the next frame; the stream gives one at a time but for the last ones.
func (o *serverOutput) frame() (wire.Frame, error) {
	if o.buf == nil {
		o.buf = relayBuffers.Get().(*[]byte)
	}
	n, err := o.s.up.Read(*o.buf)
	if err != nil {
		return wire.Frame{}, err
	}
	f, _, err := wire.Next((*o.buf)[:n])
	return f, err
}

// Read implements io.Reader.
func (o *serverOutput) Read(b []byte) (int, error) {
	for len(o.rest) == 0 {
		if o.end != nil {
			return 0, o.end
		}
		if o.buf != nil {
			relayBuffers.Put(o.buf)
			o.buf = nil
		}
		f, err := o.frame()
		switch {
		case err != nil:
			o.end = err
		case f.Kind == wire.Output:
			o.rest = f.Payload
		case f.Kind == wire.ErrorOutput: // the server's own words, which no client needs
		default:
			o.end = io.EOF
		}
	}
	n := copy(b, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}
