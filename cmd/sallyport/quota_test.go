package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestAFloodOfLinesDoesNotFillTheLog(t *testing.T) {
	var out bytes.Buffer
	h := newBounded(slog.NewTextHandler(&out, nil))
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	write := func(h slog.Handler, message string, at time.Time) string {
		t.Helper()
		out.Reset()
		if err := h.Handle(context.Background(), slog.NewRecord(at, slog.LevelInfo, message, 0)); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	lines := 0
	for range maxLines + 7 {
		lines += strings.Count(write(h.WithAttrs([]slog.Attr{slog.String("connection", "c")}), "global request refused", now), "\n")
	}
	if lines != maxLines {
		t.Errorf("%d lines, want %d", lines, maxLines)
	}
	if line := write(h, "ready", now); !strings.Contains(line, "msg=ready") {
		t.Errorf("another message is left out: %q", line)
	}
	if line := write(h.WithGroup("g"), "global request refused", now.Add(linesWindow)); !strings.Contains(line, "left_out=7") {
		t.Errorf("the next line does not tell: %q", line)
	}
	if line := write(h, "global request refused", now.Add(-time.Hour)); !strings.Contains(line, "refused") || strings.Contains(line, "left_out") {
		t.Errorf("after the clock was set back: %q", line)
	}
}
