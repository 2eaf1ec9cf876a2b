package record

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// hostile are texts that make terminals act, answer, hide or reorder.
var hostile = []string{
	"\x1b]52;c;cm0gLXJmIH4=\x07",                  // OSC 52: clipboard
	"\x1bP$q\"p\x1b\\",                            // DECRQSS: answers
	"\x1b[21t",                                    // title report
	"\x1b]0;title\x07\x1b]2;t\x1b\\",              // title
	"\x1b]8;;http://evil.example\x07x\x1b]8;;\a",  // OSC 8 link
	"\x1b]1337;File=name=eA==;inline=0:eA==\x07",  // iTerm2 file write
	"\x1b[c\x1b[>c\x1b[5n\x1b[6n\x05",             // device attributes, status, ENQ answerback
	"\u009b31m\u009d52;c;eA==\u009c\u0090q\u009c", // C1 as UTF-8
	"\x9b31m\x9d0;x\x9c\x90q",                     // bare C1
	"\x1b[2J\x1b[H\x1b[1A\x1b[2K\rroot approved",  // overwrite what stands there
	"a\bb\x7f\x00\x0e\x0f\v\f",                    // controls
	"\u202etxt.exe\u202c \u2066x\u2069 \u200e\u200f\u061c",
	"zero\u200bwidth\u200d\ufeff\u2060\u00ad\u180e",
	"line\u2028para\u2029next\u0085",
	"tag\U000e0041\U000e0042 vs\ufe0f\U000e0100",
	"private \ue000 \U000f0000 surrogate \xed\xa0\x80 cut \xe2\x82",
	"zalgo z" + strings.Repeat("\u0301", 500),
	"filler \u3164\u115f\uffa0\u2800",
	"\r\n[00:00:00.000] #9 SELECT 1\n    > allow; rule forged",
	"<script>alert(1)</script> \\x1b %s %n",
	strings.Repeat("long ", 5000),
}

// assertInert fails on any byte or rune that could do more than show itself.
func assertInert(t testing.TB, out []byte) {
	t.Helper()
	if !utf8.Valid(out) {
		t.Fatalf("output is not UTF-8: %.200q", out)
	}
	for i, r := range string(out) {
		bad := r < 0x20 && r != '\n' || r >= 0x7f && r <= 0x9f || r == 0xad || r == 0x61c || r >= 0x200b && r <= 0x200f ||
			r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff || r >= 0xe0000 || r >= 0xe000 && r <= 0xf8ff
		if bad {
			t.Fatalf("output has %U: %.100q", r, out[max(0, i-50):min(len(out), i+50)])
		}
	}
}

// cells is a renderer that gives the answer as a row, a name, a tag and so on.
type cells struct{}

func (cells) Render(_ uint64, b []byte, emit func(string, [][]byte)) {
	emit("columns", [][]byte{b, []byte("b")})
	for range 12 {
		emit("row", [][]byte{b, nil, b})
	}
	for _, kind := range []string{"tag", "error", "notice", "text", string(b)} {
		emit(kind, [][]byte{b})
	}
}

// record writes a session in which every text is hostile.
func recordHostile(t testing.TB, dir, id, evil string) {
	t.Helper()
	s := session(id)
	s.User, s.Application, s.Remote = evil, evil, evil
	p := *s.Principal
	p.Agent, p.ClientID, p.Subject, p.Actor.Subject, p.Attributes = evil, evil, evil, evil, map[string]gate.Attribute{evil: {Value: evil}}
	tg := *s.Target
	tg.Name = evil
	s.Principal, s.Target, s.Protocol = &p, &tg, evil
	r, err := New(Config{Dir: dir})
	must(t, err)
	defer r.Close()
	g := start(t, r, s)
	v := &gate.Verdict{Decision: gate.Hold, Rule: evil[:min(len(evil), 1000)], Reason: evil[:min(len(evil), 1000)], Masks: gate.Masks{"a": "b", evil[:1]: evil[:1]}}
	for _, e := range []gate.Event{
		{Kind: gate.EventCommand, Command: 1, Text: evil, Params: []string{evil}, Labels: []string{evil[:min(len(evil), 1000)]}, Verdict: v, Status: gate.Status(evil[:1])},
		{Kind: gate.EventHold, Command: 1, Text: evil}, {Kind: gate.EventInput, Command: 1, Data: []byte(evil)},
		{Kind: gate.EventAnswer, Command: 1, Data: []byte(evil)}, {Kind: gate.EventEffect, Command: 1, Text: evil},
		{Kind: gate.EventEnd, Text: evil},
	} {
		must(t, g.Append(&e))
	}
	must(t, g.Close())
}

func export(t testing.TB, dir, id string, f Format, o ReplayOptions) []byte {
	t.Helper()
	r, err := Open(dir, id)
	must(t, err)
	defer r.Close()
	var out bytes.Buffer
	must(t, Export(t.Context(), &out, r, f, o))
	return out.Bytes()
}

func TestReplayIsInertWhateverTheRecordingHolds(t *testing.T) {
	for i, evil := range append(hostile, strings.Join(hostile, "")) {
		dir := t.TempDir()
		recordHostile(t, dir, "ses_a", evil)
		for _, o := range []ReplayOptions{{}, {Renderer: cells{}}} {
			out := export(t, dir, "ses_a", FormatText, o)
			assertInert(t, out)
			if bytes.Contains(out, []byte("\n[00:00:00.000] #9")) || bytes.Contains(out, []byte("\n    > allow; rule forged")) {
				t.Errorf("text %d forges a line of replay:\n%s", i, out)
			}
			for line := range bytes.Lines(export(t, dir, "ses_a", FormatAsciicast, o)) {
				assertASCIILine(t, line)
			}
		}
	}
}

// assertASCIILine fails unless line is one JSON document in printable ASCII, and
// whatever text of an asciicast is in it is inert.
func assertASCIILine(t testing.TB, line []byte) {
	t.Helper()
	for _, c := range line[:len(line)-1] {
		if c < 0x20 || c > 0x7e {
			t.Fatalf("byte %#x in %.200q", c, line)
		}
	}
	if !json.Valid(line) {
		t.Fatalf("not JSON: %.200q", line)
	}
	var cast []any
	if json.Unmarshal(line, &cast) == nil && len(cast) == 3 {
		text, _ := cast[2].(string)
		assertInert(t, []byte(strings.ReplaceAll(text, "\r\n", "\n")))
	}
}

func TestJSONLinesAreCompleteAndCannotBeBroken(t *testing.T) {
	for _, evil := range hostile {
		dir := t.TempDir()
		recordHostile(t, dir, "ses_a", evil)
		var events []string
		for line := range bytes.Lines(export(t, dir, "ses_a", FormatJSONL, ReplayOptions{})) {
			assertASCIILine(t, line)
			var x exported
			must(t, json.Unmarshal(line, &x))
			events = append(events, x.Event)
			text := x.Text
			if text == "" {
				text = string(x.TextRaw)
			}
			if x.Event == "command" && text != evil {
				t.Errorf("command %q, want %q", text, evil)
			}
			if x.Event == "answer" && string(x.Data) != evil {
				t.Errorf("answer %q, want %q", x.Data, evil)
			}
		}
		if got := strings.Join(events, " "); got != "start command hold input answer effect end summary" {
			t.Errorf("lines: %s", got)
		}
	}
}

func TestEscapesCannotBeForged(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b": `\x1b`, `\x1b`: `\\x1b`, "\u202e": `\u202e`, "\u009b": `\u009b`, "\x9b": `\x9b`, "é日本 ok": "é日本 ok",
		"a\tb\nc\r": `a\tb\nc\r`, "\x7f": `\x7f`, "\U000e0041": `\U000e0041`, "🙂": "🙂", "\ufffd": "\ufffd",
	} {
		if got := Safe(in); got != want {
			t.Errorf("%q is shown as %s, want %s", in, got, want)
		}
	}
	if got := string(appendSafe(nil, "abcdef", 3)); got != "abc…" {
		t.Errorf("cut text: %q", got)
	}
}

func TestReplayShowsWhoWhatDecisionAndRows(t *testing.T) {
	dir := t.TempDir()
	r := newRecorder(t, dir)
	s := session("ses_a")
	g := start(t, r, s)
	at := func(ms int) time.Time { return s.Started.Add(time.Duration(ms) * time.Millisecond) }
	for _, e := range []gate.Event{
		{Kind: gate.EventCommand, Time: at(10), Command: 1, Text: "SELECT *\nFROM c", Effects: gate.EffectRead, Verdict: &gate.Verdict{Decision: gate.Allow, Rule: "prod/reads", Masks: gate.Masks{"pii": "redact"}}},
		{Kind: gate.EventAnswer, Time: at(20), Command: 1, Data: []byte("Ann")},
		{Kind: gate.EventEffect, Time: at(20), Command: 1, Text: "SELECT 12", Rows: 12},
		{Kind: gate.EventHold, Time: at(1000), Command: 2, Text: "apr_1 pending"},
		{Kind: gate.EventHold, Time: at(61000), Command: 2, Text: "apr_1 approved"},
		{Kind: gate.EventCommand, Time: at(61001), Command: 2, Text: "DROP TABLE c", Effects: gate.EffectSchema, Status: gate.StatusBlocked, Verdict: &gate.Verdict{Rule: "prod/no-ddl", Reason: "no"}},
		{Kind: gate.EventEnd, Time: at(61002), Text: "closed"},
	} {
		must(t, g.Append(&e))
	}
	must(t, g.Close())
	in, err := Open(dir, "ses_a")
	must(t, err)
	defer in.Close()
	var out bytes.Buffer
	var slept []time.Duration
	must(t, Replay(t.Context(), &out, in, ReplayOptions{Speed: 2, Renderer: cells{}, Rows: 2,
		Sleep: func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }}))
	for _, want := range []string{
		"session ses_a\n", "reporting-agent (client reporting)", "purpose = reporting (provider)", "orders (postgres)",
		"[00:00:00.010] #1 SELECT *\n                  FROM c\n", "> allow; effects read; rule prod/reads; masks pii=redact",
		"| Ann | b    |\n    |-----|------|\n    | Ann | NULL | Ann |\n", "… 10 more rows\n", "= #1 SELECT 12, 12 rows",
		"#2 held: apr_1 pending", "> block (blocked); effects schema; rule prod/no-ddl; no", "session ended: closed",
		"2, of which 1 blocked and 0 held; outcome unknown: 0",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("replay lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
	if len(slept) < 4 || slept[0] != 5*time.Millisecond || slept[3] != DefaultMaxIdle {
		t.Errorf("slept %v", slept)
	}
}

func TestAsciicastHasAVersionTwoHeaderAndRisingTimes(t *testing.T) {
	dir := t.TempDir()
	recordHostile(t, dir, "ses_a", "SELECT 'é'")
	sc := bufio.NewScanner(bytes.NewReader(export(t, dir, "ses_a", FormatAsciicast, ReplayOptions{})))
	sc.Scan()
	var head struct{ Version, Width, Height, Timestamp int64 }
	must(t, json.Unmarshal(sc.Bytes(), &head))
	if head.Version != 2 || head.Width == 0 || head.Height == 0 || head.Timestamp == 0 {
		t.Errorf("header %s", sc.Bytes())
	}
	last := 0.0
	for sc.Scan() {
		var e []any
		must(t, json.Unmarshal(sc.Bytes(), &e))
		if at := e[0].(float64); at < last || e[1] != "o" {
			t.Errorf("event %s after %v", sc.Bytes(), last)
		} else {
			last = at
		}
	}
}

func TestReplayEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	recordHostile(t, dir, "ses_a", "x")
	r, err := Open(dir, "ses_a")
	must(t, err)
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Replay(ctx, &bytes.Buffer{}, r, ReplayOptions{}); err != context.Canceled {
		t.Errorf("replay: %v", err)
	}
}
