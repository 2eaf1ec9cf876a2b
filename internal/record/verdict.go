package record

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// The judgement of a command (phase, effects, labels, status, verdict) mostly
// repeats, so it is written once into one of a few slots and then named by the
// slot's number. Writer and reader keep the same slots.
const (
	slotCount  = 16
	slotDefine = 0x80 // the judgement follows; the low bits name its slot
	// maxJudgement bounds one judgement, so that it always fits in the first
	// frame of its event. Rules and messages come from documents; the longest
	// reason is worded by the gateway around a column name.
	maxJudgement = 32 << 10
)

// Flags of a command, so that it can be counted without its slot.
const (
	flagRuns    = 1 << iota // forwarded, and an effect is to come
	flagBlocked             // refused for good
	flagHeld                // a rule held it for a person
)

func commandFlags(e *gate.Event) (flags byte) {
	if e.Verdict != nil && e.Verdict.Decision == gate.Hold {
		flags |= flagHeld
	}
	switch {
	case e.Status == gate.StatusBlocked || e.Status == gate.StatusApprovalDenied:
		flags |= flagBlocked
	case e.Status == "" && e.Phase == gate.Run:
		flags |= flagRuns
	}
	return flags
}

// add counts one command.
func (c *counts) add(flags byte) {
	c.Commands++
	if flags&flagBlocked != 0 {
		c.Blocked++
	}
	if flags&flagHeld != 0 {
		c.Held++
	}
}

// judgementSize returns at least the encoded size.
func judgementSize(e *gate.Event) int {
	n := 64 + len(e.Status)
	for _, l := range e.Labels {
		n += len(l) + 5
	}
	if v := e.Verdict; v != nil {
		n += len(v.Rule) + len(v.Reason)
		for k, m := range v.Masks {
			n += len(k) + len(m) + 10
		}
		for _, g := range v.Approval.Groups {
			n += len(g) + 5
		}
	}
	return n
}

func appendJudgement(b []byte, e *gate.Event) []byte {
	b = append(b, byte(e.Phase))
	b = binary.LittleEndian.AppendUint16(b, uint16(e.Effects))
	b = appendString(b, string(e.Status))
	b = appendStrings(b, e.Labels)
	v := e.Verdict
	if v == nil {
		return append(b, 0)
	}
	b = append(b, 1, byte(v.Decision))
	b = appendString(b, v.Rule)
	b = appendString(b, v.Reason)
	b = appendMasks(b, v.Masks)
	b = appendStrings(b, v.Approval.Groups)
	b = binary.AppendVarint(b, int64(v.Approval.Count))
	b = binary.AppendVarint(b, int64(v.Approval.Within))
	if v.Stable {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendStrings(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

// appendMasks writes the masks in the order of their labels, so that equal
// verdicts have equal bytes. It does not allocate for up to 16 labels.
func appendMasks(b []byte, m gate.Masks) []byte {
	var room [16]string
	labels := room[:0]
	for l := range m {
		labels = append(labels, l)
	}
	slices.Sort(labels)
	b = binary.AppendUvarint(b, uint64(len(labels)))
	for _, l := range labels {
		b = appendString(b, l)
		b = appendString(b, m[l])
	}
	return b
}

// judgement is what a slot of the reader holds. Its slices and maps are shared
// by all events that name the slot.
type judgement struct {
	phase   gate.Phase
	effects gate.Effects
	status  gate.Status
	labels  []string
	verdict *gate.Verdict
}

func decodeJudgement(b []byte) (*judgement, error) {
	d := decoder{b: b}
	j := &judgement{phase: gate.Phase(d.byte())}
	j.effects = gate.Effects(d.byte()) | gate.Effects(d.byte())<<8
	j.status = gate.Status(d.string())
	j.labels = d.strings()
	if d.byte() == 1 {
		v := &gate.Verdict{Decision: gate.Decision(d.byte()), Rule: d.string(), Reason: d.string()}
		if n := d.count(); n > 0 {
			v.Masks = make(gate.Masks)
			for range n {
				label := d.string()
				v.Masks[label] = d.string()
			}
		}
		v.Approval = gate.Approval{Groups: d.strings(), Count: int(d.varint()), Within: time.Duration(d.varint())}
		v.Stable = d.byte() == 1
		j.verdict = v
	}
	if d.err == nil && len(d.b) != 0 {
		d.err = fmt.Errorf("%d bytes too many in a decision", len(d.b))
	}
	return j, d.err
}

func (d *decoder) strings() []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	list := make([]string, 0, min(n, 64))
	for range n {
		list = append(list, d.string())
		if d.err != nil {
			return nil
		}
	}
	return list
}
