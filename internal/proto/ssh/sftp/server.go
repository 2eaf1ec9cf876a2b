package sftp

import (
	"bytes"
	"encoding/binary"
)

// keptHead is the largest buffer for heads that is kept for the next packet.
const keptHead = 16 << 10

// Server takes a packet of the server, without its length field. An error ends
// the session.
func (e *Engine) Server(packet []byte) (Step, error) {
	if cap(e.toClient) > keptHead {
		e.toClient = nil // of a long listing
	}
	e.mu.Lock()
	if e.greeting != greeted {
		defer e.mu.Unlock()
		return e.version(packet)
	}
	id, ok := RequestID(packet)
	if !ok {
		e.mu.Unlock()
		return Step{}, serverError("%w: no id", ErrMalformed)
	}
	at := id & (maxOutstanding - 1)
	if int(at) >= len(e.slots) || !e.slots[at].used || e.slots[at].uses != id>>slotBits {
		e.mu.Unlock()
		return Step{}, serverError("a response to a request that was not made")
	}
	asked := e.slots[at]
	e.slots[at] = slot{uses: asked.uses}
	e.waiting--
	e.free = append(e.free, uint16(at)) //nolint:gosec // below maxOutstanding
	if !asked.own {
		delete(e.ids, asked.id)
		asked.file.pending--
	}
	if asked.to == asClose {
		defer e.mu.Unlock()
		return e.closed(packet, &asked)
	}
	e.mu.Unlock()
	if asked.to == asRead && Type(packet[0]) == TypeData {
		return e.data(packet, &asked)
	}
	if asked.to == asWrite {
		return e.wrote(packet, &asked)
	}
	return e.response(id, packet, &asked)
}

// wrote passes on whether data was written, without a value on the heap.
func (e *Engine) wrote(packet []byte, asked *slot) (Step, error) {
	c := cursor{b: packet[1:]}
	c.u32()
	code := Code(c.u32())
	c.str(maxMessage)
	c.str(MaxName)
	if err := c.end(); err != nil || Type(packet[0]) != TypeStatus || code > OpUnsupported {
		return Step{}, serverError("%w", malformed("no status that answers a write"))
	}
	if code != OK {
		e.mu.Lock()
		asked.file.written.failed++
		e.mu.Unlock()
	}
	dst := binary.BigEndian.AppendUint32(begin(e.toClient[:0], TypeStatus, asked.id), uint32(code))
	e.toClient = end(appendString(appendString(dst, code.text()), ""), 0)
	return Step{Kind: StepAnswer, Frame: Frame{Head: e.toClient}, File: asked.file}, nil
}

// version agrees on the version and tells the client what the server and we
// both understand.
func (e *Engine) version(packet []byte) (Step, error) {
	if e.greeting != awaitVersion {
		return Step{}, serverError("a packet before the client's first")
	}
	version, pairs, err := DecodeVersion(packet)
	if err != nil {
		return Step{}, serverError("%w", err)
	}
	if version != Version {
		return Step{}, serverError("version %d, asked for %d", version, Version)
	}
	for _, p := range pairs {
		if known(Extension(p.Name), p.Data) {
			e.offered[Extension(p.Name)] = true
		}
	}
	var both []Pair
	for _, x := range extensionVersions {
		if e.offered[x.name] {
			both = append(both, Pair{string(x.name), x.version})
		}
	}
	e.greeting = greeted
	e.toClient = AppendVersion(e.toClient, both)
	return Step{Kind: StepAnswer, Frame: Frame{Head: e.toClient}, Greeting: true}, nil
}

// data passes on what a file holds. Only the server's goroutine touches the
// count and the digest.
func (e *Engine) data(packet []byte, asked *slot) (Step, error) {
	c := cursor{b: packet[5:]}
	data := c.str(MaxPacket)
	if err := c.end(); err != nil {
		return Step{}, serverError("%w", err)
	}
	if len(data) == 0 || len(data) > int(asked.length) {
		return Step{}, serverError("%d bytes of a file, asked for %d", len(data), asked.length)
	}
	f := asked.file
	n := uint64(len(data))
	e.mu.Lock()
	over := n > f.grant.Read || f.read.used() > f.grant.Read-n
	if !over {
		f.read.bytes += n
	}
	e.mu.Unlock()
	if over {
		e.toClient = AppendResponse(e.toClient, asked.id, &Status{PermissionDenied, limitText(f.grant.Read)})
		return Step{Kind: StepAnswer, Frame: Frame{Head: e.toClient}, File: f, Refused: "read beyond the size limit"}, nil
	}
	dst := begin(e.toClient[:0], TypeData, asked.id)
	dst = binary.BigEndian.AppendUint32(dst, uint32(n)) //nolint:gosec // within a packet
	e.toClient = end(dst, len(data))
	return Step{Kind: StepAnswer, Frame: Frame{Head: e.toClient, Body: data},
		File: f, Direction: Download, Content: f.read.add(asked.offset, data, f.grant.Record)}, nil
}

// closed ends a file. A server answers what was asked of a handle before it
// answers that the handle is closed (draft-ietf-secsh-filexfer-02, section 6.1).
func (e *Engine) closed(packet []byte, asked *slot) (Step, error) {
	_, r, err := DecodeResponse(packet, asClose)
	if err != nil {
		return Step{}, serverError("%w", err)
	}
	f := asked.file
	if f.pending != 0 {
		return Step{}, serverError("a file is closed before its requests are answered")
	}
	e.handles.remove(f)
	e.toClient = AppendResponse(e.toClient, asked.id, rebuilt(r))
	return Step{Kind: StepAnswer, Frame: Frame{Head: e.toClient}, File: f, Ended: f.report(true)}, nil
}

// response passes on any other response, made anew from what was decoded.
func (e *Engine) response(id uint32, packet []byte, asked *slot) (Step, error) {
	if asked.own {
		packet = bytes.Clone(packet) // the caller keeps the response
	}
	_, r, err := DecodeResponse(packet, asked.to)
	if err != nil {
		return Step{}, serverError("%w", err)
	}
	if s, ok := r.(*Status); ok && s.Code == OK && answerType(asked.to) != TypeStatus {
		return Step{}, serverError("success instead of an answer")
	}
	if asked.own {
		return Step{Kind: StepReply, ID: id, Response: r}, nil
	}
	if n, ok := r.(*Name); ok {
		if err := checkNames(n, asked.file.grant.Hide); err != nil {
			return Step{}, err
		}
	}
	e.toClient = AppendResponse(e.toClient, asked.id, rebuilt(r))
	return Step{Kind: StepAnswer, Frame: Frame{Head: e.toClient}, File: asked.file}, nil
}

// rebuilt replaces the server's words by ours: its text is a channel that nobody
// needs.
func rebuilt(r Response) Response {
	if s, ok := r.(*Status); ok {
		return &Status{s.Code, s.Code.text()}
	}
	return r
}

// checkNames refuses names that cannot be those of directory entries (a client
// that joins "../x" to a folder of its own writes outside it: CVE-2019-6111 and
// its kin), leaves out what the policy hides, and replaces a description that is
// not one.
func checkNames(n *Name, hide func([]byte) bool) error {
	kept, hidden := n.Entries[:0], false
	for _, e := range n.Entries {
		if bytes.IndexByte(e.Name, '/') >= 0 {
			return serverError("a directory entry with a slash")
		}
		if hide != nil && hide(e.Name) {
			hidden = true
			continue
		}
		if !describes(e.Longname, e.Name) {
			e.Longname = e.Name
		}
		kept = append(kept, e)
	}
	if hidden && len(kept) == 0 {
		// No names at all would be the end of the list to a client; every
		// directory has this one.
		kept = append(kept, Entry{Name: []byte("."), Longname: []byte(".")})
	}
	n.Entries = kept
	return nil
}

// describes reports whether a line is what ls -l writes about the name:
// printable ASCII, and then the name.
func describes(line, name []byte) bool {
	before, ok := bytes.CutSuffix(line, name)
	if !ok {
		return false
	}
	for _, b := range before {
		if b < 0x20 || b > 0x7e {
			return false
		}
	}
	return true
}
