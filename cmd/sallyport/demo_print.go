//go:build cgo && unix

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	// demoWidth is the widest line: it fits half of a wide screen.
	demoWidth = 98
	// demoIndent is how far commands and answers stand in.
	demoIndent = "   "
)

// The colours of the demo, as the parameters of SGR (ECMA-48, section 8.3.117).
const (
	styleTitle   = "1;36"
	styleCommand = "1"
	styleNote    = "2"
	styleGood    = "32"
	styleBad     = "31"
)

// demoPrinter writes the story for a person. Everything that other programs
// answered is made safe for a terminal first. A program that still runs is shown while the
// story goes on, so it is safe for concurrent use.
type demoPrinter struct {
	w      io.Writer
	colour bool

	mu    sync.Mutex
	blank bool // the last line was blank; guarded by mu
}

func newDemoPrinter(w io.Writer) *demoPrinter {
	return &demoPrinter{w: w, colour: wantsColour(w)}
}

// wantsColour: on a terminal, and not where NO_COLOR (https://no-color.org) says
// otherwise.
func wantsColour(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// line writes one line in a style.
func (p *demoPrinter) line(style, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.put(style, text)
}

// gap writes a blank line, unless there is one.
func (p *demoPrinter) gap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.space()
}

// put is line for whoever has mu.
func (p *demoPrinter) put(style, text string) {
	text = strings.TrimRight(text, " ")
	p.blank = text == ""
	if p.colour && style != "" && text != "" {
		text = "\x1b[" + style + "m" + text + "\x1b[0m"
	}
	fmt.Fprintln(p.w, text) // a screen that is gone is noticed by the signal that comes with it
}

// space is gap for whoever has mu.
func (p *demoPrinter) space() {
	if !p.blank {
		p.put("", "")
	}
}

// title opens a step.
func (p *demoPrinter) title(number, of int, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.space()
	head := fmt.Sprintf("── %d/%d  %s ", number, of, text)
	p.put(styleTitle, head+strings.Repeat("─", max(0, demoWidth-utf8.RuneCountInString(head))))
}

// say writes prose, wrapped.
func (p *demoPrinter) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range wrap(text, demoWidth, "") {
		p.put("", l)
	}
}

// note says in between what is seen next.
func (p *demoPrinter) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.space()
	for _, l := range wrap(text, demoWidth-len(demoIndent), "") {
		p.put(styleNote, demoIndent+l)
	}
}

// command shows a command line of a shell.
func (p *demoPrinter) command(who, text string) {
	p.prompt(strings.TrimSpace(who+" $"), text)
}

// prompt shows what someone types after a prompt. Lines that are too long are
// broken where the shell and psql do not mind.
func (p *demoPrinter) prompt(prompt, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.space()
	for l := range strings.Lines(text) {
		for _, part := range wrap(prompt+" "+strings.TrimRight(l, "\n"), demoWidth-len(demoIndent), "    ") {
			p.put(styleCommand, demoIndent+part)
		}
		prompt = strings.Replace(prompt, "=>", "->", 1) // as psql asks for more
	}
}

// answer shows what a program said.
func (p *demoPrinter) answer(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range strings.Lines(text) {
		l = clean(strings.TrimRight(l, "\r\n"))
		for _, part := range wrap(l, demoWidth-len(demoIndent), margin(l)+"    ") {
			p.put("", demoIndent+part)
		}
	}
}

// crop shows the lines of a wide table as far as there is room.
func (p *demoPrinter) crop(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	const room = demoWidth - len(demoIndent)
	for l := range strings.Lines(text) {
		r := []rune(clean(strings.TrimRight(l, "\r\n")))
		if len(r) > room {
			r = append(r[:room-1], '…')
		}
		p.put("", demoIndent+string(r))
	}
}

// margin returns the white space that a line begins with, up to a few columns.
func margin(l string) string {
	l = l[:len(l)-len(strings.TrimLeft(l, " "))]
	return l[:min(len(l), 24)]
}

// good and bad close a step: what it means, or what was wrong.
func (p *demoPrinter) good(text string) { p.verdict(styleGood, "✓ ", text) }
func (p *demoPrinter) bad(text string)  { p.verdict(styleBad, "✗ ", screen(text)) }

func (p *demoPrinter) verdict(style, mark, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.space()
	for l := range strings.Lines(text) {
		for _, part := range wrap(strings.TrimRight(l, "\n"), demoWidth-2, "") {
			p.put(style, mark+part)
			mark = "  "
		}
	}
}

// wrap breaks a line at spaces, and in a word that alone is too long. Lines after
// the first begin with indent. A line that fits is left as it is.
func wrap(text string, width int, indent string) []string {
	if utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	runes := []rune(text)
	var lines []string
	prefix := ""
	for len(runes) > 0 {
		room := width - len(prefix)
		if len(runes) <= room {
			return append(lines, prefix+string(runes))
		}
		at := room
		for i := room; i > len(indent); i-- {
			if runes[i] == ' ' {
				at = i
				break
			}
		}
		lines = append(lines, prefix+strings.TrimRight(string(runes[:at]), " "))
		runes = []rune(strings.TrimLeft(string(runes[at:]), " "))
		prefix = indent
	}
	return lines
}

// demoLines shows whole lines as they come, for output that is worth watching,
// and keeps them.
type demoLines struct {
	show func(line string)
	text strings.Builder
	part string
}

// Write implements io.Writer.
func (l *demoLines) Write(b []byte) (int, error) {
	l.text.Write(b)
	l.part += string(b)
	for {
		line, rest, found := strings.Cut(l.part, "\n")
		if !found {
			return len(b), nil
		}
		l.show(line + "\n")
		l.part = rest
	}
}
