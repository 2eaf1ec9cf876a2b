package record

import (
	"errors"
	"fmt"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// maxParams bounds the parameters a reader gives: PostgreSQL's Bind counts them
// with 16 bits.
const maxParams = 1 << 16

// decode fills in e from the frame of an event and keeps the counts.
func (r *Reader) decode(e *Entry, f frame) error {
	ev := &e.Event
	ev.Kind = gate.EventKind(f.kind)
	d := decoder{b: f.payload}
	switch ev.Kind {
	case gate.EventCommand:
		return r.decodeCommand(e, &d)
	case gate.EventInput, gate.EventAnswer:
		ev.Data = f.payload
		if ev.Kind == gate.EventAnswer {
			r.counts.Bytes += uint64(len(f.payload))
		}
	case gate.EventEffect:
		ev.Rows = d.varint()
		ev.Text = string(d.b)
		if r.open[f.command] {
			delete(r.open, f.command)
		} else if r.before > 0 {
			r.before-- // of a command in the part that was stepped over
		}
	case gate.EventHold, gate.EventInquiry, gate.EventEnd:
		ev.Text = string(d.b)
		if ev.Kind == gate.EventEnd {
			r.cause = ev.Text
		}
	case kindRecovered:
		ev.Kind = 0
		for range d.count() {
			e.Unknown = append(e.Unknown, d.uvarint())
		}
	default:
		return errors.New("of a kind that this version does not know")
	}
	return d.err
}

func (r *Reader) decodeCommand(e *Entry, d *decoder) error {
	ev := &e.Event
	flags := d.byte()
	r.counts.add(flags)
	if flags&flagRuns != 0 && len(r.open) < maxOpenRead {
		r.open[ev.Command] = true
	}
	j, err := r.judgement(d)
	if err != nil {
		e.Note = err.Error() // the text is still worth showing
		j = &judgement{effects: gate.EffectUnknown}
	}
	ev.Phase, ev.Effects, ev.Labels, ev.Status, ev.Verdict = j.phase, j.effects, j.labels, j.status, j.verdict
	if e.Cut {
		ev.Text = d.partial()
	} else {
		ev.Text = d.string()
	}
	for range min(d.count(), maxParams) {
		if e.Cut {
			ev.Params = append(ev.Params, d.partial())
		} else {
			ev.Params = append(ev.Params, d.string())
		}
	}
	if e.Cut {
		return nil
	}
	return d.err
}

// partial reads a string whose end may be missing.
func (d *decoder) partial() string {
	n := d.uvarint()
	v := d.b[:min(n, uint64(len(d.b)))]
	d.b = d.b[len(v):]
	return string(v)
}

// maxOpenRead bounds the commands without an effect that a reader remembers. A
// writer waits for maxOpen; many more is a recording gone wrong.
const maxOpenRead = 64 * maxOpen

// judgement reads a slot's number, or a slot's new content.
func (r *Reader) judgement(d *decoder) (*judgement, error) {
	slot := d.byte()
	if n := slot &^ slotDefine; n >= slotCount {
		return nil, fmt.Errorf("decision in slot %d", n)
	}
	if slot&slotDefine == 0 {
		if j := r.slots[slot]; j != nil {
			return j, d.err
		}
		return nil, errors.New("the decision was in a part that is missing")
	}
	j, err := decodeJudgement(d.bytes())
	if err == nil {
		err = d.err
	}
	if err != nil {
		return nil, fmt.Errorf("decision: %w", err)
	}
	r.slots[slot&^slotDefine] = j
	return j, nil
}
