package record

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Format is a format of Export.
type Format string

const (
	// FormatJSONL is one JSON document per line: the start, then every event,
	// then the summary, in ASCII alone.
	FormatJSONL Format = "jsonl"
	// FormatAsciicast is what Replay shows, with its times, as asciicast v2.
	FormatAsciicast Format = "asciicast"
	// FormatText is what Replay shows at once.
	FormatText Format = "text"
)

// Export writes a recording in another format. Options say how the rows of
// asciicast and text look; jsonl is complete and takes none.
func Export(ctx context.Context, w io.Writer, r *Reader, f Format, o ReplayOptions) error {
	o.defaults()
	o.Follow, o.Speed = false, 0
	b := bufio.NewWriterSize(w, 32<<10)
	var err error
	switch f {
	case FormatJSONL:
		err = exportJSONL(ctx, b, r)
	case FormatAsciicast:
		err = exportAsciicast(ctx, b, r, &o)
	case FormatText:
		err = Replay(ctx, b, r, o)
	default:
		return fmt.Errorf("record: unknown export format %.40q: jsonl, asciicast or text", f)
	}
	return errors.Join(err, b.Flush())
}

// beat is how often a reader of Follow hears something.
const beat = 10 * time.Second

// Follow writes what Replay shows of a session as FormatAsciicast, each moment as
// it comes, until the session ends. While nothing happens an empty line comes every
// ten seconds, so that neither side takes the other for gone; players skip it. It
// returns nil at the end of the session, ctx's error, or w's.
func Follow(ctx context.Context, w io.Writer, r *Reader, o ReplayOptions) error {
	o.defaults()
	o.Follow, o.Speed = true, 0
	nap, waited := o.Sleep, time.Duration(0)
	o.Sleep = func(ctx context.Context, d time.Duration) error {
		if waited += d; waited >= beat {
			waited = 0
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		return nap(ctx, d)
	}
	return exportAsciicast(ctx, w, r, &o)
}

// exported is one line of FormatJSONL.
type exported struct {
	Event   string    `json:"event"`
	Session string    `json:"session"`
	Seq     uint64    `json:"seq,omitempty"`
	Time    time.Time `json:"time,omitzero"`
	// Micros is the time since the session's start.
	Micros   int64             `json:"micros,omitempty"`
	Command  uint64            `json:"command,omitempty"`
	Text     string            `json:"text,omitempty"`
	TextRaw  []byte            `json:"text_base64,omitempty"` // where text is not UTF-8
	Params   []string          `json:"params,omitempty"`
	ParamRaw [][]byte          `json:"params_base64,omitempty"`
	Phase    string            `json:"phase,omitempty"`
	Effects  []string          `json:"effects,omitempty"`
	Labels   []string          `json:"labels,omitempty"`
	Decision string            `json:"decision,omitempty"`
	Rule     string            `json:"rule,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Masks    map[string]string `json:"masks,omitempty"`
	Status   string            `json:"status,omitempty"`
	Rows     *int64            `json:"rows,omitempty"`
	Data     []byte            `json:"data_base64,omitempty"`
	Unknown  []uint64          `json:"unknown,omitempty"`
	Cut      bool              `json:"cut,omitempty"`
	Note     string            `json:"note,omitempty"`
	Start    *Start            `json:"start,omitempty"`
	Summary  *Summary          `json:"summary,omitempty"`
}

func exportJSONL(ctx context.Context, w io.Writer, r *Reader) error {
	st := r.Start()
	if err := writeLine(w, exported{Event: "start", Session: st.ID, Time: st.Started, Start: &st}); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := r.Next()
		var damage *DamageError
		line := exported{Session: st.ID}
		switch {
		case errors.Is(err, io.EOF):
			s := r.Summary()
			line.Event, line.Summary = "summary", &s
			return writeLine(w, line)
		case errors.As(err, &damage):
			line.Event, line.Note = "damage", damage.Error()
		case err != nil:
			return err
		default:
			line.fill(e)
		}
		if err := writeLine(w, line); err != nil {
			return err
		}
	}
}

func (x *exported) fill(e *Entry) {
	ev := &e.Event
	x.Event = kindName(ev.Kind)
	if len(e.Unknown) > 0 {
		x.Event = "recovered"
	}
	x.Seq, x.Time, x.Micros, x.Command = e.Seq, ev.Time, e.At.Microseconds(), ev.Command
	x.Status, x.Data, x.Unknown, x.Cut, x.Note = string(ev.Status), ev.Data, e.Unknown, e.Cut, e.Note
	x.Text = ev.Text
	if !utf8.ValidString(ev.Text) {
		x.Text, x.TextRaw = "", []byte(ev.Text)
	}
	x.Params = ev.Params
	for _, p := range ev.Params {
		if !utf8.ValidString(p) {
			x.Params = nil
		}
	}
	if x.Params == nil {
		for _, p := range ev.Params {
			x.ParamRaw = append(x.ParamRaw, []byte(p))
		}
	}
	switch ev.Kind {
	case gate.EventEffect:
		x.Rows = &ev.Rows
	case gate.EventCommand:
		x.Effects, x.Labels, x.Decision, x.Phase = ev.Effects.List(), ev.Labels, gate.Block.String(), "run"
		if ev.Phase == gate.Prepare {
			x.Phase = "prepare"
		}
		if v := ev.Verdict; v != nil {
			x.Decision, x.Rule, x.Reason, x.Masks = v.Decision.String(), v.Rule, v.Reason, v.Masks
		}
	}
}

func kindName(k gate.EventKind) string {
	switch k {
	case gate.EventCommand:
		return "command"
	case gate.EventInput:
		return "input"
	case gate.EventAnswer:
		return "answer"
	case gate.EventEffect:
		return "effect"
	case gate.EventHold:
		return "hold"
	case gate.EventEnd:
		return "end"
	case gate.EventInquiry:
		return "inquiry"
	}
	return "unknown"
}

// writeLine writes v as one line of ASCII: no reader of lines, log shipper or
// terminal can take part of a value for something else.
func writeLine(w io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("record: export: %w", err)
	}
	out := make([]byte, 0, len(raw)+len(raw)/8+1)
	for len(raw) > 0 {
		if c := raw[0]; c < 0x7f {
			out = append(out, c)
			raw = raw[1:]
			continue
		}
		r, n := utf8.DecodeRune(raw)
		raw = raw[n:]
		if r > 0xffff {
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
			continue
		}
		out = fmt.Appendf(out, `\u%04x`, r)
	}
	_, err = w.Write(append(out, '\n'))
	return err
}

// exportAsciicast writes what Replay shows as asciicast v2: a header and
// [seconds, "o", text] per moment.
func exportAsciicast(ctx context.Context, w io.Writer, r *Reader, o *ReplayOptions) error {
	st := r.Start()
	head := map[string]any{"version": 2, "width": 120, "height": 36, "timestamp": st.Started.Unix(),
		"idle_time_limit": o.MaxIdle.Seconds(), "title": Safe("sallyport " + st.ID + " " + st.Agent + " on " + st.Target)}
	if err := writeLine(w, head); err != nil {
		return err
	}
	return o.play(ctx, r, func(at time.Duration, text []byte) error {
		return writeLine(w, []any{at.Seconds(), "o", strings.ReplaceAll(string(text), "\n", "\r\n")})
	})
}
