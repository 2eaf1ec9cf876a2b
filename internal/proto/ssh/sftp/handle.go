package sftp

import "encoding/binary"

// Grant is what a decision allows of an open file. The zero Grant allows no
// bytes in either direction and records none.
type Grant struct {
	// Read and Write are how many bytes may be carried at most; NoLimit for any
	// number. Write bounds the size of the file as well.
	Read, Write uint64
	// Record is how many bytes of each direction are given out to be recorded.
	Record uint64
	// Hide leaves a name out of the listing of a directory; nil hides none. It
	// must not keep the name.
	Hide func(name []byte) bool
}

// File is an open file or directory. Place, Flags and Command may be read by
// anybody; what it carried is in its Report.
type File struct {
	// Place is what was opened, as verified.
	Place Place
	// Flags are those of the client's request; zero for a directory.
	Flags Flags
	// Command is the judged command that opened it.
	Command *Command

	grant   Grant
	key     uint64 // the client's handle
	server  []byte // the server's handle
	fd      int    // the server's file descriptor, or -1
	closing bool   // CLOSE was forwarded: nothing more uses the handle
	pending int    // requests that the server has not answered

	read, written Content
}

// directory reports whether the handle is one of a directory.
func (f *File) directory() bool { return f.Flags == 0 }

// Report says what became of an open file.
type Report struct {
	File *File
	// Downloaded and Uploaded say what was carried.
	Downloaded, Uploaded Summary
	// Closed says that the client closed it; otherwise the session ended first.
	Closed bool
}

func (f *File) report(closed bool) *Report {
	return &Report{File: f, Downloaded: f.read.summary(), Uploaded: f.written.summary(), Closed: closed}
}

// handles are the open files by the handles that the client knows. A handle is a
// place in the table and how often the place was used, so that the handle of a
// closed file is never that of another.
type handles struct {
	places []place
	free   []uint32
	open   int
}

type place struct {
	file *File
	uses uint32
}

// handleSize is the length of a client's handle.
const handleSize = 8

// add enters a file; false if there are as many as may be.
func (h *handles) add(f *File, limit int) bool {
	if h.open >= limit {
		return false
	}
	var at uint32
	if n := len(h.free); n > 0 {
		at, h.free = h.free[n-1], h.free[:n-1]
	} else {
		at = uint32(len(h.places)) //nolint:gosec // bounded by limit
		h.places = append(h.places, place{})
	}
	p := &h.places[at]
	p.uses++
	p.file = f
	f.key = uint64(p.uses)<<32 | uint64(at)
	h.open++
	return true
}

// find returns the file of a client's handle, or nil.
func (h *handles) find(handle []byte) *File {
	if len(handle) != handleSize {
		return nil
	}
	key := binary.BigEndian.Uint64(handle)
	at := uint32(key) //nolint:gosec // the low half
	if uint64(at) >= uint64(len(h.places)) {
		return nil
	}
	f := h.places[at].file
	if f == nil || f.key != key || f.closing {
		return nil
	}
	return f
}

// remove takes a file out. A place that was used 2^32-1 times is not used again.
func (h *handles) remove(f *File) {
	at := uint32(f.key) //nolint:gosec // the low half
	p := &h.places[at]
	if p.file != f {
		return
	}
	p.file = nil
	h.open--
	if p.uses != ^uint32(0) {
		h.free = append(h.free, at)
	}
}
