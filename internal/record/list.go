package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// MaxList bounds what one List returns.
const MaxList = 1000

// Filter picks recordings. The zero Filter picks all.
type Filter struct {
	// Agent and Target match exactly; empty matches any.
	Agent, Target string
	// Since and Until bound the start; zero is no bound.
	Since, Until time.Time
	// Live picks only sessions that are being recorded.
	Live bool
	// Blocked picks only sessions with a refused command.
	Blocked bool
	// Limit is how many to return at most. Zero and more than MaxList mean
	// MaxList.
	Limit int
}

func (f *Filter) match(s *Summary) bool {
	return (f.Agent == "" || f.Agent == s.Agent) && (f.Target == "" || f.Target == s.Target) &&
		(f.Since.IsZero() || !s.Started.Before(f.Since)) && (f.Until.IsZero() || s.Started.Before(f.Until)) &&
		(!f.Live || s.Live) && (!f.Blocked || s.Blocked > 0)
}

// List returns the summaries of the recordings in a folder, newest start first.
// It reads only ends and block headers. A recording that cannot be summed up is
// left out and joined into the error, next to the summaries of the others.
func List(dir string, f Filter) ([]Summary, error) {
	if f.Limit <= 0 || f.Limit > MaxList {
		f.Limit = MaxList
	}
	names, err := scan(dir)
	if err != nil {
		return nil, err
	}
	var list []Summary
	var failed []error
	for _, n := range names {
		// Nothing starts after its last write: what is left here is older than
		// everything that is already listed.
		if len(list) == f.Limit && n.written.Before(list[f.Limit-1].Started) {
			break
		}
		if !f.Since.IsZero() && n.written.Before(f.Since) {
			break
		}
		s, err := Summarise(dir, n.id)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) && len(failed) < 16 {
				failed = append(failed, err)
			}
			continue
		}
		if !f.match(&s) {
			continue
		}
		at, _ := slices.BinarySearchFunc(list, s, newestFirst)
		list = slices.Insert(list, at, s)
		if len(list) > f.Limit {
			list = list[:f.Limit]
		}
	}
	return list, errors.Join(failed...)
}

func newestFirst(a, b Summary) int {
	if c := b.Started.Compare(a.Started); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

type named struct {
	id      string
	written time.Time
	open    bool // has a tail
}

// scan lists the recordings of a folder by their last write, newest first.
func scan(dir string) ([]named, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	found := make(map[string]named, len(entries))
	for _, e := range entries {
		id, ext, ok := idOf(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		i, err := e.Info()
		if err != nil {
			continue // closed or removed since
		}
		n := found[id]
		n.id, n.open = id, n.open || ext != recExt
		if i.ModTime().After(n.written) {
			n.written = i.ModTime()
		}
		found[id] = n
	}
	list := make([]named, 0, len(found))
	for _, n := range found {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b named) int { return b.written.Compare(a.written) })
	return list, nil
}

// Summarise returns the summary of one recording without reading it whole.
func Summarise(dir, id string) (Summary, error) {
	if err := checkID(id); err != nil {
		return Summary{}, err
	}
	if s, ok := finished(filepath.Join(dir, id+recExt), id); ok {
		return s, nil
	}
	r, err := Open(dir, id)
	if err != nil {
		return Summary{}, err
	}
	defer r.Close()
	return r.sumUp()
}

// finished reads the summary at the end of a finished recording.
func finished(name, id string) (Summary, bool) {
	var s Summary
	f, err := os.Open(name)
	if err != nil {
		return s, false
	}
	defer func() { _ = f.Close() }()
	i, err := f.Stat()
	if err != nil {
		return s, false
	}
	// One read has the summary of nearly every session.
	last := make([]byte, min(i.Size(), 4<<10))
	from := i.Size() - int64(len(last))
	if _, err := f.ReadAt(last, from); err != nil || len(last) < trailerSize {
		return s, false
	}
	off, ok := parseTrailer(last[len(last)-trailerSize:])
	end := i.Size() - trailerSize
	if !ok || off < magicSize || off+blockHead > end || end-off > blockHead+maxSummary {
		return s, false
	}
	raw := make([]byte, end-off)
	if off >= from {
		copy(raw, last[off-from:])
	} else if _, err := f.ReadAt(raw, off); err != nil {
		return s, false
	}
	b, err := parseBlock(raw)
	if err != nil || b.magic != summaryBlock || int(b.stored) != len(raw)-blockHead {
		return s, false
	}
	if _, err := b.unpack(nil, raw[blockHead:]); err != nil {
		return s, false
	}
	if json.Unmarshal(raw[blockHead:], &s) != nil || s.ID != id {
		return s, false
	}
	s.Size, s.Live = i.Size(), false
	return s, true
}

// sumUp walks the block headers and reads only what comes after them.
func (r *Reader) sumUp() (Summary, error) {
	for r.rec != nil && r.more() {
		b, err := r.header()
		if err != nil || b.magic != frameBlock {
			break
		}
		r.at += blockHead + int64(b.stored)
		r.next, r.counts, r.before = b.next, b.counts, b.counts.Unknown
		r.frames = nil
	}
	var d *DamageError
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return r.Summary(), nil
		} else if err != nil && !errors.As(err, &d) {
			return Summary{}, err
		}
	}
}
