package sftp

// request takes any other request.
func (e *Engine) request(id uint32, r Request) (Step, error) {
	switch r := r.(type) {
	case *Close:
		return e.plain(id, r.Handle, asClose, func(f *File) Request {
			f.closing = true
			return &Close{f.server}
		})
	case *Fstat:
		return e.plain(id, r.Handle, asFstat, func(f *File) Request { return &Fstat{f.server} })
	case *Readdir:
		if f := e.handles.find(r.Handle); f != nil && !f.directory() {
			return e.refuse(id, Failure, badHandle, "list of a handle of a file"), nil
		}
		return e.plain(id, r.Handle, asReaddir, func(f *File) Request { return &Readdir{f.server} })
	case *Fstatvfs:
		if !e.offered[ExtFstatvfs] {
			return e.unsupported(id, ExtFstatvfs), nil
		}
		return e.plain(id, r.Handle, asFstatvfs, func(f *File) Request { return &Fstatvfs{f.server} })
	case *Fsync:
		if !e.offered[ExtFsync] {
			return e.unsupported(id, ExtFsync), nil
		}
		return e.plain(id, r.Handle, asFsync, func(f *File) Request { return &Fsync{f.server} })
	case *UnknownExtension:
		return e.unsupported(id, Extension(r.Name)), nil
	default:
		return e.command(id, r)
	}
}

func (e *Engine) unsupported(id uint32, x Extension) Step {
	return e.refuse(id, OpUnsupported, "this operation is not supported", "extension "+Escape(string(x)))
}

// plain forwards a request that names a handle and nothing else.
func (e *Engine) plain(id uint32, handle []byte, pattern Request, with func(*File) Request) (Step, error) {
	f := e.handles.find(handle)
	if f == nil {
		return e.refuse(id, Failure, badHandle, "a handle that is not open"), nil
	}
	own := e.follow(id, f, pattern)
	e.toServer = AppendRequest(e.toServer, own, with(f))
	return Step{Kind: StepForward, Frame: Frame{Head: e.toServer}, File: f}, nil
}

// command prepares what is to be judged.
func (e *Engine) command(id uint32, r Request) (Step, error) {
	if x := extensionOf(r); x != "" && !e.offered[x] {
		return e.unsupported(id, x), nil
	}
	var c *Command
	switch r := r.(type) {
	case *Limits, *UsersGroupsByID:
		c = &Command{request: r, service: true}
	case *Fsetstat:
		f := e.handles.find(r.Handle)
		if f == nil {
			return e.refuse(id, Failure, badHandle, "attributes of a handle that is not open"), nil
		}
		if r.Attrs.HasSize && (f.Flags&FlagWrite == 0 || r.Attrs.Size > f.grant.Write) {
			return e.refuse(id, PermissionDenied, limitText(f.grant.Write), "size of a file beyond the limit"), nil
		}
		c = onHandle(r, OpSetstat, f)
		c.Attrs = settable(r.Attrs)
	case *CopyData:
		from, to := e.handles.find(r.From), e.handles.find(r.To)
		if from == nil || to == nil || from.Flags&FlagRead == 0 || to.Flags&FlagWrite == 0 {
			return e.refuse(id, Failure, badHandle, "copy with a handle that was not opened for it"), nil
		}
		c = onCopy(r, from, to)
	case *Open:
		if !openable(r.Flags) {
			return e.refuse(id, BadMessage, "these flags do not go together", "flags "+r.Flags.String()), nil
		}
		c = command(r)
	default:
		c = command(r)
	}
	if c == nil {
		return e.refuse(id, OpUnsupported, "this operation is not supported", "an operation that is not judged"), nil
	}
	c.id = id
	e.ids[id] = struct{}{}
	return Step{Kind: StepCommand, Command: c}, nil
}

// extensionOf returns the extension that a request needs, if any.
func extensionOf(r Request) Extension {
	switch r.(type) {
	case *PosixRename:
		return ExtPosixRename
	case *Statvfs:
		return ExtStatvfs
	case *Hardlink:
		return ExtHardlink
	case *Lsetstat:
		return ExtLsetstat
	case *Limits:
		return ExtLimits
	case *ExpandPath:
		return ExtExpandPath
	case *CopyData:
		return ExtCopyData
	case *HomeDirectory:
		return ExtHomeDirectory
	case *UsersGroupsByID:
		return ExtUsersGroupsByID
	default:
		return ""
	}
}

// copyable says why a copy is beyond the limits under which its files were
// opened; empty if it is not.
func (e *Engine) copyable(c *Command) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := c.Length
	if limit := c.file.grant.Read; n > limit || c.file.read.used() > limit-n {
		return limitText(limit)
	}
	if limit := c.to.grant.Write; n > limit || c.to.written.used() > limit-n || c.ToOffset > limit-n {
		return limitText(limit)
	}
	return ""
}

// copied counts what a server was told to copy.
func (e *Engine) copied(c *Command) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.file.read.copied += c.Length
	c.to.written.copied += c.Length
}
