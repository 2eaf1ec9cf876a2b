package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Bounds of a documents folder: our own, far above what people keep by hand.
const (
	maxFiles       = 4096
	maxFolderBytes = 64 << 20
)

// pollInterval is how often Watch looks at the folder.
const pollInterval = 2 * time.Second

// Hook prepares another package for a set, before the set comes into force:
// compile its policies, build its issuers. Errors refuse the set; a hook that
// returned none is given the word by its commit function (nil for a hook that only
// checks), which must not fail. Commits run in the order of the hooks, before the
// Store hands out the set.
type Hook func(s *Set) (commit func(), errs []error)

// Journal records changes of the configuration.
type Journal interface {
	// Record stores one change durably, before it comes into force. An error
	// refuses the change. Calls do not overlap.
	Record(ctx context.Context, c *Change) error
}

// Options are what a Store is made of.
type Options struct {
	// Folder holds the documents: *.yaml and *.yml, not in subfolders, no
	// hidden files. It is created by the first Apply.
	Folder string
	// Base is the folder that relative files named by documents are under.
	// Empty means Folder.
	Base string
	// Kinds are the kinds of documents; see Kinds.
	Kinds []Kind
	// Hooks prepare and check; see Hook.
	Hooks []Hook
	// Applied is called with each set as soon as it is in force; nil is not.
	Applied func(*Set)
	// Journal records changes; nil records none.
	Journal Journal
	// Log receives reloads and their errors; nil discards.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Store holds the set in force and replaces it atomically. It implements
// gate.Directory and is safe for concurrent use.
type Store struct {
	o   Options
	set atomic.Pointer[Set]

	mu    sync.Mutex // guards the folder and what follows
	files []file     // as read for the set in force
	stamp string     // of the folder when it was last read
	told  string     // what keeps the folder from being loaded, other than mistakes, as it was logged
}

// file is one file of the folder.
type file struct {
	name string // in the folder
	text []byte
}

// NewStore returns a Store with an empty set, in which no target exists.
func NewStore(o Options) *Store {
	if o.Base == "" {
		o.Base = o.Folder
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{o: o}
	s.set.Store(&Set{docs: map[string]map[string]*Document{}, targets: map[string]*gate.Target{}})
	return s
}

// Set returns the set in force. It is never nil.
func (s *Store) Set() *Set { return s.set.Load() }

// Target implements gate.Directory.
func (s *Store) Target(name string) (*gate.Target, bool) { return s.Set().Target(name) }

// Generation returns the generation of the set in force.
func (s *Store) Generation() uint64 { return s.Set().Generation() }

// Load reads the folder and brings it into force. On an error, which is Errors
// for mistakes in documents, the set in force stays. A folder that does not exist
// is empty.
func (s *Store) Load(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reload(ctx, SourceStart, "")
}

// Check reads the folder as Load does and reports its mistakes; nothing comes
// into force.
func (s *Store) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, err := s.read()
	if err != nil {
		return err
	}
	_, _, err = s.prepare(files, nil)
	return err
}

// reload needs mu.
func (s *Store) reload(ctx context.Context, source, who string) error {
	if err := s.finishPending(); err != nil {
		return err
	}
	stamp := s.stat()
	files, err := s.read()
	if err != nil {
		return err
	}
	s.stamp = stamp
	set, commits, err := s.prepare(files, nil)
	if err != nil {
		return err
	}
	change := s.change(set, source, who)
	if len(change.Documents) == 0 && source != SourceStart {
		s.files = files
		return nil
	}
	if err := s.record(ctx, change); err != nil {
		return err
	}
	s.commit(set, files, commits)
	s.o.Log.Info("documents loaded", "generation", set.generation, "changed", len(change.Documents), "source", source)
	return nil
}

// prepare builds a set of the files and asks the hooks. Errors in documents that
// are in fresh name the place there.
func (s *Store) prepare(files []file, fresh []*chunk) (*Set, []func(), error) {
	var chunks []*chunk
	var errs Errors
	for _, f := range files {
		c, err := split(filepath.Join(s.o.Folder, f.name), f.text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, one := range c {
			chunks = append(chunks, shownAs(one, fresh))
		}
	}
	set, more := build(s.o.Kinds, s.o.Base, chunks, s.Set().generation+1)
	if errs = append(errs, more...); len(errs) > 0 {
		return nil, nil, errs
	}
	var commits []func()
	for _, h := range s.o.Hooks {
		commit, failed := h(set)
		for _, err := range failed {
			errs = append(errs, set.place(nil, err)...)
		}
		if commit != nil {
			commits = append(commits, commit)
		}
	}
	if len(errs) > 0 {
		b := builder{errs: errs}
		b.sort()
		return nil, nil, b.errs
	}
	for _, d := range set.All("") {
		if home := d.chunk.home; home != nil { // nothing is wrong with it: it is where it was put
			d.File, d.Line = home.file, d.Line-d.chunk.first()+home.first()
		}
	}
	return set, commits, nil
}

// shownAs returns the chunk of fresh with the same text, or c.
func shownAs(c *chunk, fresh []*chunk) *chunk {
	text := strings.Trim(c.text(), "\n")
	for _, f := range fresh {
		if text != "" && strings.Trim(f.text(), "\n") == text {
			shown := *f
			shown.home = c
			return &shown
		}
	}
	return c
}

// commit brings a prepared set into force. It needs mu.
func (s *Store) commit(set *Set, files []file, commits []func()) {
	for _, c := range commits {
		c()
	}
	s.files = files
	s.set.Store(set)
	if s.o.Applied != nil {
		s.o.Applied(set)
	}
}

func (s *Store) record(ctx context.Context, c *Change) error {
	if s.o.Journal == nil {
		return nil
	}
	if err := s.o.Journal.Record(ctx, c); err != nil {
		return fmt.Errorf("record the change: %w", err)
	}
	return nil
}

// Watch reloads the folder when it changes, until ctx ends. A folder with a
// mistake leaves the set in force and is logged once. What has another cause than
// the documents (a change that cannot be recorded) is tried again.
func (s *Store) Watch(ctx context.Context) {
	t := time.NewTicker(pollInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.Poll(ctx)
		}
	}
}

// Poll does once what Watch does at every interval: it reloads if a file was
// added, removed or written since the last look.
func (s *Store) Poll(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stamp := s.stat(); stamp == s.stamp {
		return
	}
	err := s.reload(ctx, SourceReload, "")
	var mistakes Errors
	switch {
	case err == nil:
		s.told = ""
	case errors.As(err, &mistakes):
		s.told = ""
		s.o.Log.Error("documents not loaded, the old ones stay in force", "error", err)
	default:
		s.stamp = unread
		if text := err.Error(); text != s.told {
			s.told = text
			s.o.Log.Error("documents not loaded, the old ones stay in force; trying again", "error", err)
		}
	}
}

// unread is the stamp of no folder.
const unread = "\x00"

// stat describes the folder without reading files. It needs mu.
func (s *Store) stat() string {
	var b strings.Builder
	names, _ := s.names()
	for _, n := range names {
		if info, err := os.Stat(filepath.Join(s.o.Folder, n)); err == nil {
			fmt.Fprintf(&b, "%s\x00%d\x00%d\n", n, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

// names lists the folder's document files in order.
func (s *Store) names() ([]string, error) {
	entries, err := os.ReadDir(s.o.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		names = append(names, e.Name())
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("%s holds more than %d documents files", s.o.Folder, maxFiles)
	}
	slices.Sort(names)
	return names, nil
}

// read reads the folder's files.
func (s *Store) read() ([]file, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var files []file
	total := 0
	for _, n := range names {
		text, err := readFile(filepath.Join(s.o.Folder, n), maxFileBytes)
		if err != nil {
			return nil, err
		}
		if total += len(text); total > maxFolderBytes {
			return nil, fmt.Errorf("%s holds more than %d MiB of documents", s.o.Folder, maxFolderBytes>>20)
		}
		files = append(files, file{n, text})
	}
	return files, nil
}
