package sftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
)

const (
	// maxOutstanding is how many requests may wait for the server. OpenSSH's
	// client keeps 64, at most 1,024 can be asked of it (sftp -R).
	maxOutstanding = 1024
	// reserved places are for the Relay's own requests.
	reserved = 32
	// slotBits is the part of an id at the server that is a place in the table.
	slotBits = 10
	// DefaultHandles is how many files may be open at once: under the limit of
	// open files of common servers (1,024), over what clients use.
	DefaultHandles = 256
	// maxFaults is how many packets of a client may be malformed before the
	// session ends.
	maxFaults = 16
	// maxRead is the most that one read may ask for: what fits a packet. OpenSSH's
	// server gives at most this (sftp-server.c).
	maxRead = MaxPacket - 1024
)

// The errors that end a session. They say which side broke the protocol.
var (
	// ErrClient is wrapped by errors about the client.
	ErrClient = errors.New("sftp: client broke the protocol")
	// ErrServer is wrapped by errors about the server.
	ErrServer = errors.New("sftp: server broke the protocol")
)

func clientError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrClient, fmt.Errorf(format, args...))
}

func serverError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrServer, fmt.Errorf(format, args...))
}

// StepKind says what is to be done after a packet.
type StepKind uint8

// The kinds of Step. The zero kind is nothing to do.
const (
	StepNothing StepKind = iota
	// StepForward: write Frame to the server.
	StepForward
	// StepAnswer: write Frame to the client.
	StepAnswer
	// StepCommand: have Command judged and performed; then call Answer or Opened.
	StepCommand
	// StepReply: the server answered a request of the caller's own.
	StepReply
)

// Step says what a packet was and what is to be done.
type Step struct {
	Kind  StepKind
	Frame Frame
	// Command is of StepCommand.
	Command *Command
	// ID and Response are of StepReply.
	ID       uint32
	Response Response
	// File, Direction and Content are set when a file carries data: Content is
	// the part that is to be recorded, before Frame is written. The digest has
	// all of it. Content may be empty.
	File      *File
	Direction Direction
	Content   []byte
	// Ended is set when the client has closed a file.
	Ended *Report
	// Greeting says that the answer is the server's version.
	Greeting bool
	// Refused says, for the recording, what was answered locally and why.
	Refused string
}

// Engine keeps the state of one SFTP session between a client and a server.
// Client belongs to the goroutine that reads the client, Server to the one that
// reads the server; the other methods may be called by either. A Step and its
// frames are valid until the next call of the same method.
type Engine struct {
	maxHandles int

	mu       sync.Mutex // guards everything below but the scratch buffers
	greeting greeting
	offered  map[Extension]bool
	slots    []slot // grows to maxOutstanding: idle sessions hold few
	free     []uint16
	waiting  int                 // slots in use
	ids      map[uint32]struct{} // the client's outstanding ids
	handles  handles
	faults   int

	toServer, toClient, local []byte // heads of frames: of Client, of Server, of answers by Client
}

type greeting uint8

const (
	awaitInit greeting = iota
	awaitVersion
	greeted
)

// slot is a request that the server has not answered.
type slot struct {
	uses   uint32
	used   bool
	own    bool    // the caller's own request
	id     uint32  // the client's
	file   *File   // whose handle it uses
	to     Request // what it asks; for reads, one value shared by all
	offset uint64
	length uint32
}

// The requests that only use a handle, as patterns for their responses.
var (
	asRead     Request = &Read{}
	asWrite    Request = &Write{}
	asReaddir  Request = &Readdir{}
	asFstat    Request = &Fstat{}
	asFstatvfs Request = &Fstatvfs{}
	asFsync    Request = &Fsync{}
	asClose    Request = &Close{}
)

// NewEngine returns an Engine that lets a client have maxHandles files open.
func NewEngine(maxHandles int) *Engine {
	return &Engine{maxHandles: maxHandles, ids: map[uint32]struct{}{}, offered: map[Extension]bool{}}
}

// Ready reports whether another packet of the client can be taken now. If not,
// wait until the server has answered something.
func (e *Engine) Ready() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.waiting < maxOutstanding-reserved
}

// Offers reports whether the server has the extension, in a version that is
// understood.
func (e *Engine) Offers(x Extension) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.offered[x]
}

// Client takes a packet of the client, without its length field. An error ends
// the session.
func (e *Engine) Client(packet []byte) (Step, error) {
	step, offset, err := e.client(packet)
	if err == nil && step.Direction == Upload {
		// Only this goroutine touches the digest, so it needs no lock.
		step.Content = step.File.written.add(offset, step.Frame.Body, step.File.grant.Record)
	}
	return step, err
}

// client does what needs the lock; offset is that of a write.
func (e *Engine) client(packet []byte) (step Step, offset uint64, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.greeting == greeted && len(packet) > 0 && Type(packet[0]) == TypeWrite {
		return e.write(packet)
	}
	step, err = e.other(packet)
	return step, 0, err
}

// admit takes the id of a request.
func (e *Engine) admit(packet []byte) (id uint32, err error) {
	id, ok := RequestID(packet)
	if !ok {
		return 0, clientError("%w: no id", ErrMalformed)
	}
	if _, ok := e.ids[id]; ok {
		return 0, clientError("the id of an unanswered request is used again")
	}
	if e.waiting >= maxOutstanding-reserved {
		return 0, clientError("more than %d requests are unanswered", maxOutstanding-reserved)
	}
	return id, nil
}

// other takes a packet that is no write.
func (e *Engine) other(packet []byte) (Step, error) {
	if e.greeting != greeted {
		return e.init(packet)
	}
	id, err := e.admit(packet)
	if err != nil {
		return Step{}, err
	}
	c := cursor{b: packet[5:]}
	switch t := Type(packet[0]); t {
	case TypeRead:
		r := Read{c.str(maxHandle), c.u64(), c.u32()}
		if err := c.end(); err != nil {
			return e.fault(id, err)
		}
		return e.read(id, &r)
	default:
		r, err := c.request(t)
		if err != nil {
			return e.fault(id, err)
		}
		return e.request(id, r)
	}
}

func (e *Engine) init(packet []byte) (Step, error) {
	if e.greeting != awaitInit {
		return Step{}, clientError("a request before the version is agreed")
	}
	version, _, err := DecodeInit(packet)
	if err != nil {
		return Step{}, clientError("%w", err)
	}
	if version < Version {
		return Step{}, clientError("version %d is not supported, only %d", version, Version)
	}
	e.greeting = awaitVersion
	e.toServer = AppendInit(e.toServer[:0])
	return Step{Kind: StepForward, Frame: Frame{Head: e.toServer}}, nil
}

// fault answers a packet that cannot be decoded. Frames have their length, so
// the next packet is found all the same; but a client that goes on is none.
func (e *Engine) fault(id uint32, err error) (Step, error) {
	e.faults++
	if e.faults > maxFaults {
		return Step{}, clientError("%d malformed packets: %w", e.faults, err)
	}
	if errors.Is(err, errUnsupported) {
		return e.refuse(id, OpUnsupported, "this operation is not supported", err.Error()), nil
	}
	return e.refuse(id, BadMessage, "malformed request", err.Error()), nil
}

// refuse answers the client without asking the server.
func (e *Engine) refuse(id uint32, code Code, message, why string) Step {
	e.local = AppendResponse(e.local, id, &Status{code, message})
	return Step{Kind: StepAnswer, Frame: Frame{Head: e.local}, Refused: why}
}

// take gives a place to a request.
func (e *Engine) take() (id uint32, s *slot) {
	if len(e.free) == 0 {
		e.free = append(e.free, uint16(len(e.slots))) //nolint:gosec // below maxOutstanding
		e.slots = append(e.slots, slot{})
	}
	at := e.free[len(e.free)-1]
	e.free = e.free[:len(e.free)-1]
	e.waiting++
	s = &e.slots[at]
	s.used = true
	s.uses = (s.uses + 1) & (1<<(32-slotBits) - 1)
	return s.uses<<slotBits | uint32(at), s
}

// follow gives a place to a request of the client that uses a handle.
func (e *Engine) follow(id uint32, f *File, to Request) uint32 {
	own, s := e.take()
	s.id, s.file, s.to = id, f, to
	e.ids[id] = struct{}{}
	f.pending++
	return own
}

const badHandle = "the handle is not one of an open file"

func (e *Engine) read(id uint32, r *Read) (Step, error) {
	f := e.handles.find(r.Handle)
	if f == nil || f.Flags&FlagRead == 0 {
		return e.refuse(id, Failure, badHandle, "read of a handle that was not opened for it"), nil
	}
	if f.read.used() >= f.grant.Read {
		return e.refuse(id, PermissionDenied, limitText(f.grant.Read), "read beyond the size limit"), nil
	}
	length := min(r.Length, maxRead)
	own := e.follow(id, f, asRead)
	s := &e.slots[own&(maxOutstanding-1)]
	s.offset, s.length = r.Offset, length
	e.toServer = appendRead(e.toServer, own, f.server, r.Offset, length)
	return Step{Kind: StepForward, Frame: Frame{Head: e.toServer}}, nil
}

// appendRead encodes SSH_FXP_READ without a value on the heap.
func appendRead(dst []byte, id uint32, handle []byte, offset uint64, length uint32) []byte {
	dst = appendString(begin(dst[:0], TypeRead, id), handle)
	return end(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(dst, offset), length), 0)
}

func limitText(limit uint64) string {
	return fmt.Sprintf("the policy allows %d bytes of this file", limit)
}

func (e *Engine) write(packet []byte) (step Step, offset uint64, err error) {
	id, err := e.admit(packet)
	if err != nil {
		return Step{}, 0, err
	}
	c := cursor{b: packet[5:]}
	handle, offset, data := c.str(maxHandle), c.u64(), c.str(MaxPacket)
	if err := c.end(); err != nil {
		step, err = e.fault(id, err)
		return step, 0, err
	}
	f := e.handles.find(handle)
	if f == nil || f.Flags&FlagWrite == 0 {
		return e.refuse(id, Failure, badHandle, "write to a handle that was not opened for it"), 0, nil
	}
	n := uint64(len(data))
	// Both the bytes that are carried and the size of the file are bounded; the
	// sums cannot overflow because each is checked against the rest.
	if limit := f.grant.Write; n > limit || f.written.used() > limit-n || offset > limit-n {
		return e.refuse(id, PermissionDenied, limitText(limit), "write beyond the size limit"), 0, nil
	}
	f.written.bytes += n
	own := e.follow(id, f, asWrite)
	dst := appendString(begin(e.toServer[:0], TypeWrite, own), f.server)
	dst = binary.BigEndian.AppendUint64(dst, offset)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n)) //nolint:gosec // within a packet
	e.toServer = end(dst, len(data))
	return Step{Kind: StepForward, Frame: Frame{Head: e.toServer, Body: data}, File: f, Direction: Upload}, offset, nil
}

// Own gives a place to a request of the caller's own and returns its id and its
// packet, which is valid until the next call.
func (e *Engine) Own(r Request) (id uint32, frame Frame, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting >= maxOutstanding {
		return 0, Frame{}, errors.New("sftp: no place for a request")
	}
	id, s := e.take()
	s.own, s.to = true, r
	e.toServer = AppendRequest(e.toServer, id, r)
	return id, Frame{Head: e.toServer}, nil
}

// Answer ends a command with a response and returns the packet for the client,
// valid until the next packet of the client.
func (e *Engine) Answer(c *Command, r Response) Frame {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.answer(c, r)
}

func (e *Engine) answer(c *Command, r Response) Frame {
	delete(e.ids, c.id)
	e.local = AppendResponse(e.local, c.id, r)
	return Frame{Head: e.local}
}

// Full reports whether no further file can be opened.
func (e *Engine) Full() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.handles.open >= e.maxHandles
}

// Opened ends a command that opened a file: server is the server's handle, fd
// its descriptor there or -1. It returns the packet that gives the client its
// handle; false if there are too many, and then the server's is to be closed.
func (e *Engine) Opened(c *Command, server []byte, fd int, p Place, g Grant) (Frame, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := &File{Place: p, Flags: c.Flags, Command: c, grant: g, server: append([]byte(nil), server...), fd: fd}
	if !e.handles.add(f, e.maxHandles) {
		return Frame{}, false
	}
	return e.answer(c, &Handle{binary.BigEndian.AppendUint64(nil, f.key)}), true
}

// Close ends the session and reports the files that are still open. Client and
// Server must not be running.
func (e *Engine) Close() (reports []*Report) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.handles.places {
		if f := e.handles.places[i].file; f != nil {
			reports = append(reports, f.report(false))
			e.handles.places[i].file = nil
		}
	}
	e.handles.open = 0
	return reports
}

// Greeted reports whether both sides have agreed on the version.
func (e *Engine) Greeted() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.greeting == greeted
}
