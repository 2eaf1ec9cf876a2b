package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// The systems' names, as they stand in the results.
const (
	direct    = "direct"
	pgbouncer = "pgbouncer"
	sallyport = "sallyport"
	// unlabelled is the same process with a second target: the same database without
	// labels.
	unlabelled = "sallyport, no labels"
	// asked is that target, of which the client asks for the gateway's masks itself: the
	// database's work for them, without the gateway's.
	asked = "sallyport, masks in the client's text"
	// masking is the direct connection with the gateway's masks in the text: what the
	// database's own work for them costs.
	masking = "direct, masks in its text"
)

// labelledRows is the workload that compares the two: rows of the table with the
// labelled column.
const labelledRows = "labelled-rows"

// labelledScript is its pgbench script, by what stands for the labelled column.
const labelledScript = `\set id random(1, 1000)
SELECT id, name, %s, note FROM bulk WHERE id <> :id LIMIT 1;
`

// The labelled column: plain, and with the mask that the gateway writes for it
// (internal/sql/postgres/mask.go).
const (
	plainCard  = "card"
	maskedCard = `'****' OPERATOR(pg_catalog.||) pg_catalog."right"("bulk"."card", CASE WHEN pg_catalog.length("bulk"."card") OPERATOR(pg_catalog.>=) 8 THEN 4 ELSE 0 END) AS "card"`
)

// system is one way to the database.
type system struct {
	name string
	host string
	port int
	// database and user are what a client names; password makes what it shows: a
	// token is minted for each run, so that none expires in a long one.
	database, user string
	password       func() (string, error)
	caFile         string
	// pid is the proxy's process; 0 for the direct connection, whose cost is no
	// proxy's.
	pid int
	// ready is the time from start to the first log-in; idleMiB the resident
	// memory then.
	ready   time.Duration
	idleMiB float64
	stop    func() error
	// masks is that the client asks for the gateway's masks itself.
	masks bool
}

// card is the labelled column as the client asks for it.
func (s *system) card() string {
	if s.masks {
		return maskedCard
	}
	return plainCard
}

// row is one figure of the result. The names are the published ones.
type row struct {
	System        string  `json:"system"`
	Workload      string  `json:"workload"`
	Mode          string  `json:"mode,omitempty"`
	Clients       int     `json:"clients,omitempty"`
	TPS           float64 `json:"tps,omitempty"`
	P50us         float64 `json:"p50_us,omitempty"`
	P99us         float64 `json:"p99_us,omitempty"`
	CPUusPerTxn   float64 `json:"cpu_us_per_txn,omitempty"`
	MBps          float64 `json:"mb_per_s,omitempty"`
	CPUsPerGB     float64 `json:"cpu_s_per_gb,omitempty"`
	KiBPerSession float64 `json:"kib_per_session,omitempty"`
	// ReadyMs and IdleMiB belong to workload "start".
	ReadyMs float64 `json:"ready_ms,omitempty"`
	IdleMiB float64 `json:"idle_mib,omitempty"`
	// PeakMiB is the proxy's highest resident memory so far, for the bulk workloads.
	PeakMiB float64 `json:"peak_mib,omitempty"`
}

// cell is one figure to take: a workload in one mode with some clients.
type cell struct {
	workload, mode string
	clients        int
}

func cells() []cell {
	var all []cell
	for _, workload := range []string{"select-only", "tpcb-like"} {
		for _, mode := range []string{"simple", "extended", "prepared"} {
			for _, clients := range []int{1, 8} {
				all = append(all, cell{workload, mode, clients})
			}
		}
	}
	return all
}

// measure takes every figure. Within a cell the systems take turns, so that what
// else the machine does meets all of them.
func measure(ctx context.Context, c plan, b *bed, out io.Writer) ([]row, error) {
	var rows []row
	take := func(systems []*system, workload, mode string, clients, rounds int, once func(*system) (row, error)) error {
		samples := map[string][]row{}
		for range rounds {
			for _, s := range systems {
				r, err := once(s)
				if err != nil {
					return fmt.Errorf("%s, %s %s, %d clients: %w", s.name, workload, mode, clients, err)
				}
				samples[s.name] = append(samples[s.name], r)
			}
		}
		for _, s := range systems {
			r := medianRow(samples[s.name])
			r.System, r.Workload, r.Mode, r.Clients = s.name, workload, mode, clients
			rows = append(rows, r)
			fmt.Fprintln(out, r.line())
		}
		return nil
	}
	if c.has(partQueries) {
		for _, cell := range cells() {
			err := take(b.systems, cell.workload, cell.mode, cell.clients, c.rounds(), func(s *system) (row, error) {
				return b.pgbench(ctx, s, cell, c.roundSeconds())
			})
			if err != nil {
				return nil, err
			}
		}
	}
	if c.has(partLabelled) {
		for _, mode := range []string{"simple", "extended", "prepared"} {
			err := take(b.labelled(), labelledRows, mode, 8, c.rounds(), func(s *system) (row, error) {
				return b.pgbench(ctx, s, cell{labelledRows, mode, 8}, c.roundSeconds())
			})
			if err != nil {
				return nil, err
			}
		}
	}
	if c.has(partBulk) {
		for _, bulk := range bulks {
			err := take(b.bulkSystems(), bulk.workload, "simple", 1, c.rounds(), func(s *system) (row, error) {
				return readBulk(ctx, s, bulk.text(s), c.bulkRows)
			})
			if err != nil {
				return nil, err
			}
		}
	}
	for _, s := range b.systems {
		if s.pid == 0 {
			continue
		}
		rows = append(rows, row{System: s.name, Workload: "start", ReadyMs: float64(s.ready.Microseconds()) / 1000, IdleMiB: s.idleMiB})
		if c.idle == 0 || !c.has(partIdle) {
			continue
		}
		kib, err := idleSessions(ctx, s, c.idle)
		if err != nil {
			return nil, fmt.Errorf("%s, %d idle sessions: %w", s.name, c.idle, err)
		}
		r := row{System: s.name, Workload: "idle", Clients: c.idle, KiBPerSession: kib}
		rows = append(rows, r)
		fmt.Fprintln(out, r.line())
	}
	return rows, nil
}

// labelled are the two targets of the gateway that differ in labels only, and the one
// without asked for what the other answers.
func (b *bed) labelled() []*system {
	for _, s := range b.systems {
		if s.name == sallyport {
			other := *s
			other.name, other.database = unlabelled, unlabelledTarget
			same := other
			same.name, same.masks = asked, true
			return []*system{&other, &same, s}
		}
	}
	return nil
}

// bulkSystems are the systems, and for comparison those without masks and without a
// gateway.
func (b *bed) bulkSystems() []*system {
	var all []*system
	for _, s := range b.systems {
		other := *s
		switch s.name {
		case direct:
			other.name, other.masks = masking, true
			all = append(all, s, &other)
		case sallyport:
			other.name, other.database = unlabelled, unlabelledTarget
			all = append(all, &other, s)
		default:
			all = append(all, s)
		}
	}
	return all
}

// medianRow takes the median of each figure by itself.
func medianRow(samples []row) row {
	median := func(figure func(row) float64) float64 {
		var all []float64
		for _, s := range samples {
			all = append(all, figure(s))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return row{
		TPS:         median(func(r row) float64 { return r.TPS }),
		P50us:       median(func(r row) float64 { return r.P50us }),
		P99us:       median(func(r row) float64 { return r.P99us }),
		CPUusPerTxn: median(func(r row) float64 { return r.CPUusPerTxn }),
		MBps:        median(func(r row) float64 { return r.MBps }),
		CPUsPerGB:   median(func(r row) float64 { return r.CPUsPerGB }),
		PeakMiB:     median(func(r row) float64 { return r.PeakMiB }),
	}
}

// line is the row for a reader who watches.
func (r row) line() string {
	what := fmt.Sprintf("%-10s %-12s %-9s %4d clients  ", r.System, r.Workload, r.Mode, r.Clients)
	switch {
	case r.Workload == "idle":
		return what + fmt.Sprintf("%.1f KiB/session", r.KiBPerSession)
	case r.MBps > 0:
		return what + fmt.Sprintf("%7.1f MB/s  %.2f CPU-s/GB", r.MBps, r.CPUsPerGB)
	default:
		return what + fmt.Sprintf("%8.0f tps  p50 %6.0f µs  p99 %6.0f µs  %6.1f µs CPU/txn", r.TPS, r.P50us, r.P99us, r.CPUusPerTxn)
	}
}

// stop ends everything that prepare started.
func (b *bed) stop() error {
	var errs []error
	for _, s := range slices.Backward(b.systems) {
		if s.stop != nil {
			errs = append(errs, s.stop())
		}
	}
	if b.server != nil {
		errs = append(errs, b.server.Stop())
	}
	return errors.Join(append(errs, removeAll(b.dir))...)
}
