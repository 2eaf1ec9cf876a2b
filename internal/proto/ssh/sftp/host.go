package sftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxDescriptors bounds the file descriptors of a server process that are looked
// at: what a client may have open, and as much again.
const maxDescriptors = 4096

// host is what the Relay knows of the server's process.
type host struct {
	greeted bool
	start   string       // the directory in which the server started
	kernel  bool         // /proc/self/fd shows the server's own files
	used    map[int]bool // the server's file descriptors, as far as known
}

func (h *host) release(fd int) {
	if fd >= 0 {
		delete(h.used, fd)
	}
}

// free is the descriptor that the next file gets: the lowest that is not in use
// (POSIX.1-2024, section 2.6).
func (h *host) free() int {
	for n := 0; ; n++ {
		if !h.used[n] {
			return n
		}
	}
}

// Host asks the server of a session questions of the gateway's own, between the
// client's. It belongs to the goroutine that runs the Relay.
type Host struct {
	r       *Relay
	timeout time.Duration
}

// Do asks one request. A failure at the server is a *Status, not an error.
func (h *Host) Do(ctx context.Context, q Request) (Response, error) {
	all, err := h.Batch(ctx, q)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// Batch asks several requests at once; the server takes them in order. An error
// ends the session.
func (h *Host) Batch(ctx context.Context, qs ...Request) ([]Response, error) {
	if len(qs) > reserved {
		return nil, fmt.Errorf("sftp: %d requests at once, at most %d", len(qs), reserved)
	}
	ids := make([]uint32, len(qs))
	for i, q := range qs {
		id, frame, err := h.r.engine.Own(q)
		if err != nil {
			return nil, err
		}
		ids[i] = id
		if err := write(h.r.server, frame); err != nil {
			return nil, fmt.Errorf("write server: %w", err)
		}
	}
	if err := h.r.flushServer(); err != nil {
		return nil, err
	}
	timer := time.NewTimer(h.timeout)
	defer timer.Stop()
	answers := make([]Response, len(qs))
	for missing := len(qs); missing > 0; {
		select {
		case got := <-h.r.replies:
			for i, id := range ids {
				if id == got.id && answers[i] == nil {
					answers[i] = got.r
					missing--
				}
			}
		case <-h.r.ended:
			return nil, h.r.serverGone()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-timer.C:
			return nil, serverError("no answer within %v", h.timeout)
		}
	}
	return answers, nil
}

// tell makes a request whose answer nobody needs: the next Batch drops it.
func (h *Host) tell(q Request) error {
	_, frame, err := h.r.engine.Own(q)
	if err != nil {
		return err
	}
	if err := write(h.r.server, frame); err != nil {
		return fmt.Errorf("write server: %w", err)
	}
	return nil
}

// Start returns the directory in which the server started.
func (h *Host) Start() string { return h.r.host.start }

// greet waits for the server's version and learns what its process shows.
func (r *Relay) greet(ctx context.Context) error {
	if err := r.await(ctx, r.engine.Greeted); err != nil {
		return err
	}
	h := r.ask()
	answer, err := h.Do(ctx, &Realpath{"."})
	if err != nil {
		return err
	}
	name, ok := nameOf(answer)
	if !ok || !strings.HasPrefix(name, "/") {
		return serverError("no directory to start in")
	}
	r.host.start = name
	return r.scan(ctx)
}

func (r *Relay) ask() *Host { return &Host{r, r.cfg.Timeout} }

func nameOf(answer Response) (string, bool) {
	n, ok := answer.(*Name)
	if !ok || len(n.Entries) != 1 {
		return "", false
	}
	return string(n.Entries[0].Name), true
}

const descriptors = "/proc/self/fd"

func descriptor(fd int) string { return descriptors + "/" + strconv.Itoa(fd) }

// scan lists the descriptors that the server's process has open.
func (r *Relay) scan(ctx context.Context) error {
	h := r.ask()
	r.host.kernel = false
	answer, err := h.Do(ctx, &Opendir{descriptors})
	if err != nil {
		return err
	}
	dir, ok := answer.(*Handle)
	if !ok {
		return nil
	}
	listed, err := r.list(ctx, dir.Handle)
	if err != nil {
		return err
	}
	if _, err = h.Do(ctx, &Close{dir.Handle}); err != nil {
		return err
	}
	// The list names the descriptor of the list too, so each is looked at again.
	used := map[int]bool{}
	for len(listed) > 0 {
		n := min(len(listed), reserved)
		qs := make([]Request, n)
		for i := range n {
			qs[i] = &Readlink{descriptor(listed[i])}
		}
		answers, err := h.Batch(ctx, qs...)
		if err != nil {
			return err
		}
		for i := range n {
			if _, ok := nameOf(answers[i]); ok {
				used[listed[i]] = true
			}
		}
		listed = listed[n:]
	}
	r.host.used = used
	r.host.kernel = len(used) > 0
	return nil
}

// list reads a directory of numbers.
func (r *Relay) list(ctx context.Context, handle []byte) (all []int, err error) {
	for len(all) < maxDescriptors {
		answer, err := r.ask().Do(ctx, &Readdir{handle})
		if err != nil {
			return nil, err
		}
		names, ok := answer.(*Name)
		if !ok || len(names.Entries) == 0 {
			return all, nil
		}
		for _, e := range names.Entries {
			if n, err := strconv.Atoi(string(e.Name)); err == nil && n >= 0 && n < 1<<20 {
				all = append(all, n)
			}
		}
	}
	return nil, serverError("more than %d descriptors", maxDescriptors)
}

// errExchanged is what a client is told when a file was exchanged between
// resolving and opening it.
var errExchanged = &Refused{"the file was exchanged while it was opened"}

// opened is a file that the server has open for us.
type opened struct {
	handle []byte
	fd     int
	looked Response // the answer to what was asked together with opening it
}

// openChecked opens a file or directory and compares what was opened with what
// was resolved: the kernel's name for it and its inode. A Response that is not
// nil is the server's refusal, a *Refused ours.
func (r *Relay) openChecked(ctx context.Context, q Request, want *Path) (opened, Response, error) {
	return r.openAnd(ctx, q, want, nil)
}

// openAnd is openChecked with a question about the opened descriptor in the same
// round. The question must change nothing: it is asked before it is known what
// was opened, and its answer is dropped if that is something else.
func (r *Relay) openAnd(ctx context.Context, q Request, want *Path, look func(fd int) Request) (opened, Response, error) {
	if !r.host.kernel {
		return r.openByPath(ctx, q, want)
	}
	h := r.ask()
	for range 3 {
		fd := r.host.free()
		qs := []Request{&Readlink{descriptor(fd)}, q, &Readlink{descriptor(fd)}}
		if look != nil {
			qs = append(qs, look(fd))
		}
		answers, err := h.Batch(ctx, qs...)
		if err != nil {
			return opened{}, nil, err
		}
		got, ok := answers[1].(*Handle)
		if !ok {
			return opened{}, answers[1], nil
		}
		_, before := nameOf(answers[0])
		name, after := nameOf(answers[2])
		o := opened{handle: got.Handle, fd: fd}
		if look != nil {
			o.looked = answers[3]
		}
		if before || !after || !strings.HasPrefix(name, "/") {
			// Another part of the server's process has opened or closed a file of its
			// own (a name service): look again which there are.
			if err := r.discard(opened{handle: got.Handle, fd: -1}); err != nil {
				return opened{}, nil, err
			}
			if err := r.scan(ctx); err != nil {
				return opened{}, nil, err
			}
			continue
		}
		r.host.used[fd] = true
		same := name == want.Place.Real
		if same {
			if same, err = r.sameInode(ctx, fd, want); err != nil {
				return opened{}, nil, err
			}
		}
		if !same {
			if err := r.discard(o); err != nil {
				return opened{}, nil, err
			}
			return opened{}, nil, errExchanged
		}
		return o, nil, nil
	}
	return opened{}, nil, &Refused{"the server's open files cannot be told apart"}
}

// sameInode compares the inode of an open file with the resolved one.
func (r *Relay) sameInode(ctx context.Context, fd int, want *Path) (bool, error) {
	if want.Place.Inode == 0 || want.Place.Kind == KindAbsent {
		return true, nil
	}
	inode, err := r.inode(ctx, fd)
	if err != nil {
		return false, err
	}
	if inode != 0 {
		return inode == want.Place.Inode, nil
	}
	return r.samePath(ctx, want)
}

// inode reads the inode number of an open file, which Linux shows since 5.14
// (proc_pid_fdinfo(5)); zero if it is not shown.
func (r *Relay) inode(ctx context.Context, fd int) (uint64, error) {
	h := r.ask()
	answer, err := h.Do(ctx, &Open{Path: "/proc/self/fdinfo/" + strconv.Itoa(fd), Flags: FlagRead})
	if err != nil {
		return 0, err
	}
	info, ok := answer.(*Handle)
	if !ok {
		return 0, nil
	}
	answers, err := h.Batch(ctx, &Read{info.Handle, 0, 4096}, &Close{info.Handle})
	if err != nil {
		return 0, err
	}
	data, ok := answers[0].(*Data)
	if !ok {
		return 0, nil
	}
	for line := range bytes.Lines(data.Data) {
		if value, ok := bytes.CutPrefix(line, []byte("ino:")); ok {
			n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64)
			if err != nil {
				return 0, nil //nolint:nilerr // not shown in a form that is known
			}
			return n, nil
		}
	}
	return 0, nil
}

// samePath resolves a path again and compares. It shows an exchange that has
// not been undone.
func (r *Relay) samePath(ctx context.Context, want *Path) (bool, error) {
	again := []Path{{Given: want.Place.Real, Absolute: want.Place.Real, Role: want.Role}}
	if err := r.cfg.Resolver.Resolve(ctx, r.ask(), again); err != nil {
		if refused := (*Refused)(nil); errors.As(err, &refused) {
			return false, nil
		}
		return false, err
	}
	now := &again[0].Place
	return now.Real == want.Place.Real && (want.Place.Kind == KindAbsent ||
		now.Kind == want.Place.Kind && now.Device == want.Place.Device && now.Inode == want.Place.Inode), nil
}

// unchanged resolves a path once more after it was judged, which may have taken
// a person minutes: what is removed, renamed or linked by its name cannot be
// compared once it is done. Only a Resolver that knows inodes can tell.
func (r *Relay) unchanged(ctx context.Context, p *Path) error {
	if p.Place.Kind == KindAbsent || p.Place.Inode == 0 {
		return nil
	}
	same, err := r.samePath(ctx, p)
	if err == nil && !same {
		err = errExchanged
	}
	return err
}

// openByPath is openChecked without help of the kernel.
func (r *Relay) openByPath(ctx context.Context, q Request, want *Path) (opened, Response, error) {
	if !r.cfg.PathOnly {
		return opened{}, nil, &Refused{"the server does not show which file it opened (/proc is missing)"}
	}
	answer, err := r.ask().Do(ctx, q)
	if err != nil {
		return opened{}, nil, err
	}
	got, ok := answer.(*Handle)
	if !ok {
		return opened{}, answer, nil
	}
	o := opened{handle: got.Handle, fd: -1}
	same, err := r.samePath(ctx, want)
	if err != nil {
		return opened{}, nil, err
	}
	if !same {
		if err := r.discard(o); err != nil {
			return opened{}, nil, err
		}
		return opened{}, nil, errExchanged
	}
	return o, nil, nil
}

// discard closes a file that the client does not get. Its answer changes
// nothing, so nobody waits for it.
func (r *Relay) discard(o opened) error {
	r.host.release(o.fd)
	return r.ask().tell(&Close{o.handle})
}
