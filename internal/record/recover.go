package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
)

// maxUnknown bounds the commands that one recovery names; a frame has no room
// for more. The summary counts all.
const maxUnknown = maxPayload/binary.MaxVarintLen64 - 1

// Recovered says what became of one recording that a crash, or a full disk,
// left without an end.
type Recovered struct {
	ID string
	// Unknown are the commands that were forwarded and whose effect is not on
	// record: nobody can say from the recording whether they ran.
	Unknown []uint64
	// Err is why the recording could not be finished. Its files are as they
	// were, and can be read.
	Err error
}

// Recover finishes every recording of a folder that has no end: its tail is
// compressed, commands with unknown outcome are named, a summary is written. It
// must run before New, while no recorder has the folder.
func Recover(dir string) ([]Recovered, error) {
	if folderLive(dir) {
		return nil, fmt.Errorf("record: %s is in use by another gateway", dir)
	}
	names, err := scan(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var done []Recovered
	for _, n := range names {
		if n.open {
			unknown, err := recoverOne(dir, n.id)
			done = append(done, Recovered{n.id, unknown, err})
		}
	}
	return done, nil
}

func recoverOne(dir, id string) ([]uint64, error) {
	r, err := Open(dir, id)
	if errors.Is(err, fs.ErrNotExist) {
		// Not even the start was committed, so the session never opened.
		return nil, removeTails(dir, id)
	}
	if err != nil {
		return nil, errors.Join(err, retire(dir, id))
	}
	defer r.Close()
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, retire(dir, id))
	}
	if r.final != nil { // killed between the summary and the removal
		return nil, removeTails(dir, id)
	}
	unknown := slices.Sorted(maps.Keys(r.open))
	if err := r.finish(unknown); err != nil {
		return unknown, fmt.Errorf("record: recover %s: %w", id, err)
	}
	return unknown, removeTails(dir, id)
}

// finish writes the tail as a block, the unknown commands and the summary.
func (r *Reader) finish(unknown []uint64) error {
	raw, first, err := r.tailFrames()
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		first = r.next
	}
	listed := unknown[:min(len(unknown), maxUnknown)]
	payload := binary.AppendUvarint(nil, uint64(len(listed)))
	for _, n := range listed {
		payload = binary.AppendUvarint(payload, n)
	}
	raw = appendFrame(raw, frame{kind: kindRecovered, seq: r.next, micros: r.counts.Micros, payload: payload})
	c := r.counts
	c.Unknown = uint64(len(unknown))
	dst := getPacked()
	defer putPacked(dst)
	out := packBlock(*dst, raw, block{first: first, next: r.next + 1, counts: c})

	f, err := os.OpenFile(r.path(recExt), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if r.rec == nil {
		out = append([]byte(recMagic), out...)
		r.at = 0
	}
	// Behind the last whole block there is at most the beginning of another
	// one, whose frames are in the tail or were never committed.
	if err := f.Truncate(r.at); err != nil {
		return err
	}
	s := r.Summary()
	s.Live, s.Complete, s.Size, s.Unknown = false, false, 0, c.Unknown
	if s.Ended.IsZero() {
		s.Ended = s.Started.Add(micros(c.Micros))
	}
	end, err := packSummary(&s, r.next+1, c, r.at+int64(len(out)))
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(append(out, end...), r.at); err != nil {
		return errors.Join(err, f.Truncate(r.at))
	}
	return f.Sync()
}

// tailFrames returns the whole frames of the tail and the first one's number.
func (r *Reader) tailFrames() (raw []byte, first uint64, err error) {
	if r.tail == nil {
		return nil, 0, nil
	}
	b := make([]byte, maxTail)
	n, err := r.tail.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	b = b[min(magicSize, n):n]
	end := 0
	for {
		f, n, err := nextFrame(b[end:])
		if err != nil {
			return b[:end:end], first, nil
		}
		if end == 0 {
			first = f.seq
		}
		end += n
	}
}

func removeTails(dir, id string) error {
	r := Reader{dir: dir, id: id}
	for _, ext := range []string{tailExt, cutExt} {
		if err := os.Remove(r.path(ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("record: %w", err)
		}
	}
	return syncFolder(dir)
}

// retire renames the tail of a recording that cannot be finished, so that it is
// not taken for a live one.
func retire(dir, id string) error {
	r := Reader{dir: dir, id: id}
	if err := os.Rename(r.path(tailExt), r.path(cutExt)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}
