package wire

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Renderer turns a session's recorded frames into lines for a reader. It keeps at
// most one line of each stream. The zero value is ready.
type Renderer struct {
	// Live shows output as it comes, also what does not end a line yet, and without
	// the sequences with which programs move a terminal's cursor and colour its text:
	// for somebody who watches a shell. What is typed is seen in its echo, so input
	// is shown by lines alone, which a terminal does not send.
	Live bool

	frames  []byte // the beginning of a frame that is not complete
	streams [2][]byte
	shown   int      // bytes of streams[0] that were emitted as parts
	screen  sequence // Live: of standard output
	input   []byte   // Live: a line of input that has no end yet
}

// maxLine is the longest line that a replay shows as one.
const maxLine = 4 << 10

// Render implements the replay's renderer: it calls emit for each line of output,
// each line of error output and the exit.
func (r *Renderer) Render(_ uint64, answer []byte, emit func(kind string, cells [][]byte)) {
	r.frames = append(r.frames, answer...)
	b := r.frames
	for {
		f, rest, err := Next(b)
		if Short(err) {
			break
		}
		if err != nil {
			emit("text", [][]byte{b})
			b = nil
			break
		}
		b = rest
		r.frame(f, emit)
	}
	r.frames = append(r.frames[:0], b...)
}

func (r *Renderer) frame(f Frame, emit func(string, [][]byte)) {
	switch f.Kind {
	case Output:
		r.lines(0, "text", f.Payload, emit)
	case ErrorOutput:
		r.lines(1, "notice", f.Payload, emit)
	case Request:
		r.flush(emit)
		name, _, data, err := DecodeRequest(f.Payload)
		switch {
		case err != nil:
			emit("text", [][]byte{f.Payload})
		case name == "exit-status" && len(data) == 4:
			emit("tag", [][]byte{fmt.Appendf(nil, "exit status %d", binary.BigEndian.Uint32(data))})
		default:
			emit("tag", [][]byte{fmt.Appendf(nil, "%s %q", name, data)})
		}
	case Omitted:
		r.flush(emit)
		if k, n, err := DecodeOmitted(f.Payload); err == nil {
			emit("notice", [][]byte{fmt.Appendf(nil, "%d bytes of %s are not kept in the recording", n, k)})
		}
	case Close, EOF:
		r.flush(emit)
	}
}

// lines emits the complete lines of a stream and keeps the rest.
func (r *Renderer) lines(stream int, kind string, data []byte, emit func(string, [][]byte)) {
	live := r.Live && stream == 0
	if live {
		data = r.screen.strip(data)
	}
	line := r.streams[stream]
	for _, c := range data {
		if c == '\n' || len(line) >= maxLine {
			if live {
				line = line[r.shown:]
				r.shown = 0
			}
			emit(kind, [][]byte{line})
			line = r.streams[stream][:0]
			if c == '\n' {
				continue
			}
		}
		line = append(line, c)
	}
	r.streams[stream] = line
	if live {
		r.part(emit)
	}
}

// part emits what the present line of standard output has more than before, up to
// the last whole character.
func (r *Renderer) part(emit func(string, [][]byte)) {
	line := r.streams[0][r.shown:]
	for i := max(0, len(line)-utf8.UTFMax); i < len(line); i++ {
		if utf8.RuneStart(line[i]) && !utf8.FullRune(line[i:]) {
			line = line[:i]
			break
		}
	}
	if len(line) > 0 {
		emit("part", [][]byte{line})
		r.shown += len(line)
	}
}

func (r *Renderer) flush(emit func(string, [][]byte)) {
	for i, kind := range []string{"text", "notice"} {
		if len(r.streams[i]) > 0 {
			line := r.streams[i]
			if i == 0 {
				line = line[r.shown:]
				r.shown = 0
			}
			emit(kind, [][]byte{line})
			r.streams[i] = r.streams[i][:0]
		}
	}
}

// RenderInput shows what the agent sent to a running command. Each event holds
// whole frames.
func (r *Renderer) RenderInput(_ uint64, input []byte, emit func(text string)) {
	for len(input) > 0 {
		f, rest, err := Next(input)
		if err != nil {
			emit(string(input))
			return
		}
		input = rest
		switch f.Kind {
		case Input:
			if r.Live {
				r.inputLines(f.Payload, emit)
				break
			}
			emit(string(f.Payload))
		case EOF:
			emit("[end of input]")
		case Request:
			if name, _, _, err := DecodeRequest(f.Payload); err == nil {
				emit("[" + name + "]")
			}
		case Omitted:
			if _, n, err := DecodeOmitted(f.Payload); err == nil {
				emit(fmt.Sprintf("[%d bytes are not kept in the recording]", n))
			}
		}
	}
}

// inputLines emits the lines of input that have an end.
func (r *Renderer) inputLines(data []byte, emit func(text string)) {
	for _, c := range data {
		if c == '\n' {
			emit(string(r.input))
			r.input = r.input[:0]
			continue
		}
		if len(r.input) < maxLine {
			r.input = append(r.input, c)
		}
	}
}

// String names the kind for a reader.
func (k Kind) String() string {
	switch k {
	case Input:
		return "input"
	case Output:
		return "output"
	case ErrorOutput:
		return "error output"
	default:
		return fmt.Sprintf("frame %q", byte(k))
	}
}
