package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	sql "github.com/sallyport-gateway/sallyport/internal/sql/postgres"
)

// refreshInterval is how old a catalog snapshot in use may be before the target
// is asked whether its definitions have changed. It is asked at the opening of
// every session besides, and when a statement names what the snapshot lacks.
const refreshInterval = time.Second

// missingInterval is how often a name that the snapshot lacks may make the
// gateway ask the target: an agent can name what does not exist as fast as it
// likes.
const missingInterval = 200 * time.Millisecond

// Catalogs keeps what the gateway knows of the definitions at each target. A
// snapshot is shared by all sessions of a target. It is safe for concurrent use.
type Catalogs struct {
	parser sql.Parser
	log    *slog.Logger

	mu      sync.Mutex
	targets map[string]*catalog // guarded by mu; by target name
}

// NewCatalogs returns an empty collection. Statements are parsed by parser.
func NewCatalogs(parser sql.Parser, log *slog.Logger) *Catalogs {
	return &Catalogs{parser: parser, log: log, targets: map[string]*catalog{}}
}

// catalog is one target's snapshot and the inspector made from it.
type catalog struct {
	owner  *Catalogs
	target *gate.Target

	inspector atomic.Pointer[sql.Inspector] // nil before the first load
	checked   atomic.Int64                  // Unix nanoseconds of the last comparison with the target
	expired   atomic.Bool                   // a definition was changed through the gateway
	refresh   sync.Mutex                    // held while the snapshot is compared and read
}

// of returns the catalog of a target as it is configured now.
func (c *Catalogs) of(t *gate.Target) *catalog {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.targets[t.Name]; e != nil && e.target.Generation == t.Generation {
		return e
	}
	e := &catalog{owner: c, target: t}
	c.targets[t.Name] = e
	return e
}

// expire makes the next command wait until the snapshot was compared with the
// target: a definition was changed through the gateway.
func (e *catalog) expire() { e.expired.Store(true) }

// order is the one in which no row may come, by the snapshot.
func (e *catalog) order() sql.Order {
	if in := e.inspector.Load(); in != nil {
		return in.Order()
	}
	return sql.OrderStorage
}

// waits reports whether current asks the target.
func (e *catalog) waits() bool { return e.inspector.Load() == nil || e.expired.Load() }

// current returns the inspector of the newest snapshot. The first call, and the
// first after expire, waits for the target. A snapshot older than
// refreshInterval is compared in the background, so that nobody waits for what
// others may have changed.
func (e *catalog) current(ctx context.Context, g *gate.Gateway) (*sql.Inspector, error) {
	in := e.inspector.Load()
	if in == nil || e.expired.Load() {
		return e.wait(ctx, g, loadAttempts)
	}
	if time.Since(time.Unix(0, e.checked.Load())) > refreshInterval && e.refresh.TryLock() {
		go func() { // bounded by Probe
			defer e.refresh.Unlock()
			defer func() {
				if r := recover(); r != nil {
					g.Panicked("the catalog of target "+e.target.Name, r)
				}
			}()
			if err := e.probe(context.WithoutCancel(ctx), g); err != nil {
				e.owner.log.Error("catalog not compared", "target", e.target.Name, "error", err)
			}
		}()
	}
	return in, nil
}

// fresh returns the inspector of a snapshot that was compared after the call
// began. It does not insist: whoever calls it may hold locks at the target for
// which the reading of the snapshot would have to wait.
func (e *catalog) fresh(ctx context.Context, g *gate.Gateway) (*sql.Inspector, error) {
	e.expire()
	return e.wait(ctx, g, 1)
}

func (e *catalog) wait(ctx context.Context, g *gate.Gateway, attempts int) (in *sql.Inspector, err error) {
	for range attempts {
		if in, err = e.refreshed(ctx, g); err == nil || !locked(err) {
			break
		}
	}
	return in, err
}

func (e *catalog) refreshed(ctx context.Context, g *gate.Gateway) (*sql.Inspector, error) {
	e.refresh.Lock()
	defer e.refresh.Unlock()
	if in := e.inspector.Load(); in != nil && !e.expired.Load() {
		return in, nil
	}
	e.expired.Store(false) // before reading: what expires it from now on counts
	if err := e.probe(ctx, g); err != nil {
		e.expired.Store(true)
		return nil, fmt.Errorf("read the catalog of target %s: %w", e.target.Name, err)
	}
	return e.inspector.Load(), nil
}

// loadAttempts is how often a snapshot is read again because somebody is just
// changing what it shows: each waits for that as long as sql.LoadCatalog says, and
// in between whoever holds locks himself has his turn.
const loadAttempts = 20

// locked reports whether an error says that a lock was not to be had.
func locked(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "55P03" // lock_not_available
}

// probe asks the target in a session of the gateway's own. The caller holds
// e.refresh. The time of the attempt counts as a comparison even if it fails, so
// that a target that is down is not asked at every command.
func (e *catalog) probe(ctx context.Context, g *gate.Gateway) error {
	e.checked.Store(time.Now().UnixNano())
	var b backend
	return g.Probe(ctx, e.target, func(ctx context.Context, conn net.Conn, t *gate.Target, c *gate.Credential) (net.Conn, error) {
		pg, err := b.dial(ctx, conn, t, c)
		if err != nil {
			return nil, err
		}
		defer pg.Close(context.WithoutCancel(ctx))
		return conn, e.update(ctx, querier{pg})
	})
}

// missing reports whether the target was asked because the snapshot lacks a name,
// so that the name may be there now.
func (e *catalog) missing() bool {
	if time.Since(time.Unix(0, e.checked.Load())) < missingInterval {
		return false
	}
	e.expired.Store(true)
	return true
}

// compare compares the snapshot with the target and reads it again if it is
// stale. Sessions that open at the same time compare side by side, and one reads.
func (e *catalog) compare(ctx context.Context, q sql.Querier) error {
	if e.inspector.Load() != nil {
		e.checked.Store(time.Now().UnixNano())
		epoch, err := sql.Epoch(ctx, q)
		if err != nil {
			return err
		}
		if epoch == e.inspector.Load().Catalog().Epoch() {
			return nil
		}
	}
	var err error
	for range loadAttempts {
		e.refresh.Lock()
		err = e.update(ctx, q)
		e.refresh.Unlock()
		if !locked(err) {
			break
		}
	}
	return err
}

// update compares the snapshot with the target and reads it again if it is
// stale. The caller holds e.refresh.
func (e *catalog) update(ctx context.Context, q sql.Querier) error {
	now := time.Now()
	if old := e.inspector.Load(); old != nil {
		epoch, err := sql.Epoch(ctx, q)
		if err != nil {
			return err
		}
		if epoch == old.Catalog().Epoch() {
			return nil
		}
	}
	e.checked.Store(now.UnixNano())
	snapshot, err := sql.LoadCatalog(ctx, q)
	if err != nil {
		return err
	}
	in, err := sql.NewInspector(ctx, snapshot, sql.Options{Parser: e.owner.parser, Database: e.target.Database,
		Marks: e.target.Marks, Functions: e.target.Functions})
	if err != nil {
		return err
	}
	e.inspector.Store(in)
	e.owner.log.Info("catalog read", "target", e.target.Name, "epoch", snapshot.Epoch(), "took", time.Since(now).Round(time.Millisecond))
	return nil
}

// ErrCatalog is the error of what cannot be said because the catalog could not be
// read.
var ErrCatalog = errors.New("read the catalog")

// Describe says what a text would be as a command on a target, without running
// it: for explaining a decision.
func (c *Catalogs) Describe(ctx context.Context, g *gate.Gateway, t *gate.Target, text string) (*gate.Command, error) {
	e := c.of(t)
	var b backend
	err := g.Probe(ctx, t, func(ctx context.Context, conn net.Conn, t *gate.Target, cred *gate.Credential) (net.Conn, error) {
		pg, err := b.dial(ctx, conn, t, cred)
		if err != nil {
			return nil, err
		}
		defer pg.Close(context.WithoutCancel(ctx))
		if err := b.describe(ctx, pg); err != nil {
			return nil, err
		}
		e.refresh.Lock()
		defer e.refresh.Unlock()
		return conn, e.update(ctx, querier{pg})
	})
	if err != nil {
		return nil, fmt.Errorf("%w of target %s: %w", ErrCatalog, t.Name, err)
	}
	env := sql.Env{SearchPath: b.searchPath, NoUserSchema: b.noSchema, Database: b.database, StatementTimeout: t.Limits.Statement}
	var buf sql.Buffer
	in, err := e.inspector.Load().Inspect(ctx, &env, text, &buf)
	if err != nil {
		return nil, err
	}
	return &gate.Command{Text: in.Record(), Effects: in.Shape.Effects, Labels: in.Shape.Labels, Facts: in.Shape.Facts}, nil
}

// Query runs fn in a session of the gateway's own at a target, logged in with the
// target's credential, and closes it when fn returns: to ask its catalogs.
func (c *Catalogs) Query(ctx context.Context, g *gate.Gateway, t *gate.Target, fn func(q sql.Querier) error) error {
	var b backend
	return g.Probe(ctx, t, func(ctx context.Context, conn net.Conn, t *gate.Target, cred *gate.Credential) (net.Conn, error) {
		pg, err := b.dial(ctx, conn, t, cred)
		if err != nil {
			return nil, err
		}
		defer pg.Close(context.WithoutCancel(ctx))
		return conn, fn(querier{pg})
	})
}
