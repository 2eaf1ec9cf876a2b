package hostpath

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxOutput bounds what a host may answer.
const maxOutput = 8 << 20

// Kind is what an entry is. The zero value is one that is not there.
type Kind uint8

const (
	// Missing: there is no such entry, or the account cannot reach it.
	Missing Kind = iota
	// File is a regular file.
	File
	// Directory is a directory.
	Directory
	// Link is a symbolic link that was not to be followed, or leads nowhere.
	Link
	// Device is a character or block device.
	Device
	// Pipe is a FIFO.
	Pipe
	// Socket is a socket.
	Socket
)

// Identity is what two names of one file have in common.
type Identity struct{ Device, Inode uint64 }

// Place is one path at the host as it was when the host was asked.
type Place struct {
	// Name is the path as the program is given it: the question's name, or a
	// name that its pattern matched.
	Name string
	// Real is the absolute path without links. For what is missing it is where
	// it would be, and empty if that cannot be told.
	Real string
	Kind Kind
	Identity
	Links uint64
	// Labels cover the place or, with Recurse, something at or below it; sorted.
	Labels []string
	// Refused says why the place must not be used; empty if nothing speaks
	// against it.
	Refused string
}

// Answer is what the host said to one question.
type Answer struct {
	// Infeasible: the changes of directory do not come about so; the question
	// does not matter.
	Infeasible bool
	// Places are the places: one, or those that the pattern matched or the list names,
	// in the host's order. Repository gives the repository's folders and the work
	// tree.
	Places []Place
	// Settings are the names of the git settings in force, with Repository.
	// They are nil if there is no repository.
	Settings []string
	// Refused says why the question has no answer; empty if it has one.
	Refused string
}

// Answers are the host's answers to the questions of one script.
type Answers struct {
	// Home is $HOME, and Start the real path of the directory in which commands
	// start.
	Home, Start string
	// List has one answer for each question, in order.
	List []Answer
}

// Labels are all labels that a feasible answer touches, sorted, and the reason
// of the first refusal, if any.
func (a *Answer) Labels() []string {
	var all []string
	for i := range a.Places {
		all = merge(all, a.Places[i].Labels)
	}
	return all
}

// reader takes the fields of an output one by one.
type reader struct {
	rest  []byte
	err   error
	marks *marked
}

var errAnswer = errors.New("read the host's answer: it is not in the script's form")

// field is the next NUL-terminated field.
func (r *reader) field() string {
	i := bytes.IndexByte(r.rest, 0)
	if r.err != nil || i < 0 {
		r.fail(errAnswer)
		return ""
	}
	f := string(r.rest[:i])
	r.rest = r.rest[i+1:]
	return f
}

// fields are the fields up to an empty one.
func (r *reader) fields() []string {
	all := []string{}
	for r.err == nil {
		f := r.field()
		if f == "" {
			return all
		}
		all = append(all, f)
	}
	return nil
}

// peek is the next field, left where it is.
func (r *reader) peek() string {
	i := bytes.IndexByte(r.rest, 0)
	if r.err != nil || i < 0 {
		r.fail(errAnswer)
		return ""
	}
	return string(r.rest[:i])
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// ReadAnswers reads the output of the script that was made of the questions and
// marks. An error means that nothing is known: whoever asked must refuse.
func ReadAnswers(output []byte, questions []Question, marks Marks) (*Answers, error) {
	if len(output) > maxOutput {
		return nil, fmt.Errorf("read the host's answer: over %d MiB", maxOutput>>20)
	}
	r := &reader{rest: output}
	if r.field() != "SALLYPORT1" {
		return nil, errors.New("read the host's answer: it does not begin as the script's output does; the login shell must be a Bourne shell and print nothing of its own")
	}
	if state := r.field(); r.err == nil && state != "ok" {
		return nil, fmt.Errorf("ask the host: %q", state)
	}
	a := &Answers{Home: r.field(), Start: r.path()}
	patterns := marks.patterns()
	r.marks = &marked{patterns: patterns, home: a.Home}
	if len(patterns) > 0 {
		r.marks.readMounts(r)
		r.marks.readPlaces(r)
	}
	pending := make([][]suspect, len(questions))
	for i := range questions {
		answer, suspects := r.answer(&questions[i])
		a.List = append(a.List, answer)
		pending[i] = suspects
		if r.err != nil {
			return nil, r.err
		}
	}
	known, err := r.links()
	if err != nil {
		return nil, err
	}
	if len(r.rest) != 0 {
		return nil, errAnswer
	}
	for i := range a.List {
		known.settle(&a.List[i], pending[i])
		if one := &a.List[i]; questions[i].List && len(one.Places) > 0 && len(one.Places[0].Labels) > 0 {
			// Neither names nor what is wrong with them is told of what a label covers.
			one.Places, one.Refused = one.Places[:1], "it is a list of checksums, and labelled"
		}
	}
	return a, nil
}

// path is a field that must be an absolute path.
func (r *reader) path() string {
	p := r.field()
	if !strings.HasPrefix(p, "/") {
		r.fail(errAnswer)
	}
	// POSIX lets two slashes at the beginning stand; Linux has one root.
	return "/" + strings.TrimLeft(p, "/")
}

// answer reads the records of one question.
func (r *reader) answer(q *Question) (Answer, []suspect) {
	var a Answer
	var suspects []suspect
	if r.field() != "Q" {
		r.fail(errAnswer)
	}
	last := func() *Place {
		if len(a.Places) == 0 {
			r.fail(errAnswer)
			return &Place{}
		}
		return &a.Places[len(a.Places)-1]
	}
	for r.err == nil {
		switch r.peek() {
		case "Q", "K", "END":
			a.finish(q)
			return a, suspects
		}
		switch r.field() {
		case "I":
			a.Infeasible = true
		case "N":
		case "X":
			a.refuse(r.field())
		case "P":
			a.Places = append(a.Places, r.place(q))
			if p := last(); p.Kind == File && p.Links > 1 {
				suspects = append(suspects, suspect{len(a.Places) - 1, p.Identity})
			}
		case "A":
			a.Places = append(a.Places, r.absent(q))
		case "H":
			ids, truncated := r.identities(r.field())
			if truncated {
				last().refuse("too many files with several names lie below")
			}
			for _, id := range ids {
				suspects = append(suspects, suspect{len(a.Places) - 1, id})
			}
			last()
		case "L":
			r.below(last(), q)
		case "G":
			a.Settings = r.repository(&a)
		default:
			r.fail(errAnswer)
		}
	}
	return a, nil
}

// finish checks that the answer is one.
func (a *Answer) finish(q *Question) {
	if a.Infeasible || a.Refused != "" || len(a.Places) > 0 || q.Glob {
		return
	}
	if q.Use == Repository {
		a.refuse("there is no git repository, or git does not trust it")
		return
	}
	a.refuse("the host has no answer")
}

func (a *Answer) refuse(why string) {
	if a.Refused == "" {
		a.Refused = why
	}
}

func (p *Place) refuse(why string) {
	if p.Refused == "" {
		p.Refused = why
	}
}

// entry is device, inode, links and mode, as the script's stat prints them.
type entry struct {
	Identity
	links uint64
	kind  Kind
}

// entry reads a field of that form; false if it is empty.
func (r *reader) entry() (entry, bool) {
	text := r.field()
	if text == "" {
		return entry{}, false
	}
	parts := strings.Split(text, ":")
	if len(parts) != 4 {
		r.fail(errAnswer)
		return entry{}, false
	}
	var n [4]uint64
	for i, p := range parts {
		base := 10
		if i == 3 {
			base = 16
		}
		var err error
		if n[i], err = strconv.ParseUint(p, base, 64); err != nil {
			r.fail(errAnswer)
		}
	}
	kinds := map[uint64]Kind{0o10: File, 0o4: Directory, 0o12: Link, 0o2: Device, 0o6: Device, 0o1: Pipe, 0o14: Socket}
	e := entry{Identity{n[0], n[1]}, n[2], kinds[n[3]>>12]}
	if e.kind == Missing {
		r.fail(errAnswer)
	}
	return e, r.err == nil
}

// place reads a place that is there.
func (r *reader) place(q *Question) Place {
	name, directory, base := r.field(), r.path(), r.field()
	own, there := r.entry()
	target := r.field()
	followed, leads := r.entry()
	again, same := r.entry()
	p := Place{Name: name, Real: join(directory, base), Kind: own.kind, Identity: own.Identity, Links: own.links}
	if processDirectory.MatchString(name) {
		p.refuse(whyProcessDirectory)
	}
	if within(directory, "/proc") && strings.HasSuffix(directory, "/fd") {
		p.refuse("open files of a process are not places")
	}
	if !there || strings.Contains(base, "/") {
		p.refuse("the host cannot tell what it is")
	}
	if p.Real == "/proc/mounts" {
		// A link to another file for each process that looks.
		own.kind, p.Kind = File, File
	}
	// What goes through all that is below begins with where a named link leads.
	if own.kind == Link && (q.Follow || q.Use == Enter || q.Use == Fill || q.Use == Recurse) {
		switch {
		case !leads && target == "":
			// A link into nothing, or to a place that the account cannot reach.
			p.Real, p.Kind = "", Missing
		case !leads:
			p.Real, p.Kind = target, Missing
		case !same || followed.Identity != again.Identity:
			// The links of /proc lead by the kernel, not by their text.
			p.refuse("it is a link that does not lead where it says")
		default:
			p.Labels = r.marks.cover(p.Real, p.Kind, q)
			p.Real, p.Kind, p.Identity, p.Links = target, followed.kind, followed.Identity, followed.links
			if q.Use == Create && p.Kind == Directory {
				// What is copied to a link to a directory gets a name in there.
				p.Labels = merge(p.Labels, r.marks.cover(target, p.Kind, &Question{Use: Delete}))
			}
		}
	}
	if p.Real != "" && !strings.HasPrefix(p.Real, "/") {
		r.fail(errAnswer)
	}
	r.judge(&p, q)
	return p
}

// absent reads a place that is not there.
func (r *reader) absent(q *Question) Place {
	p := Place{Name: r.field()}
	directory, rest := r.path(), r.field()
	p.Real = join(directory, strings.TrimPrefix(rest, "/"))
	r.judge(&p, q)
	if strings.Contains(rest+"/", "/../") {
		// The host finds nothing there, but some programs take dot-dots away by the
		// text before they open the name, and find what stands behind them.
		p.Real = ""
		p.refuse("a dot-dot stands behind what is no directory")
	}
	if processDirectory.MatchString(p.Name) {
		p.refuse(whyProcessDirectory)
	}
	return p
}

// judge adds the labels of a place and refuses what no label can speak for.
func (r *reader) judge(p *Place, q *Question) {
	if p.Real == "" {
		return
	}
	p.Labels = merge(p.Labels, r.marks.cover(p.Real, p.Kind, q))
	if q.Use != Stat && q.Use != Match {
		if why := special(p.Real, p.Kind, q.Use); why != "" {
			p.refuse(why)
		}
	}
}

// maxSettings is how many bytes of the names of settings the script prints.
const maxSettings = 64 << 10

// repository reads what git said: the settings' names, nil without a repository.
func (r *reader) repository(a *Answer) []string {
	top, own, shared, alternates := r.field(), r.field(), r.field(), r.field()
	settings := r.fields()
	length := 0
	for _, s := range settings {
		length += len(s) + 1
	}
	if length >= maxSettings {
		a.refuse("the repository has too many settings")
	}
	if alternates != "0" {
		a.refuse("the repository borrows objects from another one")
	}
	if own == "" || shared == "" {
		return nil
	}
	_ = top
	return settings
}

// maxBelow is how many bytes of links below a place the script prints.
const maxBelow = 256 << 10

// below reads where the symbolic links below a place lead.
func (r *reader) below(p *Place, q *Question) {
	links := r.fields()
	length := 0
	for _, l := range links {
		if length += len(l) + 1; length >= maxBelow {
			p.refuse("too many links lie below")
		}
		target, found := strings.CutSuffix(l[1:], "\n.")
		if !found {
			continue // leads nowhere
		}
		p.Labels = merge(p.Labels, r.marks.cover(target, Directory, &Question{Use: Recurse}))
		if l[0] == 'd' && !within(target, p.Real) {
			p.refuse("a link below leads to another directory: " + target)
		}
		if q.Use == Fill && !within(target, p.Real) {
			// A rule that looks at the files that are written must see them.
			p.refuse("a link below leads to another place: " + target)
		}
		if why := special(target, File, Read); why != "" {
			p.refuse(why)
		}
	}
}

// identities reads lines of device:inode.
func (r *reader) identities(text string) (ids []Identity, truncated bool) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		device, inode, found := strings.Cut(line, ":")
		d, err1 := strconv.ParseUint(device, 10, 64)
		i, err2 := strconv.ParseUint(inode, 10, 64)
		if !found || err1 != nil || err2 != nil {
			r.fail(errAnswer)
			return nil, false
		}
		ids = append(ids, Identity{d, i})
	}
	return ids, len(ids) > 4096
}

// join puts a name below a directory.
func join(directory, base string) string {
	switch {
	case base == "":
		return directory
	case directory == "/":
		return "/" + base
	default:
		return directory + "/" + base
	}
}

// within reports whether a path is the other or lies below it.
func within(path, top string) bool {
	return path == top || top == "/" || strings.HasPrefix(path, top) && path[len(top)] == '/'
}
