package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Renderer makes the bytes that an agent was answered readable. It belongs to
// one replay, sees the answers in order and keeps bounded state. The bytes are
// hostile.
type Renderer interface {
	// Render is given the next bytes that were answered to a command and calls
	// emit for what became complete. The kinds are "columns" (names of a new
	// result), "row" (a nil cell is NULL), "tag", "error", "notice", "text" and
	// "part" (the beginning of a text, which the next part or text goes on); an
	// unknown kind is shown as text. Cells are copied when emit returns. A cell
	// may hold anything: replay escapes it.
	Render(command uint64, answer []byte, emit func(kind string, cells [][]byte))
}

// InputRenderer is a Renderer that also knows the form of what agents send to a
// running command.
type InputRenderer interface {
	// RenderInput is given the next bytes of a command's input and calls emit for
	// each line to show. The text may hold anything: replay escapes it.
	RenderInput(command uint64, input []byte, emit func(text string))
}

// Defaults of ReplayOptions.
const (
	DefaultRows    = 10
	DefaultMaxIdle = 2 * time.Second
	DefaultWidth   = 40
)

// ReplayOptions says how Replay shows a recording. The zero value shows
// everything at once.
type ReplayOptions struct {
	// Speed is how many times faster than it happened; 1 is the original speed,
	// zero shows everything at once.
	Speed float64
	// MaxIdle bounds each pause. Zero means DefaultMaxIdle.
	MaxIdle time.Duration
	// Rows is how many rows of a result are shown. Zero means DefaultRows,
	// negative shows none.
	Rows int
	// Width is how many characters of a cell are shown. Zero means DefaultWidth.
	Width int
	// Follow waits for more at the end of a live session.
	Follow bool
	// Renderer makes the rows. Nil shows answers as escaped text.
	Renderer Renderer
	// Sleep waits in place of a timer. It returns ctx's error when that ends.
	Sleep func(ctx context.Context, d time.Duration) error
}

// followEvery is how often a followed session is looked at.
const followEvery = 250 * time.Millisecond

func (o *ReplayOptions) defaults() {
	if o.MaxIdle <= 0 {
		o.MaxIdle = DefaultMaxIdle
	}
	if o.Rows == 0 {
		o.Rows = DefaultRows
	}
	if o.Width <= 0 {
		o.Width = DefaultWidth
	}
	if o.Renderer == nil {
		o.Renderer = plain{}
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Replay shows a recording to a person: who, what target, every command with
// its time, decision and outcome, and what the agent was answered. It writes
// lines of printable characters only, whatever the recording holds. It returns
// nil at the end, ctx's error, or w's.
func Replay(ctx context.Context, w io.Writer, r *Reader, o ReplayOptions) error {
	o.defaults()
	var last time.Duration
	return o.play(ctx, r, func(at time.Duration, text []byte) error {
		if d := at - last; o.Speed > 0 && d > 0 {
			last = at
			if err := o.Sleep(ctx, min(time.Duration(float64(d)/o.Speed), o.MaxIdle)); err != nil {
				return err
			}
		}
		_, err := w.Write(text)
		return err
	})
}

// play gives the lines of each moment to show.
func (o *ReplayOptions) play(ctx context.Context, r *Reader, show func(time.Duration, []byte) error) error {
	p := &player{o: o, table: table{rows: o.Rows, width: o.Width}}
	p.header(r.Start())
	if err := show(0, p.take()); err != nil {
		return err
	}
	at, over := time.Duration(0), !o.Follow
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		var damage *DamageError
		switch {
		case errors.Is(err, io.EOF):
			if !over {
				// What was written before the end may have come after we looked:
				// the end itself is read once more.
				if over = !r.Live(); over {
					continue
				}
				if err := o.Sleep(ctx, followEvery); err != nil {
					return err
				}
				continue
			}
			p.end(r)
			return show(at, p.take())
		case errors.As(err, &damage):
			p.table.flush(&p.out)
			p.line("!! ", damage.Error())
		case err != nil:
			return err
		default:
			at = e.At
			p.entry(e)
		}
		if p.out.Len() > 0 {
			if err := show(at, p.take()); err != nil {
				return err
			}
		}
	}
}

// player words entries as lines. Everything in out is safe to show.
type player struct {
	o       *ReplayOptions
	out     bytes.Buffer
	table   table
	command uint64 // whose answer the table belongs to
	open    bool   // a text's line has no end yet
	ended   bool
}

// take returns what there is to show. It is valid until the next entry.
func (p *player) take() []byte {
	b := p.out.Bytes()
	p.out.Reset()
	return b
}

// maxLine bounds a shown line in characters, maxLines a shown command in lines.
const (
	maxLine  = 4000
	maxLines = 200
)

// line writes a fixed prefix and a text of the recording, on one line.
func (p *player) line(prefix, text string) {
	p.closeLine()
	p.out.WriteString(prefix)
	p.out.Write(appendSafe(p.out.AvailableBuffer(), text, maxLine))
	p.out.WriteByte('\n')
}

// part writes a text that more may follow on the same line.
func (p *player) part(text []byte) {
	if !p.open {
		p.out.WriteString("    : ")
		p.open = true
	}
	p.out.Write(appendSafe(p.out.AvailableBuffer(), text, maxLine))
}

// closeLine ends the line of a part.
func (p *player) closeLine() {
	if p.open {
		p.out.WriteByte('\n')
		p.open = false
	}
}

// lines writes a text whose own lines stay lines. They are indented deeper than
// anything that replay says itself, so that a command cannot pose as a decision.
func (p *player) lines(prefix, text string) {
	p.closeLine()
	p.out.WriteString(prefix)
	for n := 1; ; n++ {
		one, rest, again := strings.Cut(text, "\n")
		p.out.Write(appendSafe(p.out.AvailableBuffer(), one, maxLine))
		p.out.WriteByte('\n')
		if !again {
			return
		}
		text = rest
		p.out.WriteString("                  ")
		if n == maxLines {
			fmt.Fprintf(&p.out, "%s %d more lines\n", cutMark, 1+strings.Count(text, "\n"))
			return
		}
	}
}

func (p *player) field(name, format string, args ...any) {
	p.line(fmt.Sprintf("  %-12s", name), fmt.Sprintf(format, args...))
}

func (p *player) header(s Start) {
	p.line("session ", s.ID)
	p.field("agent", "%s (client %s)", s.Agent, s.ClientID)
	p.field("subject", "%s at %s", s.Subject.Subject, s.Subject.Issuer)
	if !s.Actor.IsZero() {
		p.field("actor", "%s at %s", s.Actor.Subject, s.Actor.Issuer)
	}
	for _, n := range slices.Sorted(maps.Keys(s.Attributes)) {
		a := s.Attributes[n]
		p.field("attribute", "%s = %s (%s)", n, a.Value, a.Trust)
	}
	p.field("target", "%s (%s)", s.Target, s.Protocol)
	p.field("from", "%s, user %s, application %s", s.Remote, s.User, s.Application)
	if s.Connection != "" {
		p.field("connection", "%s", s.Connection)
	}
	p.field("started", "%s", s.Started.Format(time.RFC3339Nano))
	p.out.WriteByte('\n')
}

func (p *player) entry(e *Entry) {
	ev := &e.Event
	if ev.Kind != gate.EventAnswer {
		p.table.flush(&p.out)
	}
	switch ev.Kind {
	case gate.EventCommand:
		p.commandEntry(e)
	case gate.EventInput:
		if in, ok := p.o.Renderer.(InputRenderer); ok {
			in.RenderInput(ev.Command, ev.Data, func(text string) { p.line("    < ", text) })
			break
		}
		p.line("    < ", preview(ev.Data))
	case gate.EventAnswer:
		if ev.Command != p.command {
			p.table.flush(&p.out)
			p.command = ev.Command
		}
		p.o.Renderer.Render(ev.Command, ev.Data, p.emit)
	case gate.EventEffect:
		p.line("    = ", fmt.Sprintf("#%d %s, %d rows", ev.Command, ev.Text, ev.Rows))
	case gate.EventHold:
		p.line("    ~ ", fmt.Sprintf("[%s] #%d held: %s", clock(e.At), ev.Command, ev.Text))
	case gate.EventInquiry:
		p.line("    ? ", fmt.Sprintf("[%s] #%d asked the target: %s", clock(e.At), ev.Command, ev.Text))
	case gate.EventEnd:
		p.ended = true
		p.line("\n", fmt.Sprintf("[%s] session ended: %s", clock(e.At), ev.Text))
	}
	for _, n := range e.Unknown {
		p.line("!! ", fmt.Sprintf("outcome of #%d unknown: it was forwarded and the gateway stopped before its effect", n))
	}
	if e.Note != "" {
		p.line("!! ", e.Note)
	}
}

func (p *player) commandEntry(e *Entry) {
	ev := &e.Event
	p.lines(fmt.Sprintf("[%s] #%d ", clock(e.At), ev.Command), ev.Text)
	if e.Cut {
		p.line("    ! ", "the command is longer than replay shows")
	}
	for i, param := range ev.Params {
		if i == 50 {
			p.line("      ", fmt.Sprintf("and %d more parameters", len(ev.Params)-i))
			break
		}
		p.line(fmt.Sprintf("      $%d = ", i+1), cutText(param))
	}
	decision := "block"
	var rule, reason string
	if v := ev.Verdict; v != nil {
		decision, rule, reason = v.Decision.String(), v.Rule, v.Reason
	}
	var b strings.Builder
	b.WriteString(decision)
	if ev.Status != "" {
		fmt.Fprintf(&b, " (%s)", ev.Status)
	}
	if ev.Phase == gate.Prepare {
		b.WriteString(", prepared only")
	}
	fmt.Fprintf(&b, "; effects %s", ev.Effects)
	if rule != "" {
		fmt.Fprintf(&b, "; rule %s", rule)
	}
	if reason != "" {
		fmt.Fprintf(&b, "; %s", reason)
	}
	if len(ev.Labels) > 0 {
		fmt.Fprintf(&b, "; labels %s", strings.Join(ev.Labels, ", "))
	}
	if ev.Verdict != nil && len(ev.Verdict.Masks) > 0 {
		b.WriteString("; masks")
		for _, l := range slices.Sorted(maps.Keys(ev.Verdict.Masks)) {
			fmt.Fprintf(&b, " %s=%s", l, ev.Verdict.Masks[l])
		}
	}
	p.line("    > ", b.String())
}

func (p *player) emit(kind string, cells [][]byte) {
	if kind == "part" || kind == "text" && p.open {
		p.table.flush(&p.out)
		for _, c := range cells {
			p.part(c)
		}
		if kind == "text" {
			p.closeLine()
		}
		return
	}
	p.closeLine()
	switch kind {
	case "columns":
		p.table.flush(&p.out)
		p.table.columns(cells)
	case "row":
		p.table.row(cells)
	default:
		p.table.flush(&p.out)
		mark := map[string]string{"tag": "    = ", "error": "    ! error: ", "notice": "    ! notice: "}[kind]
		if mark == "" {
			mark = "    : "
		}
		for _, c := range cells {
			p.line(mark, preview(c))
		}
	}
}

func (p *player) end(r *Reader) {
	p.table.flush(&p.out)
	p.closeLine()
	s := r.Summary()
	if s.Live {
		p.line("\n", "the session goes on")
	} else if !p.ended {
		p.line("\n!! ", "the recording ends without an end event ("+s.Cause+")")
	}
	if r.Truncated() && !s.Live {
		p.line("!! ", "its last event was being written and is incomplete; it had not been committed")
	}
	p.field("commands", "%d, of which %d blocked and %d held; outcome unknown: %d", s.Commands, s.Blocked, s.Held, s.Unknown)
}

// preview returns the beginning of data that is not understood.
func preview(b []byte) string {
	const most = 512
	if len(b) <= most {
		return string(b)
	}
	return fmt.Sprintf("%s %s (%d bytes more)", b[:most], cutMark, len(b)-most)
}

// cutText cuts a parameter for display, visibly.
func cutText(s string) string { return preview([]byte(s)) }

// clock words a time since the start.
func clock(d time.Duration) string {
	m := d.Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d.%03d", m/3600000, m/60000%60, m/1000%60, m%1000)
}

// plain is the Renderer of last resort.
type plain struct{}

func (plain) Render(_ uint64, answer []byte, emit func(string, [][]byte)) {
	emit("text", [][]byte{answer})
}
