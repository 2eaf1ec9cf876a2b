package sftp

import (
	"context"
	"errors"
	"fmt"
	"path"
)

// execute does what a judged command says.
func (r *Relay) execute(ctx context.Context, c *Command, grant Grant) (outcome, error) {
	p := &c.Paths[0]
	switch c.Operation {
	case OpOpen:
		return r.open(ctx, c)
	case OpList:
		return r.openPath(ctx, &Opendir{p.Place.Real}, p)
	case OpStat, OpLstat, OpReadlink:
		return r.look(ctx, c)
	case OpStatvfs:
		return r.plain(ctx, &Statvfs{p.Place.Real})
	case OpRealpath, OpExpand, OpHome:
		return r.realpath(ctx, p)
	case OpSetstat:
		return r.setstat(ctx, c, grant)
	case OpRemove, OpRmdir:
		if p.Place.Kind == KindAbsent {
			return status(NoSuchFile), nil // "FILE/" names nothing, and must not remove FILE
		}
		if err := r.unchanged(ctx, p); err != nil {
			return outcome{}, err
		}
		return r.pinned(ctx, p, func(name string) Request {
			if c.Operation == OpRmdir {
				return &Rmdir{name}
			}
			return &Remove{name}
		})
	case OpMkdir:
		return r.pinned(ctx, p, func(name string) Request { return &Mkdir{name, c.Attrs} })
	case OpSymlink:
		return r.symlink(ctx, c)
	case OpRename, OpReplace, OpHardlink:
		return r.two(ctx, c)
	case OpCopy:
		return r.copy(ctx, c)
	default:
		return denied("this operation is not supported"), nil
	}
}

func (r *Relay) plain(ctx context.Context, q Request) (outcome, error) {
	answer, err := r.ask().Do(ctx, q)
	if err != nil {
		return outcome{}, err
	}
	return of(answer), nil
}

// realpath answers with what was resolved. Only for a path whose end is not
// there the server is asked whether the directory before it is.
func (r *Relay) realpath(ctx context.Context, p *Path) (outcome, error) {
	if p.Place.Kind == KindAbsent {
		answer, err := r.ask().Do(ctx, &Realpath{p.Place.Real})
		if err != nil {
			return outcome{}, err
		}
		name, ok := nameOf(answer)
		switch {
		case !ok:
			return of(answer), nil
		case name != p.Place.Real:
			return outcome{}, errExchanged
		}
	}
	name := []byte(p.Place.Real)
	return outcome{response: &Name{[]Entry{{Name: name, Longname: name}}}}, nil
}

// open opens a file. Nothing of what the flags do to a file's content happens
// before the file is verified: an existing one is opened as it is and emptied
// through its handle, and a new one is only ever made where there is none.
func (r *Relay) open(ctx context.Context, c *Command) (outcome, error) {
	p := &c.Paths[0]
	if r.engine.Full() {
		return outcome{response: &Status{Failure, tooMany}, note: tooMany}, nil
	}
	switch p.Place.Kind {
	case KindAbsent:
		if c.Flags&FlagCreate == 0 {
			return status(NoSuchFile), nil
		}
		return r.create(ctx, c, p)
	case KindRegular:
		if c.Flags&FlagExcl != 0 {
			return status(Failure), nil
		}
	default:
		return outcome{response: &Status{Failure, "not a regular file"}, note: "not a regular file"}, nil
	}
	o, err := r.openPath(ctx, &Open{Path: p.Place.Real, Flags: c.Flags &^ (FlagCreate | FlagTrunc)}, p)
	if err != nil || o.opened == nil || c.Flags&FlagTrunc == 0 {
		return o, err
	}
	answer, err := r.ask().Do(ctx, &Fsetstat{o.opened.handle, Attrs{HasSize: true}})
	if err != nil {
		return outcome{}, err
	}
	if s, ok := answer.(*Status); !ok || s.Code != OK {
		return of(answer), r.discard(*o.opened)
	}
	return o, nil
}

// create makes a new file below the directory that was resolved.
func (r *Relay) create(ctx context.Context, c *Command, p *Path) (outcome, error) {
	dir, o, err := r.pin(ctx, p)
	if err != nil || o.response != nil {
		return o, err
	}
	flags := c.Flags&^FlagTrunc | FlagCreate | FlagExcl
	o, err = r.openPath(ctx, &Open{Path: dir.name, Flags: flags, Attrs: c.Attrs}, p)
	return o, errors.Join(err, dir.close(r))
}

// openPath opens and verifies.
func (r *Relay) openPath(ctx context.Context, q Request, p *Path) (outcome, error) {
	if r.engine.Full() {
		return outcome{response: &Status{Failure, tooMany}, note: tooMany}, nil
	}
	o, refused, err := r.openChecked(ctx, q, p)
	if err != nil {
		return outcome{}, err
	}
	if refused != nil {
		return of(refused), nil
	}
	return outcome{opened: &o, place: p.Place}, nil
}

// pin holds the directory of a path open, so that a name below it is in the
// directory that was resolved, whatever its path has become.
type pin struct {
	dir  *opened
	name string // how the server is told the file
}

func (p pin) close(r *Relay) error {
	if p.dir == nil {
		return nil
	}
	return r.discard(*p.dir)
}

func (r *Relay) pin(ctx context.Context, p *Path) (pin, outcome, error) {
	real := p.Place.Real
	if real == "/" || !r.host.kernel && r.cfg.PathOnly {
		return pin{name: real}, outcome{}, nil
	}
	parent := &Path{Place: Place{Real: path.Dir(real), Kind: KindDirectory}}
	dir, refused, err := r.openChecked(ctx, &Opendir{parent.Place.Real}, parent)
	if err != nil {
		return pin{}, outcome{}, err
	}
	if refused != nil {
		return pin{}, of(refused), nil
	}
	return pin{&dir, descriptor(dir.fd) + "/" + path.Base(real)}, outcome{}, nil
}

// pinned asks one request about a name in its verified directory.
func (r *Relay) pinned(ctx context.Context, p *Path, with func(name string) Request) (outcome, error) {
	dir, o, err := r.pin(ctx, p)
	if err != nil || o.response != nil {
		return o, err
	}
	o, err = r.plain(ctx, with(dir.name))
	return o, errors.Join(err, dir.close(r))
}

// look asks about a name without opening it. A directory that may be passed
// through but not read cannot be held open; then the resolved path is asked for,
// and an exchange in that moment could show the attributes of another file,
// never its content.
func (r *Relay) look(ctx context.Context, c *Command) (outcome, error) {
	p := &c.Paths[0]
	if p.Place.Kind == KindAbsent {
		return status(NoSuchFile), nil
	}
	with := func(name string) Request { return &Lstat{name} }
	if c.Operation == OpReadlink {
		with = func(name string) Request { return &Readlink{name} }
	}
	o, err := r.glance(ctx, p, with)
	if s, ok := o.response.(*Status); err == nil && ok && s.Code == PermissionDenied {
		o, err = r.plain(ctx, with(p.Place.Real))
	}
	if err != nil {
		return o, err
	}
	switch a := o.response.(type) {
	case *FileAttrs:
		if c.Operation == OpStat && a.Attrs.Kind() == KindSymlink {
			return outcome{}, errExchanged
		}
	case *Name:
		for i := range a.Entries {
			a.Entries[i].Longname = a.Entries[i].Name
		}
	}
	return o, nil
}

// glance asks about a name in its verified directory in one round.
func (r *Relay) glance(ctx context.Context, p *Path, with func(name string) Request) (outcome, error) {
	real := p.Place.Real
	if real == "/" || !r.host.kernel {
		return r.pinned(ctx, p, with)
	}
	parent := &Path{Place: Place{Real: path.Dir(real), Kind: KindDirectory}}
	dir, refused, err := r.openAnd(ctx, &Opendir{parent.Place.Real}, parent, func(fd int) Request {
		return with(descriptor(fd) + "/" + path.Base(real))
	})
	if err != nil {
		return outcome{}, err
	}
	if refused != nil {
		return of(refused), nil
	}
	return of(dir.looked), r.discard(dir)
}

// setstat sets attributes through a verified handle, or, where the file cannot
// be opened or is none to be opened, of the name itself in its verified
// directory.
func (r *Relay) setstat(ctx context.Context, c *Command, grant Grant) (outcome, error) {
	if c.file != nil {
		return r.plain(ctx, &Fsetstat{c.file.server, c.Attrs})
	}
	p := &c.Paths[0]
	size := c.Attrs.HasSize
	switch {
	case p.Place.Kind == KindAbsent:
		return status(NoSuchFile), nil
	case size && (!p.Follow || p.Place.Kind != KindRegular):
		return status(BadMessage), nil
	case size && c.Attrs.Size > grant.Write:
		return denied(limitText(grant.Write)), nil
	}
	if p.Place.Kind == KindRegular || p.Place.Kind == KindDirectory {
		flags := FlagRead
		if size {
			flags = FlagWrite
		}
		o, refused, err := r.openChecked(ctx, &Open{Path: p.Place.Real, Flags: flags}, p)
		if err != nil {
			return outcome{}, err
		}
		if refused == nil {
			done, err := r.plain(ctx, &Fsetstat{o.handle, c.Attrs})
			return done, errors.Join(err, r.discard(o))
		}
		if s, ok := refused.(*Status); size || !ok || s.Code != PermissionDenied {
			return of(refused), nil
		}
	}
	if !r.engine.Offers(ExtLsetstat) {
		return denied("the attributes of this file cannot be set safely"), nil
	}
	return r.pinned(ctx, p, func(name string) Request { return &Lsetstat{name, c.Attrs} })
}

// symlink makes a link and looks whether the server took the two arguments in
// the order that was meant.
func (r *Relay) symlink(ctx context.Context, c *Command) (outcome, error) {
	dir, o, err := r.pin(ctx, &c.Paths[0])
	if err != nil || o.response != nil {
		return o, err
	}
	text := c.Paths[1].Given
	answers, err := r.ask().Batch(ctx, &Symlink{text, dir.name}, &Readlink{dir.name})
	if err = errors.Join(err, dir.close(r)); err != nil {
		return outcome{}, err
	}
	if s, ok := answers[0].(*Status); !ok || s.Code != OK {
		return of(answers[0]), nil
	}
	if says, ok := nameOf(answers[1]); !ok || says != text {
		return denied("the server did not make the link that was asked for"), nil
	}
	return status(OK), nil
}

// two renames or links, both names in their verified directories.
func (r *Relay) two(ctx context.Context, c *Command) (outcome, error) {
	from, to := &c.Paths[0], &c.Paths[1]
	switch {
	case from.Place.Kind == KindAbsent:
		return status(NoSuchFile), nil
	case to.Place.Kind != KindAbsent && c.Operation != OpReplace:
		return status(Failure), nil
	case c.Operation == OpHardlink && from.Place.Kind != KindRegular:
		return status(Failure), nil
	}
	if err := errors.Join(r.unchanged(ctx, from), r.unchanged(ctx, to)); err != nil {
		return outcome{}, err
	}
	old, o, err := r.pin(ctx, from)
	if err != nil || o.response != nil {
		return o, err
	}
	made, o, err := r.pin(ctx, to)
	if err == nil && o.response == nil {
		o, err = r.pair(ctx, c, old.name, made.name)
		err = errors.Join(err, made.close(r))
	}
	return o, errors.Join(err, old.close(r))
}

func (r *Relay) pair(ctx context.Context, c *Command, from, to string) (outcome, error) {
	if c.Paths[1].Place.Kind == KindAbsent {
		// What was judged as making a name must not replace a file.
		answer, err := r.ask().Do(ctx, &Lstat{to})
		if err != nil {
			return outcome{}, err
		}
		if s, ok := answer.(*Status); !ok || s.Code != NoSuchFile {
			return status(Failure), nil
		}
	}
	switch c.Operation {
	case OpRename:
		return r.plain(ctx, &Rename{from, to})
	case OpReplace:
		return r.plain(ctx, &PosixRename{from, to})
	default:
		return r.plain(ctx, &Hardlink{from, to})
	}
}

// copy has the server copy between open files. The content is not seen here.
func (r *Relay) copy(ctx context.Context, c *Command) (outcome, error) {
	if c.Length == 0 {
		return status(OK), nil
	}
	h := &Host{r, copyTimeout}
	answer, err := h.Do(ctx, &CopyData{c.file.server, c.FromOffset, c.Length, c.to.server, c.ToOffset})
	if err != nil {
		return outcome{}, err
	}
	o := of(answer)
	o.note = fmt.Sprintf("up to %d bytes copied at the server, not seen by the gateway", c.Length)
	r.engine.copied(c)
	return o, nil
}
