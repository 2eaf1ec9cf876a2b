package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// bulk is one large result, by what stands for the labelled column.
type bulk struct{ workload, format string }

var bulks = []bulk{
	{"select-1m", "SELECT id, name, %s, note FROM bulk"},
	{"copy-1m", "COPY (SELECT id, name, %s, note FROM bulk) TO STDOUT"},
}

// text is the statement for a system.
func (b bulk) text(s *system) string { return fmt.Sprintf(b.format, s.card()) }

// readBulk reads a large result over the simple protocol as cheaply as can be,
// frame by frame, and counts bytes and rows.
func readBulk(ctx context.Context, s *system, sql string, wantRows int) (row, error) {
	conn, err := connect(ctx, s)
	if err != nil {
		return row{}, err
	}
	raw, err := conn.Hijack()
	if err != nil {
		return row{}, err
	}
	defer func() { _ = raw.Conn.Close() }()
	stopWatching := context.AfterFunc(ctx, func() { _ = raw.Conn.Close() })
	defer stopWatching()
	before, err := usageOf(s.pid)
	if err != nil {
		return row{}, err
	}
	began := time.Now()
	// Query ('Q'): length, text, NUL.
	query := binary.BigEndian.AppendUint32([]byte{'Q'}, uint32(len(sql)+5))
	if _, err := raw.Conn.Write(append(append(query, sql...), 0)); err != nil {
		return row{}, err
	}
	bytes, rows, err := drain(bufio.NewReaderSize(raw.Conn, 256<<10))
	if err != nil {
		return row{}, err
	}
	took := time.Since(began)
	after, err := usageOf(s.pid)
	if err != nil {
		return row{}, err
	}
	if rows != wantRows {
		return row{}, fmt.Errorf("%d rows came, want %d", rows, wantRows)
	}
	_, _ = raw.Conn.Write([]byte{'X', 0, 0, 0, 4}) // Terminate
	return row{TPS: 1 / took.Seconds(), MBps: float64(bytes) / 1e6 / took.Seconds(),
		CPUsPerGB: (after.cpu - before.cpu).Seconds() / (float64(bytes) / 1e9), PeakMiB: float64(after.peak) / (1 << 20)}, nil
}

// drain reads messages up to ReadyForQuery and counts their bytes and the rows
// (DataRow and CopyData) among them.
func drain(r *bufio.Reader) (bytes int64, rows int, err error) {
	var header [5]byte
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return bytes, rows, err
		}
		length := int(binary.BigEndian.Uint32(header[1:])) - 4
		if length < 0 {
			return bytes, rows, fmt.Errorf("message of negative length")
		}
		bytes += int64(len(header) + length)
		if header[0] == 'E' {
			text, _ := io.ReadAll(io.LimitReader(r, int64(min(length, 4096))))
			return bytes, rows, fmt.Errorf("the server answered with an error: %q", text)
		}
		if _, err := r.Discard(length); err != nil {
			return bytes, rows, err
		}
		switch header[0] {
		case 'D', 'd':
			rows++
		case 'Z':
			return bytes, rows, nil
		}
	}
}
