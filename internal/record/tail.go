package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
)

// mapAfter is how many appends without a rest make a tail busy.
const mapAfter = 16

// tail is the file with the frames that are in no block yet. While its session is
// busy the file is mapped, and an append is a copy into the kernel's page cache,
// which outlives the process as a write(2) does. The file's blocks are allocated
// before that, so a full disk is found by an error. Behind the frames of a mapped
// tail there are zeros.
type tail struct {
	file   file
	size   int64  // up to the end of the last frame
	mem    []byte // the file, tailLimit bytes long; nil while it is not mapped
	recent int    // appends since the last rest, up to mapAfter
	plain  bool   // it cannot be mapped
}

// begin writes the magic.
func (t *tail) begin() error {
	if _, err := t.file.WriteAt([]byte(tailMagic), 0); err != nil {
		return err
	}
	t.size = magicSize
	return nil
}

// empty reports whether there is no frame.
func (t *tail) empty() bool { return t.size == magicSize }

// append adds frames. There must be room: size and the frames take at most
// tailLimit. After an error they are not in the file.
func (t *tail) append(b []byte) error {
	if t.recent < mapAfter {
		t.recent++
	} else if t.mem == nil && !t.plain {
		t.mem = mapTail(t.file)
		t.plain = t.mem == nil
	}
	if t.mem != nil {
		if err := t.put(b); err != nil {
			return err
		}
	} else if _, err := t.file.WriteAt(b, t.size); err != nil {
		_ = t.file.Truncate(t.size)
		return err
	}
	t.size += int64(len(b))
	return nil
}

// put copies frames into the mapping. The first one's length goes in last: until
// then it is zero, which ends the tail, so that a process that is killed leaves
// all of them or none.
func (t *tail) put(b []byte) (err error) {
	defer caught(debug.SetPanicOnFault(true), &err)
	to := t.mem[t.size:]
	copy(to[4:], b[4:])
	binary.LittleEndian.PutUint32(to, binary.LittleEndian.Uint32(b))
	return nil
}

// caught makes an error of a memory fault: the file behind a mapping could not be
// read or written, or was cut off.
func caught(before bool, err *error) {
	debug.SetPanicOnFault(before)
	switch r := recover().(type) {
	case nil:
	case interface {
		runtime.Error
		Addr() uintptr
	}:
		*err = fmt.Errorf("write the tail: %w", r)
	default:
		panic(r)
	}
}

// frames appends the frames to dst.
func (t *tail) frames(dst []byte) (_ []byte, err error) {
	at := len(dst)
	dst = dst[:at+int(t.size)-magicSize]
	if t.mem == nil {
		_, err = t.file.ReadAt(dst[at:], magicSize)
		return dst, err
	}
	defer caught(debug.SetPanicOnFault(true), &err)
	copy(dst[at:], t.mem[magicSize:t.size])
	return dst, nil
}

// restart takes the frames out.
func (t *tail) restart() (err error) {
	if t.mem == nil {
		err = t.file.Truncate(magicSize)
	} else {
		err = t.clear()
	}
	if err == nil {
		t.size = magicSize
	}
	return err
}

// clear makes zeros of the frames, from the first on.
func (t *tail) clear() (err error) {
	defer caught(debug.SetPanicOnFault(true), &err)
	binary.LittleEndian.PutUint32(t.mem[magicSize:], 0)
	clear(t.mem[magicSize:t.size])
	return nil
}

// rest gives up the mapping and the room behind the frames.
func (t *tail) rest() error {
	t.recent = 0
	if t.mem == nil {
		return nil
	}
	err := unmapTail(t.mem)
	t.mem = nil
	return errors.Join(err, t.file.Truncate(t.size))
}

// close gives up the mapping and the file, as it is.
func (t *tail) close() error {
	var err error
	if t.mem != nil {
		err = unmapTail(t.mem)
		t.mem = nil
	}
	return errors.Join(err, t.file.Close())
}
