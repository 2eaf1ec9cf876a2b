package scp

import (
	"fmt"
	"path"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/sftp"
)

// maxDirectory bounds the names of one directory that are kept while it is sent.
const maxDirectory = 100_000

// modeMask is what of a mode is sent: scp.c's FILEMODEMASK without set-user-id
// and set-group-id, which no other host should take over.
const modeMask = 0o777

// download sends what the client asked for.
func (t *transfer) download() error {
	if ok, err := t.answered(); err != nil || !ok {
		return err
	}
	for _, p := range t.cmd.Paths {
		if err := t.source(p, 0); err != nil {
			return err
		}
	}
	return nil
}

// source sends a file or directory.
func (t *transfer) source(p string, depth int) error {
	trimmed := strings.TrimRight(p, "/")
	name := path.Base(trimmed)
	if why := nameFault(name); why != "" || trimmed == "" {
		return t.warn(p, "a file cannot be sent under this name")
	}
	answer, err := t.server.do(&sftp.Stat{Path: p})
	if err != nil {
		return err
	}
	a, ok := answer.(*sftp.FileAttrs)
	if !ok {
		return t.warn(p, reason(answer))
	}
	switch a.Attrs.Kind() {
	case sftp.KindRegular:
		return t.sendFile(p, name)
	case sftp.KindDirectory:
		if t.cmd.Recursive && depth < maxDepth {
			return t.sendDirectory(trimmed, name, &a.Attrs, depth)
		}
	}
	return t.warn(p, "not a regular file")
}

// sendTimes reports whether to go on.
func (t *transfer) sendTimes(a *sftp.Attrs) (bool, error) {
	if !t.cmd.Preserve || !a.HasTimes {
		return true, nil
	}
	if err := t.say(Times{a.ModifyTime, a.AccessTime}); err != nil {
		return false, err
	}
	return t.answered()
}

func (t *transfer) sendFile(p, name string) error {
	answer, err := t.server.do(&sftp.Open{Path: p, Flags: sftp.FlagRead})
	if err != nil {
		return err
	}
	opened, ok := answer.(*sftp.Handle)
	if !ok {
		return t.warn(p, reason(answer))
	}
	handle := append([]byte(nil), opened.Handle...)
	if err := t.sendOpened(p, name, handle); err != nil {
		return err
	}
	_, err = t.server.do(&sftp.Close{Handle: handle})
	return err
}

func (t *transfer) sendOpened(p, name string, handle []byte) error {
	answer, err := t.server.do(&sftp.Fstat{Handle: handle})
	if err != nil {
		return err
	}
	a, ok := answer.(*sftp.FileAttrs)
	if !ok || !a.Attrs.HasSize || a.Attrs.Size > maxSize {
		return t.warn(p, "its size is not known")
	}
	if ok, err := t.sendTimes(&a.Attrs); err != nil || !ok {
		return err
	}
	if err := t.say(File{a.Attrs.Mode & modeMask, a.Attrs.Size, name}); err != nil {
		return err
	}
	if ok, err := t.answered(); err != nil || !ok {
		return err
	}
	failed, err := t.send(a.Attrs.Size, handle)
	if err != nil {
		return err
	}
	if failed != "" {
		err = t.warn(p, failed)
	} else {
		err = t.out.WriteByte(0)
	}
	if err != nil {
		return fmt.Errorf("scp: write client: %w", err)
	}
	_, err = t.answered()
	return err
}

// send sends size bytes of an open file. The client waits for all of them, so
// what cannot be read is sent as zeros and told afterwards, as scp does.
func (t *transfer) send(size uint64, handle []byte) (failed string, err error) {
	asked, sent := uint64(0), uint64(0)
	for sent < size && failed == "" {
		for asked < size && !t.server.full() {
			n := min(size-asked, chunk)
			if err := t.server.send(&sftp.Read{Handle: handle, Offset: asked, Length: uint32(n)}); err != nil { //nolint:gosec // at most chunk
				return "", err
			}
			asked += n
		}
		answer, packet, err := t.server.receive()
		if err != nil {
			return "", err
		}
		data, ok := answer.(*sftp.Data)
		if ok {
			if _, err := t.out.Write(data.Data); err != nil {
				return "", fmt.Errorf("scp: write client: %w", err)
			}
			want := min(size-sent, chunk)
			if sent += uint64(len(data.Data)); uint64(len(data.Data)) != want {
				// A server may give less than was asked: ask again from there.
				if err := t.drain(); err != nil {
					return "", err
				}
				asked = sent
			}
		} else if failed = reason(answer); answer.(*sftp.Status).Code == sftp.EOF {
			failed = "the file became shorter while it was sent"
		}
		packets.Put(packet)
	}
	if err := t.drain(); err != nil {
		return "", err
	}
	zeros := make([]byte, min(size-sent, chunk))
	for sent < size {
		n, err := t.out.Write(zeros[:min(size-sent, chunk)])
		if err != nil {
			return "", fmt.Errorf("scp: write client: %w", err)
		}
		sent += uint64(n)
	}
	return failed, nil
}

// drain drops the answers that are still to come.
func (t *transfer) drain() error {
	for len(t.server.asked) > 0 {
		_, packet, err := t.server.receive()
		if err != nil {
			return err
		}
		packets.Put(packet)
	}
	return nil
}

func (t *transfer) sendDirectory(p, name string, a *sftp.Attrs, depth int) error {
	names, failed, err := t.list(p)
	if err != nil {
		return err
	}
	if failed != "" {
		return t.warn(p, failed)
	}
	if ok, err := t.sendTimes(a); err != nil || !ok {
		return err
	}
	if err := t.say(Directory{a.Mode & modeMask, name}); err != nil {
		return err
	}
	if ok, err := t.answered(); err != nil || !ok {
		return err
	}
	for _, n := range names {
		if err := t.source(p+"/"+n, depth+1); err != nil {
			return err
		}
	}
	if err := t.say(End{}); err != nil {
		return err
	}
	_, err = t.answered()
	return err
}

// list reads the names in a directory.
func (t *transfer) list(p string) (names []string, failed string, err error) {
	answer, err := t.server.do(&sftp.Opendir{Path: p})
	if err != nil {
		return nil, "", err
	}
	opened, ok := answer.(*sftp.Handle)
	if !ok {
		return nil, reason(answer), nil
	}
	handle := append([]byte(nil), opened.Handle...)
	for failed == "" {
		if answer, err = t.server.do(&sftp.Readdir{Handle: handle}); err != nil {
			return nil, "", err
		}
		more, ok := answer.(*sftp.Name)
		if !ok {
			if s := answer.(*sftp.Status); s.Code != sftp.EOF {
				failed = s.Message
			}
			break
		}
		for _, e := range more.Entries {
			if n := string(e.Name); n != "." && n != ".." {
				names = append(names, n)
			}
		}
		if len(names) > maxDirectory {
			failed = "the directory has too many entries"
		}
	}
	_, err = t.server.do(&sftp.Close{Handle: handle})
	return names, failed, err
}
