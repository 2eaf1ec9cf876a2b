package sftp

import (
	"context"
	"path"
	"strings"
)

// maxClimb bounds how many missing components at the end of a path are taken
// off to find the part that exists.
const maxClimb = 64

// ByServer resolves paths with requests of SFTP itself. It does not learn
// inodes, so it does not notice further hard links to a file; use it where the
// host answers nothing but SFTP.
type ByServer struct{}

// Resolve implements Resolver.
func (ByServer) Resolve(ctx context.Context, h *Host, paths []Path) error {
	for i := range paths {
		p := &paths[i]
		place, err := resolveOne(ctx, h, p.Absolute, p.Follow)
		if err != nil {
			return err
		}
		p.Place = place
	}
	return nil
}

func resolveOne(ctx context.Context, h *Host, absolute string, follow bool) (Place, error) {
	trimmed := strings.TrimRight(absolute, "/")
	last := path.Base(trimmed)
	if trimmed != absolute || last == "." || last == ".." || trimmed == "" {
		follow = true // what ends so is a directory, links and all
	}
	if !follow {
		dir, err := realDirectory(ctx, h, trimmed[:len(trimmed)-len(last)])
		if err != nil {
			return Place{}, err
		}
		return look(ctx, h, strings.TrimSuffix(dir, "/")+"/"+last)
	}
	if trimmed == "" {
		trimmed = "/"
	}
	real, err := realDirectory(ctx, h, trimmed)
	if err != nil {
		return Place{}, err
	}
	return look(ctx, h, real)
}

// realDirectory resolves a path, and if its end does not exist, the part that
// does, with the rest appended.
func realDirectory(ctx context.Context, h *Host, p string) (string, error) {
	var rest []string
	for range maxClimb {
		answer, err := h.Do(ctx, &Realpath{p})
		if err != nil {
			return "", err
		}
		if real, ok := nameOf(answer); ok {
			return path.Join(append([]string{real}, rest...)...), nil
		}
		if s, ok := answer.(*Status); !ok || s.Code != NoSuchFile {
			return "", &Refused{"it cannot be told what the path names"}
		}
		p = strings.TrimRight(p, "/")
		last := path.Base(p)
		if p == "" || last == "." || last == ".." {
			return "", &Refused{"the path goes back from a directory that does not exist"}
		}
		rest = append([]string{last}, rest...)
		p = p[:len(p)-len(last)]
		if p == "" {
			p = "/"
		}
	}
	return "", &Refused{"the path has too many parts that do not exist"}
}

func look(ctx context.Context, h *Host, real string) (Place, error) {
	answer, err := h.Do(ctx, &Lstat{real})
	if err != nil {
		return Place{}, err
	}
	switch a := answer.(type) {
	case *FileAttrs:
		return Place{Real: real, Kind: a.Attrs.Kind(), Size: a.Attrs.Size, Mode: a.Attrs.Mode}, nil
	case *Status:
		if a.Code == NoSuchFile {
			return Place{Real: real, Kind: KindAbsent}, nil
		}
	}
	return Place{}, &Refused{"it cannot be told what the path names"}
}
