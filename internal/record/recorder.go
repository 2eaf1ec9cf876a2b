package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// DefaultMinFree is the free space below which no recording starts.
const DefaultMinFree = 64 << 20

// syncEvery is how often what was committed goes from the kernel to the disk,
// and how long an effect may wait in memory for the next commit.
const syncEvery = time.Second

// Config says where and how a Recorder works.
type Config struct {
	// Dir is the folder of the recordings. It is made with mode 0700 if it is
	// missing. It belongs to one Recorder at a time.
	Dir string
	// MinFree is how many bytes the file system must have free for a recording
	// to start. Zero means DefaultMinFree; negative means no such limit.
	MinFree int64
	// Log receives failures of the background writing. Nil discards.
	Log *slog.Logger
}

// Recorder keeps recordings in a folder. It is safe for concurrent use.
type Recorder struct {
	cfg  Config
	seed maphash.Seed
	lock *os.File
	open func(name string, flag int) (file, error) // a seam for failing disks
	stop chan struct{}
	done chan struct{} // closed when the background goroutine has ended

	mu     sync.Mutex
	dirty  []*Recording // guarded by mu; with something for the background to do
	named  bool         // guarded by mu; the folder has names that are not synced
	closed bool         // guarded by mu
}

// file is the part of *os.File that recordings use.
type file interface {
	ReadAt(b []byte, off int64) (int, error)
	WriteAt(b []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// New locks the folder and returns a recorder for it. The caller runs [Recover]
// before New and Close when it is done.
func New(cfg Config) (*Recorder, error) {
	if cfg.MinFree == 0 {
		cfg.MinFree = DefaultMinFree
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	lock, err := lockFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	r := &Recorder{
		cfg: cfg, seed: maphash.MakeSeed(), lock: lock,
		stop: make(chan struct{}), done: make(chan struct{}),
		open: func(name string, flag int) (file, error) {
			f, err := os.OpenFile(name, flag, 0o600)
			if err != nil {
				return nil, err
			}
			return f, nil
		},
	}
	go r.background()
	return r, nil
}

// Dir returns the folder of the recordings.
func (r *Recorder) Dir() string { return r.cfg.Dir }

// ErrClosed is the error of a recorder or recording that was closed.
var ErrClosed = errors.New("record: closed")

// Start begins the recording of a session. The session's id must be new and of
// lower-case letters, digits and underscores. It fails, with a text that says
// so, when the file system is nearly full.
func (r *Recorder) Start(s *gate.SessionInfo) (gate.Recording, error) {
	if err := checkID(s.ID); err != nil {
		return nil, err
	}
	if err := r.checkSpace(); err != nil {
		return nil, err
	}
	for _, ext := range []string{recExt, cutExt} {
		if _, err := os.Lstat(r.path(s.ID, ext)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("record: start %s: %w", s.ID, fs.ErrExist)
		}
	}
	raw, err := json.Marshal(newStart(s))
	if err != nil {
		return nil, fmt.Errorf("record: start %s: %w", s.ID, err)
	}
	if len(raw) > maxStart {
		return nil, fmt.Errorf("record: start %s: %d bytes about the session, at most %d", s.ID, len(raw), maxStart)
	}
	r.mu.Lock()
	closed := r.closed
	r.named = true
	r.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	f, err := r.open(r.path(s.ID, tailExt), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, fmt.Errorf("record: start: %w", err)
	}
	g := &Recording{r: r, info: s, tail: tail{file: f}}
	if err := g.begin(raw); err != nil {
		_ = f.Close()
		_ = os.Remove(r.path(s.ID, tailExt))
		return nil, fmt.Errorf("record: start %s: %w", s.ID, err)
	}
	return g, nil
}

func (r *Recorder) checkSpace() error {
	if r.cfg.MinFree < 0 {
		return nil
	}
	free, known := freeSpace(r.cfg.Dir)
	if known && free < r.cfg.MinFree {
		return fmt.Errorf("record: %s has %d MiB free, and a recording starts only with %d MiB: make room or move the recordings",
			r.cfg.Dir, free>>20, r.cfg.MinFree>>20)
	}
	return nil
}

func (r *Recorder) path(id, ext string) string { return filepath.Join(r.cfg.Dir, id+ext) }

// Close ends the background writing and unlocks the folder. Recordings that
// are still open can be written and closed, but none can start.
func (r *Recorder) Close() error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if closed {
		return nil
	}
	close(r.stop)
	<-r.done
	return r.lock.Close()
}

// touch asks the background to write and sync g soon.
func (r *Recorder) touch(g *Recording) {
	r.mu.Lock()
	r.dirty = append(r.dirty, g)
	r.mu.Unlock()
}

// background writes what waits and syncs what was written, once a syncEvery. It
// ends with Close.
func (r *Recorder) background() {
	defer close(r.done)
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.sweep()
		case <-r.stop:
			r.sweep()
			return
		}
	}
}

// sweep writes and syncs every recording that was touched since the last one.
func (r *Recorder) sweep() {
	r.mu.Lock()
	dirty, named := r.dirty, r.named
	r.dirty, r.named = nil, false
	r.mu.Unlock()
	// All are written before any is synced: syncing many files takes seconds.
	for _, visit := range []func(*Recording) error{(*Recording).flush, (*Recording).sync} {
		for _, g := range dirty {
			if err := visit(g); err != nil {
				r.cfg.Log.Error("recording failed", "session", g.info.ID, "error", err)
			}
		}
	}
	if named {
		if err := syncFolder(r.cfg.Dir); err != nil {
			r.cfg.Log.Error("folder of recordings not synced", "error", err)
		}
	}
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}

// File name endings of a recording.
const (
	recExt  = ".rec"
	tailExt = ".tail"
	// cutExt is a tail whose recording failed.
	cutExt = ".cut"
)

// maxID bounds a session id; the gate's have 30 bytes.
const maxID = 64

// checkID refuses whatever could leave the folder or hide in a listing.
func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("record: session id of %d bytes", len(id))
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return fmt.Errorf("record: session id %q: only a-z, 0-9 and _", id)
		}
	}
	return nil
}
