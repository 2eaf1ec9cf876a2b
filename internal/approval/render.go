package approval

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

const (
	// renderWidth is how many columns of a command stand in one line. Longer
	// lines are continued behind a mark of their own: a terminal that wrapped
	// them could show the agent's text where the product's own words stand.
	renderWidth = 96
	// headlineWidth is how many characters of a command a list shows.
	headlineWidth = 72
)

// Render writes a request for a person at a terminal: who asks, by which rule,
// the full text with line numbers, every parameter, and the answers so far.
// What the agent chose is shown as [Visible] shows it and cannot leave its
// place. now is for telling how long the request still lives.
func Render(w io.Writer, r *Request, now time.Time) error {
	p := &page{w: bufio.NewWriter(w)}
	p.title(r, now)
	p.asker(&r.Asker)
	p.field("target", fmt.Sprintf("%s (%s), generation %s", VisibleLine(r.Target.Name), r.Target.Protocol, VisibleLine(r.Target.Generation)))
	for _, name := range slices.Sorted(maps.Keys(r.Target.Labels)) {
		p.field("", VisibleLine(name)+" = "+VisibleLine(r.Target.Labels[name]))
	}
	p.field("rule", VisibleLine(r.Rule))
	p.field("reason", VisibleLine(r.Reason))
	p.field("effects", r.Command.Effects.String())
	p.field("touches", VisibleLine(strings.Join(r.Command.Labels, ", ")))
	p.field("digest", VisibleLine(r.Digest))
	p.command(&r.Command)
	p.answers(r)
	return p.w.Flush()
}

type page struct{ w *bufio.Writer }

// printf drops the error: bufio keeps it for Flush.
func (p *page) printf(format string, args ...any) { _, _ = fmt.Fprintf(p.w, format, args...) }

// field writes a line, or nothing for an empty value. A long value goes on in
// further lines.
func (p *page) field(name, value string) {
	for value != "" {
		head, rest := cut(value, renderWidth)
		p.printf("  %-10s %s\n", name, head)
		name, value = "...", rest
	}
}

func (p *page) title(r *Request, now time.Time) {
	p.printf("Access request %s: %s", VisibleLine(r.ID), strings.ToUpper(VisibleLine(string(r.State))))
	switch {
	case r.open():
		p.printf(", until %s (%s left)", r.Expires.UTC().Format(time.RFC3339), max(0, r.Expires.Sub(now)).Round(time.Second))
	case !r.Ended.IsZero():
		p.printf(" at %s", r.Ended.UTC().Format(time.RFC3339))
	}
	p.printf("\n")
	p.field("", VisibleLine(r.Note))
	p.field("asked at", r.Filed.UTC().Format(time.RFC3339))
}

func (p *page) asker(a *Asker) {
	p.field("agent", VisibleLine(a.Agent))
	p.field("subject", party(a.Subject))
	if !a.Actor.IsZero() {
		p.field("acting", party(a.Actor))
	}
	p.field("client", VisibleLine(a.Client))
	for _, name := range slices.Sorted(maps.Keys(a.Attributes)) {
		at := a.Attributes[name]
		p.field("attribute", fmt.Sprintf("%s (set by: %s) = %s", VisibleLine(name), at.Trust, VisibleLine(at.Value)))
	}
	p.field("session", VisibleLine(a.Session))
	p.field("from", VisibleLine(a.Remote))
	p.field("program", VisibleLine(a.Application))
}

// party names the issuer first: it is configured, and the subject could say "at
// some other issuer" itself.
func party(p gate.Party) string {
	return "[" + VisibleLine(p.Issuer) + "] " + VisibleLine(p.Subject)
}

func (p *page) command(c *Command) {
	lines := strings.Split(Visible(c.Text), "\n")
	p.printf("\nCommand, in full (%d bytes, %d lines):\n", len(c.Text), len(lines))
	for i := 0; i < len(lines); {
		if n := emptyLines(lines[i:]); n > maxEmptyLines {
			p.printf("%6s | %c%d empty lines%c\n", "", markOpen, n, markClose)
			i += n
			continue
		}
		p.wrapped(fmt.Sprintf("%6d", i+1), lines[i])
		i++
	}
	if len(c.Params) == 0 {
		return
	}
	p.printf("\nParameters (%d):\n", len(c.Params))
	for i, v := range c.Params {
		p.wrapped(fmt.Sprintf("%6s", fmt.Sprintf("$%d", i+1)), VisibleLine(v))
	}
}

// wrapped writes a line of the agent's behind a gutter, and what does not fit
// behind a gutter that says so.
func (p *page) wrapped(gutter, line string) {
	mark := "|"
	for {
		head, rest := cut(line, renderWidth)
		p.printf("%s %s %s\n", gutter, mark, head)
		if rest == "" {
			return
		}
		gutter, mark, line = "      ", ">", rest
	}
}

func emptyLines(lines []string) int {
	for i, l := range lines {
		if strings.Trim(l, " ") != "" {
			return i
		}
	}
	return len(lines)
}

func (p *page) answers(r *Request) {
	p.printf("\nApprovals: %d of %d, by people in: %s\n", r.approvals(), r.Terms.Count, groupList(r.Terms.Groups))
	for _, a := range r.Answers {
		word := "denied"
		if a.Approved {
			word = "approved"
		}
		p.field(word, a.At.UTC().Format(time.RFC3339)+" "+party(a.By))
		p.field("", VisibleLine(a.Comment))
	}
}

func groupList(groups []string) string {
	shown := make([]string, len(groups))
	for i, g := range groups {
		shown[i] = VisibleLine(g)
	}
	return strings.Join(shown, ", ")
}

// cut splits s after at most width columns. East Asian letters take two.
func cut(s string, width int) (head, rest string) {
	col := 0
	for i, r := range s {
		n := 1
		if r >= 0x1100 && unicode.IsLetter(r) {
			n = 2
		}
		if col += n; col > width {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// headline returns the beginning of a text in one safe line and says how much
// it leaves out.
func headline(text string) string {
	// A mark takes at most 8 bytes of text apart; 4 KiB are more than enough to
	// fill the line, and keep a long text from being shown only to be cut.
	part := text
	if len(part) > 4<<10 {
		part = part[:4<<10]
	}
	line := VisibleLine(part)
	head, rest := cut(line, headlineWidth)
	if rest == "" && len(part) == len(text) {
		return head
	}
	if i := strings.LastIndex(head, string(markOpen)); i >= 0 && !strings.Contains(head[i:], string(markClose)) {
		head = head[:i]
	}
	return fmt.Sprintf("%s… (%d characters in all)", head, utf8.RuneCountInString(text))
}
