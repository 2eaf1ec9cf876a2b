package scp

import (
	"errors"
	"fmt"
	"io"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/sftp"
)

// upload takes what the client sends.
func (t *transfer) upload() error {
	target := t.cmd.Paths[0]
	directory, err := t.isDirectory(target)
	if err != nil {
		return err
	}
	if t.cmd.Directory && !directory {
		return errors.Join(t.say(Message{Fatal: true, Text: fmt.Sprintf("scp: %s: Not a directory", sftp.Escape(target))}), errStop)
	}
	return t.sink(target, directory, 0)
}

func (t *transfer) isDirectory(path string) (bool, error) {
	answer, err := t.server.do(&sftp.Stat{Path: path})
	if err != nil {
		return false, err
	}
	a, ok := answer.(*sftp.FileAttrs)
	return ok && a.Attrs.Kind() == sftp.KindDirectory, nil
}

// sink takes records into a directory, or, at the top, into a target that may be
// a file.
func (t *transfer) sink(target string, directory bool, depth int) error {
	if err := t.ack(); err != nil {
		return err
	}
	var times *Times
	for {
		record, err := ReadRecord(t.in)
		switch {
		case errors.Is(err, io.EOF) && depth == 0:
			return nil
		case errors.Is(err, ErrMalformed):
			return t.fatal(err)
		case err != nil:
			return fmt.Errorf("scp: read client: %w", err)
		}
		switch record := record.(type) {
		case Message:
			t.errs++
			if record.Fatal {
				return errStop
			}
			continue
		case Times:
			times = &record
			if err := t.ack(); err != nil {
				return err
			}
			continue
		case End:
			if depth == 0 {
				return t.fatal(malformed("the end of a directory that did not begin"))
			}
			return nil // the caller answers it
		case Directory:
			err = t.takeDirectory(record, in(target, record.Name, directory), times, depth)
		case File:
			err = t.takeFile(record, in(target, record.Name, directory), times)
		}
		times = nil
		if err != nil {
			return err
		}
	}
}

// in is where a name goes.
func in(target, name string, directory bool) string {
	if directory {
		return target + "/" + name
	}
	return target
}

func (t *transfer) takeDirectory(d Directory, path string, times *Times, depth int) error {
	switch {
	case !t.cmd.Recursive:
		return t.fatal(malformed("a directory without -r"))
	case depth == maxDepth:
		return t.fatal(errors.New("directories are nested too deep"))
	}
	there, err := t.isDirectory(path)
	if err != nil {
		return err
	}
	if !there {
		// The owner's rights are needed to put files into it.
		answer, err := t.server.do(&sftp.Mkdir{Path: path, Attrs: sftp.Attrs{HasMode: true, Mode: d.Mode | 0o700}})
		if err != nil {
			return err
		}
		if s := failure(answer); s != nil {
			// The client then leaves the directory out.
			return t.warn(path, s.Message)
		}
	}
	if err := t.sink(path, true, depth+1); err != nil {
		return err
	}
	var attrs sftp.Attrs
	if t.cmd.Preserve || !there && d.Mode|0o700 != d.Mode {
		attrs.HasMode, attrs.Mode = true, d.Mode
	}
	set(&attrs, times)
	if attrs != (sftp.Attrs{}) {
		answer, err := t.server.do(&sftp.Setstat{Path: path, Attrs: attrs})
		if err != nil {
			return err
		}
		if s := failure(answer); s != nil {
			return t.warn(path, "attributes: "+s.Message)
		}
	}
	return t.ack()
}

func set(a *sftp.Attrs, times *Times) {
	if times != nil {
		a.HasTimes, a.ModifyTime, a.AccessTime = true, times.Modified, times.Accessed
	}
}

// takeFile takes one file. Once the client has been told to go on it sends all
// of it, so a failure on the way is told after the last byte.
func (t *transfer) takeFile(f File, path string, times *Times) error {
	answer, err := t.server.do(&sftp.Open{Path: path, Flags: sftp.FlagWrite | sftp.FlagCreate | sftp.FlagTrunc,
		Attrs: sftp.Attrs{HasMode: true, Mode: f.Mode}})
	if err != nil {
		return err
	}
	opened, ok := answer.(*sftp.Handle)
	if !ok {
		return t.warn(path, reason(answer))
	}
	handle := append([]byte(nil), opened.Handle...)
	if err := t.ack(); err != nil {
		return err
	}
	failed, err := t.receive(f.Size, handle)
	if err != nil {
		return err
	}
	attrs := sftp.Attrs{HasMode: t.cmd.Preserve, Mode: f.Mode}
	if !t.cmd.Preserve {
		attrs.Mode = 0
	}
	set(&attrs, times)
	if failed == "" && attrs != (sftp.Attrs{}) {
		if answer, err = t.server.do(&sftp.Fsetstat{Handle: handle, Attrs: attrs}); err != nil {
			return err
		}
		if s := failure(answer); s != nil {
			failed = "attributes: " + s.Message
		}
	}
	if answer, err = t.server.do(&sftp.Close{Handle: handle}); err != nil {
		return err
	}
	if s := failure(answer); s != nil && failed == "" {
		failed = s.Message
	}
	if whole, err := t.answered(); err != nil || !whole {
		// The client could not read all of its file: what came is kept, as scp does.
		return errors.Join(err, t.confirm(path, failed))
	}
	return t.confirm(path, failed)
}

func (t *transfer) confirm(path, failed string) error {
	if failed != "" {
		return t.warn(path, failed)
	}
	return t.ack()
}

func reason(answer sftp.Response) string {
	if s, ok := answer.(*sftp.Status); ok {
		return s.Message
	}
	return "unexpected answer"
}

// receive writes size bytes of the client to the server; failed says what went
// wrong there.
func (t *transfer) receive(size uint64, handle []byte) (failed string, err error) {
	buf := make([]byte, min(size, chunk))
	take := func() error {
		answer, packet, err := t.server.receive()
		if err != nil {
			return err
		}
		if s := failure(answer); s != nil && failed == "" {
			failed = s.Message
		}
		packets.Put(packet)
		return nil
	}
	for offset := uint64(0); offset < size; {
		n := min(size-offset, chunk)
		if uint64(t.in.Buffered()) < n { //nolint:gosec // not negative
			if err := t.server.flush(); err != nil {
				return "", err
			}
		}
		if _, err := io.ReadFull(t.in, buf[:n]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", fmt.Errorf("scp: read client: %w", err)
		}
		if failed == "" { // otherwise only read what the client still sends
			if err := t.server.send(&sftp.Write{Handle: handle, Offset: offset, Data: buf[:n]}); err != nil {
				return "", err
			}
			if t.server.full() {
				if err := take(); err != nil {
					return "", err
				}
			}
		}
		offset += n
	}
	for len(t.server.asked) > 0 {
		if err := take(); err != nil {
			return "", err
		}
	}
	return failed, nil
}
