package clients

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

func (p *pgxSession) parameters(ctx context.Context) (Result, error) {
	types := []string{"int4", "text", "numeric", "timestamptz", "bytea", "jsonb", "int4[]", "text[]", "text"}
	list := func(suffix string) string {
		var parts []string
		for i, t := range types {
			parts = append(parts, fmt.Sprintf("$%d::%s%s", i+1, t, suffix))
		}
		return "SELECT " + strings.Join(parts, ", ")
	}
	digits, _ := new(big.Int).SetString("12345678901234567890123456789", 10)
	number := pgtype.Numeric{Int: digits, Exp: -9, Valid: true}
	moment := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	b, d := "a b", `c"d`
	doc := map[string]any{"a": []any{float64(1), "β"}}
	args := []any{int32(42), "it's $1 β", number, moment, []byte{0, 255, 'A'}, doc, []int32{1, 2, 3}, []*string{&b, &d, nil}, (*string)(nil)}

	got := []any{new(int32), new(string), new(pgtype.Numeric), new(time.Time), new([]byte), new(map[string]any), new([]int32), new([]*string), new(*string)}
	if err := p.conn.QueryRow(ctx, list(""), args...).Scan(got...); err != nil {
		return Result{}, err
	}
	for i := range got {
		value := reflect.ValueOf(got[i]).Elem().Interface()
		if at, ok := value.(time.Time); ok {
			value = at.UTC()
		}
		if !reflect.DeepEqual(value, args[i]) {
			return Result{}, fmt.Errorf("parameter %d came back as %v, want %v", i+1, value, args[i])
		}
	}
	return p.rows(ctx, list("::text"), args...)
}

func (p *pgxSession) prepared(ctx context.Context) (Result, error) {
	if _, err := p.conn.Prepare(ctx, "twice", "SELECT $1::int * 2"); err != nil {
		return Result{}, err
	}
	var r Result
	for i := 1; i <= 10; i++ {
		rows, err := p.query(ctx, "twice", i)
		if err != nil {
			return r, err
		}
		r.Rows = append(r.Rows, rows...)
	}
	return r, p.conn.Deallocate(ctx, "twice")
}

// pipeline sends a batch (one Sync), then a pipeline in which the middle command
// fails: its neighbours, each with a Sync of their own, must not mind.
func (p *pgxSession) pipeline(ctx context.Context) (Result, error) {
	batch := &pgx.Batch{}
	var r Result
	for i := 1; i <= 3; i++ {
		batch.Queue("SELECT $1::int", i).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var n int
				if err := rows.Scan(&n); err != nil {
					return err
				}
				r.Rows = append(r.Rows, []string{strconv.Itoa(n)})
			}
			return rows.Err()
		})
	}
	if err := p.conn.SendBatch(ctx, batch).Close(); err != nil {
		return r, err
	}
	return r, p.failingPipeline(ctx)
}

func (p *pgxSession) failingPipeline(ctx context.Context) error {
	pipeline := p.conn.PgConn().StartPipeline(ctx)
	for _, sql := range []string{"SELECT 1", "SELECT 1/0", "SELECT 3"} {
		pipeline.SendQueryParams(sql, nil, nil, nil, nil)
		if err := pipeline.Sync(); err != nil {
			return err
		}
	}
	var errs []string
	for {
		results, err := pipeline.GetResults()
		if err != nil {
			found := serverError(err)
			if found == nil {
				return err
			}
			errs = append(errs, found.SQLState)
			continue
		}
		if results == nil {
			break
		}
	}
	if got := strings.Join(errs, " "); got != "22012" {
		return fmt.Errorf("the pipeline's errors are %q, want one 22012", got)
	}
	return pipeline.Close()
}

func (p *pgxSession) count(ctx context.Context) ([][]string, error) {
	return p.query(ctx, "SELECT count(*) FROM client_scratch WHERE client = $1", "pgx")
}

func (p *pgxSession) clear(ctx context.Context) error {
	_, err := p.conn.Exec(ctx, "DELETE FROM client_scratch WHERE client = $1", "pgx")
	return err
}

func (p *pgxSession) transaction(ctx context.Context) (Result, error) {
	var r Result
	for _, end := range []func(pgx.Tx) error{
		func(tx pgx.Tx) error { return tx.Rollback(ctx) },
		func(tx pgx.Tx) error { return tx.Commit(ctx) },
	} {
		tx, err := p.conn.Begin(ctx)
		if err != nil {
			return r, err
		}
		if _, err := tx.Exec(ctx, "INSERT INTO client_scratch VALUES ($1, $2, $3)", "pgx", 1, "a"); err != nil {
			return r, err
		}
		if err := end(tx); err != nil {
			return r, err
		}
		rows, err := p.count(ctx)
		if err != nil {
			return r, err
		}
		r.Rows = append(r.Rows, rows...)
	}
	return r, p.clear(ctx)
}

func (p *pgxSession) error(ctx context.Context) (Result, error) {
	var r Result
	meet := func(sql string) error {
		e, err := p.fails(ctx, sql)
		if err == nil {
			r.Rows = append(r.Rows, []string{e.SQLState})
		}
		return err
	}
	if err := meet("SELECT 1/0"); err != nil {
		return r, err
	}
	if _, err := p.conn.Exec(ctx, "BEGIN"); err != nil {
		return r, err
	}
	for _, sql := range []string{"SELECT 1/0", "SELECT 1"} {
		if err := meet(sql); err != nil {
			return r, err
		}
	}
	if _, err := p.conn.Exec(ctx, "ROLLBACK"); err != nil {
		return r, err
	}
	rows, err := p.query(ctx, "SELECT 1")
	r.Rows = append(r.Rows, rows...)
	return r, err
}

// cursor uses SQL cursors: pgx itself never limits a portal's rows.
func (p *pgxSession) cursor(ctx context.Context) (Result, error) {
	for _, sql := range []string{"BEGIN", "DECLARE piecewise CURSOR FOR SELECT id FROM client_big ORDER BY id LIMIT 1000"} {
		if _, err := p.conn.Exec(ctx, sql); err != nil {
			return Result{}, err
		}
	}
	var all [][]string
	for {
		rows, err := p.query(ctx, "FETCH 100 FROM piecewise")
		if err != nil {
			return Result{}, err
		}
		if len(rows) == 0 {
			break
		}
		all = append(all, rows...)
	}
	for _, sql := range []string{"CLOSE piecewise", "COMMIT"} {
		if _, err := p.conn.Exec(ctx, sql); err != nil {
			return Result{}, err
		}
	}
	return Result{Rows: totals(all)}, nil
}

func (p *pgxSession) copyOut(ctx context.Context) (Result, error) {
	var out bytes.Buffer
	if _, err := p.conn.PgConn().CopyTo(ctx, &out, "COPY (SELECT id, name FROM client_item ORDER BY id) TO STDOUT"); err != nil {
		return Result{}, err
	}
	return Result{Rows: splitRows(out.String())}, nil
}

// copyIn uses pgx's own way: COPY in binary format.
func (p *pgxSession) copyIn(ctx context.Context) (Result, error) {
	source := pgx.CopyFromSlice(copyRows, func(i int) ([]any, error) { return []any{"pgx", int32(i), "a line"}, nil })
	if _, err := p.conn.CopyFrom(ctx, pgx.Identifier{"client_scratch"}, []string{"client", "n", "t"}, source); err != nil {
		return Result{}, err
	}
	rows, err := p.count(ctx)
	if err != nil {
		return Result{}, err
	}
	return Result{Rows: rows}, p.clear(ctx)
}

func (p *pgxSession) large(ctx context.Context) (Result, error) {
	rows, err := p.query(ctx, "SELECT id, filler FROM client_big")
	return Result{Rows: totals(rows)}, err
}

func (p *pgxSession) cancel(ctx context.Context) (Result, error) {
	cancelled := make(chan error, 1)
	timer := time.AfterFunc(500*time.Millisecond, func() { cancelled <- p.conn.PgConn().CancelRequest(ctx) })
	defer timer.Stop()
	e, err := p.fails(ctx, p.config.SlowSQL)
	if err != nil {
		return Result{}, err
	}
	if err := <-cancelled; err != nil {
		return Result{}, fmt.Errorf("cancel request: %w", err)
	}
	rows, err := p.query(ctx, "SELECT 1")
	return Result{Rows: append([][]string{{e.SQLState}}, rows...), Error: e}, err
}

func (p *pgxSession) metadata(ctx context.Context) (Result, error) {
	// The table's row type, by pgx's own catalogue query.
	t, err := p.conn.LoadType(ctx, "client_item")
	if err != nil {
		return Result{}, err
	}
	codec, ok := t.Codec.(*pgtype.CompositeCodec)
	if !ok {
		return Result{}, fmt.Errorf("client_item is loaded as %T", t.Codec)
	}
	var r Result
	for _, f := range codec.Fields {
		r.Rows = append(r.Rows, []string{f.Name})
	}
	return r, nil
}

func (p *pgxSession) notice(ctx context.Context) (Result, error) {
	_, err := p.conn.Exec(ctx, "COMMIT")
	var r Result
	for _, n := range p.notices {
		r.Rows = append(r.Rows, []string{n.Message})
	}
	return r, err
}

func (p *pgxSession) multi(ctx context.Context) (Result, error) {
	results, err := p.conn.PgConn().Exec(ctx, "SELECT 1; SELECT 2").ReadAll()
	var r Result
	for _, result := range results {
		for _, row := range result.Rows {
			r.Rows = append(r.Rows, textRow(row))
		}
	}
	return r, err
}

// refused meets the refusal in the extended and in the simple protocol.
func (p *pgxSession) refused(ctx context.Context) (Result, error) {
	e, err := p.fails(ctx, p.config.RefusedSQL)
	if err != nil {
		return Result{}, err
	}
	_, err = p.conn.PgConn().Exec(ctx, p.config.RefusedSQL).ReadAll()
	simple := serverError(err)
	if e.SQLState != "42501" || simple == nil || simple.SQLState != "42501" {
		return Result{Error: e}, fmt.Errorf("refused with %v and %v (simple), want SQLSTATE 42501", e, simple)
	}
	rows, err := p.query(ctx, "SELECT 1")
	return Result{Rows: rows, Error: e}, err
}

func (p *pgxSession) statements(ctx context.Context) (Result, error) {
	var r Result
	for _, sql := range p.config.Statements {
		rows, err := p.query(ctx, sql)
		step := Step{Rows: rows, Error: serverError(err)}
		if err != nil && step.Error == nil {
			return r, err
		}
		r.Steps = append(r.Steps, step)
	}
	return r, nil
}
