package hostpath

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// marked is what the host knows of labelled places.
type marked struct {
	patterns []pattern
	home     string
	mounts   []mount
	// places are the real paths of what the patterns match, by pattern.
	places []labelled
}

type labelled struct {
	label, real string
	origin      origin
}

// mount is one line of mountinfo.
type mount struct{ device, root, point string }

// origin says where a path lies in its file system: equal origins under two
// mount points are the same file.
type origin struct{ device, path string }

// readMounts reads /proc/self/mountinfo (proc_pid_mountinfo(5)).
func (m *marked) readMounts(r *reader) {
	text := r.field()
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 6 {
			r.fail(errAnswer)
			return
		}
		m.mounts = append(m.mounts, mount{f[2], unescape(f[3]), unescape(f[4])})
	}
	if len(m.mounts) == 0 {
		r.fail(fmt.Errorf("ask the host: its mounts cannot be read, so that labelled places cannot be told"))
	}
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// origin finds the mount that shows a path; the last of several at one point is
// on top.
func (m *marked) origin(path string) origin {
	var best mount
	for _, c := range m.mounts {
		if within(path, c.point) && len(c.point) >= len(best.point) {
			best = c
		}
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(path, best.point), "/")
	return origin{best.device, join(strings.TrimSuffix(best.root, "/"), "") + "/" + rest}
}

// readPlaces reads where the labelled places are.
func (m *marked) readPlaces(r *reader) {
	for r.err == nil && r.peek() == "M" {
		r.field()
		i, err := strconv.Atoi(r.field())
		real := r.field()
		if err != nil || i < 0 || i >= len(m.patterns) {
			r.fail(errAnswer)
			return
		}
		if strings.HasPrefix(real, "/") {
			m.places = append(m.places, labelled{m.patterns[i].label, real, m.origin(real)})
		}
	}
}

// cover lists the labels of a place: those it lies in and, for what is done to
// all that is below, those that lie in it. Nothing lies below a file; a link may be
// on the way to a labelled place.
func (m *marked) cover(real string, kind Kind, q *Question) []string {
	if len(m.patterns) == 0 {
		return nil
	}
	var labels []string
	below := kind != File && (q.Use == Recurse || q.Use == Walk || q.Use == Fill || q.Use == Delete || q.Use == Repository)
	for _, p := range m.patterns {
		path := p.path
		if rest, home := strings.CutPrefix(path, "~/"); home {
			path = join(m.home, rest)
		}
		if matches(path, real, below) {
			labels = merge(labels, []string{p.label})
		}
	}
	o := m.origin(real)
	for _, l := range m.places {
		switch {
		case within(real, l.real), o.device == l.origin.device && within(o.path, l.origin.path),
			below && within(l.real, real), below && o.device == l.origin.device && within(l.origin.path, o.path),
			below && m.shows(real, l):
			labels = merge(labels, []string{l.label})
		}
	}
	return labels
}

// shows reports whether a mount below a path shows a labelled place.
func (m *marked) shows(real string, l labelled) bool {
	for _, c := range m.mounts {
		if within(c.point, real) && c.device == l.origin.device &&
			(within(l.origin.path, c.root) || within(c.root, l.origin.path)) && !m.hides(c, l, real) {
			return true
		}
	}
	return false
}

// hides reports whether the mount is the one under which the labelled place was
// found, and the place itself is not below the path.
func (m *marked) hides(c mount, l labelled, real string) bool {
	return within(l.real, c.point) && !within(l.real, real)
}

// matches reports whether a path lies at or below a pattern or, with below, leads
// to it.
func matches(pattern, path string, below bool) bool {
	want, have := strings.Split(strings.Trim(pattern, "/"), "/"), strings.Split(strings.Trim(path, "/"), "/")
	if path == "/" {
		have = nil
	}
	if len(have) < len(want) && !below {
		return false
	}
	for i := range min(len(want), len(have)) {
		if !star(want[i], have[i]) {
			return false
		}
	}
	return true
}

// star matches one component against one with stars.
func star(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	name, found := strings.CutPrefix(name, parts[0])
	if !found {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}

// merge is the sorted union.
func merge(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// suspect is a file with several names, at or below a place.
type suspect struct {
	place int
	id    Identity
}

// linked are the labelled files with several names.
type linked struct {
	ids    map[Identity][]string
	partly bool
	labels []string
}

// links reads the end of an output: the labelled files with several names, if
// any place asked for them.
func (r *reader) links() (*linked, error) {
	known := &linked{ids: map[Identity][]string{}}
	for _, p := range r.marks.patterns {
		known.labels = merge(known.labels, []string{p.label})
	}
	switch r.field() {
	case "K":
		text := r.field()
		known.partly = strings.Contains(text, "partly\n")
		ids, _ := r.identities(strings.ReplaceAll(text, "partly\n", ""))
		for _, id := range ids {
			// The labels of one file are not told apart: each is as good a
			// reason to refuse.
			known.ids[id] = known.labels
		}
		if r.field() != "END" {
			r.fail(errAnswer)
		}
	case "END":
		known.partly = true // nobody asked, so nothing is known
	default:
		r.fail(errAnswer)
	}
	return known, r.err
}

// settle adds the labels of hard links to an answer.
func (k *linked) settle(a *Answer, suspects []suspect) {
	if len(k.labels) == 0 {
		return
	}
	for _, s := range suspects {
		p := &a.Places[s.place]
		if labels, found := k.ids[s.id]; found {
			p.Labels = merge(p.Labels, labels)
		} else if k.partly {
			p.refuse("it has several names, and the host cannot tell whether one of them is labelled")
		}
	}
}
