package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxCastLine bounds one line of a cast: an event of 16 MiB, JSON-escaped.
const maxCastLine = 96 << 20

// Pace says how a recording is played.
type Pace struct {
	// Speed divides the waits: 1 is the original speed, 2 twice as fast. Zero
	// plays all at once.
	Speed float64
	// MaxIdle cuts longer waits (before Speed is applied); zero keeps them.
	MaxIdle time.Duration
	// Clean makes an event's text safe for a terminal; required.
	Clean func(string) string
	// Sleep waits; nil means by the clock.
	Sleep func(context.Context, time.Duration) error
}

// PlayCast plays an asciicast (version 2 or 3) to w. A cast that breaks off, or
// holds what is not a cast, is an error after what could be played.
//
// Specification: https://docs.asciinema.org/manual/asciicast/v2/ and v3.
func PlayCast(ctx context.Context, r io.Reader, w io.Writer, p Pace) error {
	if p.Sleep == nil {
		p.Sleep = sleep
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxCastLine)
	if !lines.Scan() {
		return castEnd(lines.Err(), "the recording is empty")
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(lines.Bytes(), &head); err != nil || head.Version != 2 && head.Version != 3 {
		return errors.New("the recording is not an asciicast of version 2 or 3")
	}
	last := 0.0
	for n := 2; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 || lines.Bytes()[0] == '#' {
			continue
		}
		at, code, text, err := castEvent(lines.Bytes())
		if err != nil {
			return fmt.Errorf("line %d of the recording: %w", n, err)
		}
		wait := at // version 3: since the event before
		if head.Version == 2 {
			wait, last = at-last, at
		}
		if err := p.wait(ctx, wait); err != nil {
			return err
		}
		if code != "o" {
			continue // input, marks and sizes are not shown
		}
		if _, err := io.WriteString(w, p.Clean(text)); err != nil {
			return err
		}
	}
	return castEnd(lines.Err(), "")
}

func castEnd(err error, otherwise string) error {
	switch {
	case err != nil:
		return fmt.Errorf("the recording breaks off: %w", err)
	case otherwise != "":
		return errors.New(otherwise)
	}
	return nil
}

func castEvent(line []byte) (at float64, code, text string, err error) {
	parts := []any{&at, &code, &text}
	var raw []json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil || len(raw) != len(parts) {
		return 0, "", "", errors.New("not an event of three members")
	}
	for i, part := range parts {
		if err := json.Unmarshal(raw[i], part); err != nil {
			return 0, "", "", errors.New("not an event of a time, a code and a text")
		}
	}
	return at, code, text, nil
}

// wait waits for some seconds of the recording. A time that goes backwards is no
// wait.
func (p *Pace) wait(ctx context.Context, seconds float64) error {
	if !(p.Speed > 0) || seconds <= 0 { // NaN is no speed
		return ctx.Err()
	}
	if most := p.MaxIdle.Seconds(); most > 0 && seconds > most {
		seconds = most
	}
	// A recording cannot be longer than a session may be; a day is the bound
	// that keeps the conversion from overflowing.
	seconds = min(seconds/p.Speed, (24 * time.Hour).Seconds())
	return p.Sleep(ctx, time.Duration(seconds*float64(time.Second)))
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
