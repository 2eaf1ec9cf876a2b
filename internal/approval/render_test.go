package approval_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-gateway/sallyport/internal/approval"
	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func TestWhatCannotBeSeenOrPretendsIsWrittenOut(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT 'a' -- b\n":                   "SELECT 'a' -- b\n",
		`\u202e <U+202E>`:                     `\u202e <U+202E>`,
		"a\u202eb\u2066c":                     "a⟦U+202E⟧b⟦U+2066⟧c",
		"ad\u200bmin\ufeff\u00ad\u2060":       "ad⟦U+200B⟧min⟦U+FEFF⟧⟦U+00AD⟧⟦U+2060⟧",
		"\x1b[2J\x07\x00\x7f\u009b31m":        "⟦U+001B⟧[2J⟦U+0007⟧⟦U+0000⟧⟦U+007F⟧⟦U+009B⟧31m",
		"a\r\nb\tc":                           "a⟦CR⟧\nb⇥c",
		"a\xff\xc3":                           "a⟦0xFF⟧⟦0xC3⟧",
		"⟦U+202E⟧ ⇥":                          "⟦U+27E6⟧U+202E⟦U+27E7⟧ ⟦U+21E5⟧",
		"\ufffd":                              "⟦U+FFFD⟧",
		"p\u0430ypal":                         "p⟦U+0430⟧ypal",                            // Cyrillic a
		"\u0441\u0443\u0440\u0435\u0440":      "⟦U+0441⟧⟦U+0443⟧⟦U+0440⟧⟦U+0435⟧⟦U+0440⟧", // "cypep", all Cyrillic
		"привет мир":                          "привет мир",
		"Größe naïve Łódź":                    "Größe naïve Łódź",
		"dır":                                 "d⟦U+0131⟧r", // dotless i
		"Gr\u00f6\u0430e":                     "Gr⟦U+00F6⟧⟦U+0430⟧e",
		"東京 カタカナ ひらがな漢字":                      "東京 カタカナ ひらがな漢字",
		"DROP文":                               "DROP⟦U+6587⟧",
		"\uff24\uff32\uff2f\uff30 \U0001d5d7": "⟦U+FF24⟧⟦U+FF32⟧⟦U+FF2F⟧⟦U+FF30⟧ ⟦U+1D5D7⟧",
		"a\u037e b\u2212c \u2018x\u2019":      "a⟦U+037E⟧ b⟦U+2212⟧c ⟦U+2018⟧x⟦U+2019⟧",
		"e\u0301":                             "e⟦U+0301⟧",
		"שלום":                                "⟦U+05E9⟧⟦U+05DC⟧⟦U+05D5⟧⟦U+05DD⟧",
		"a\u00a0b\u2003c\u3000\u3164":         "a⟦U+00A0⟧b⟦U+2003⟧c⟦U+3000⟧⟦U+3164⟧",
		"a" + strings.Repeat(" ", 41) + "b":   "a⟦41 spaces⟧b",
		"a" + strings.Repeat(" ", 40) + "b":   "a" + strings.Repeat(" ", 40) + "b",
		"١٢":                                  "⟦U+0661⟧⟦U+0662⟧",
		"ɑ":                                   "⟦U+0251⟧", // Latin alpha
	} {
		if got := approval.Visible(in); got != want {
			t.Errorf("%+q is shown as %q, want %q", in, got, want)
		}
	}
}

func TestVisibleLineStaysInItsLine(t *testing.T) {
	if got := approval.VisibleLine("a\nApprovals: 2 of 2"); got != "a⟦LF⟧Approvals: 2 of 2" {
		t.Error(got)
	}
}

func FuzzVisible(f *testing.F) {
	for _, s := range []string{"SELECT 1", "a\u202eb", "⟦U+202E⟧", "\xff", "p\u0430y", "\x1b[2J", strings.Repeat(" ", 99)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := approval.Visible(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%+q is not UTF-8", got)
		}
		for _, r := range got {
			if r < ' ' && r != '\n' || r >= 0x7f && r < 0xc0 || r >= 0x0590 && r <= 0x08ff || r >= 0x2000 && r <= 0x206f {
				t.Fatalf("%+q lets %U through", s, r)
			}
		}
		if strings.Count(s, "\n") != strings.Count(got, "\n") {
			t.Fatal("a line was added or lost")
		}
		if n := strings.Count(got, "⟦"); n != strings.Count(got, "⟧") {
			t.Fatalf("%+q has a mark of the agent's", got)
		}
		// Different texts look different.
		if other := s + "\u200b"; approval.Visible(other) == got {
			t.Fatal("something invisible stayed invisible")
		}
	})
}

var update = flag.Bool("update", false, "rewrite the golden files")

func render(t *testing.T, r *approval.Request) string {
	t.Helper()
	var b bytes.Buffer
	if err := approval.Render(&b, r, start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func hostile() *approval.Request {
	return &approval.Request{
		ID: "apr_x", Digest: "sha256:aa", State: gate.RequestPending, Filed: start, Expires: start.Add(15 * time.Minute),
		Asker: approval.Asker{Subject: gate.Party{Issuer: "https://idp", Subject: "alice\n  rule  none"},
			Actor: gate.Party{Issuer: "https://idp", Subject: "bot"}, Client: "reporting", Agent: "agent\x1b[31m", Session: "ses_1",
			Remote: "192.0.2.1:5", Application: "psql\u202e",
			Attributes: map[string]gate.Attribute{"purpose": {Value: "reports", Trust: gate.TrustProvider}, "ticket": {Value: "T-1\r", Trust: gate.TrustCaller}}},
		Target: approval.Target{Name: "orders", Protocol: "postgres", Generation: "g1", Labels: map[string]string{"env": "prod"}},
		Command: approval.Command{Effects: gate.EffectWrite, Labels: []string{"pii"},
			Text: "UPDATE t -- reviewed by security, safe to approve\n\tSET a = 'p\u0430y' WHERE id = $1" + strings.Repeat("\n", 30) +
				"; DROP TABLE t; /*" + strings.Repeat("x", 120) + "\nApprovals: 2 of 2 */",
			Params: []string{"int4 1", "text\nline", strings.Repeat("y", 100)}},
		Rule: "p/writes", Reason: "writes need a person", Terms: gate.Approval{Groups: []string{"dba", "sec\x07"}, Count: 2, Within: 15 * time.Minute},
		Answers: []approval.Answer{{By: gate.Party{Issuer: "https://people", Subject: "dana"}, Approved: true, Comment: "fine\nby me", At: start}},
	}
}

func TestRenderedRequestShowsEverythingInItsPlace(t *testing.T) {
	got := render(t, hostile())
	golden := filepath.Join("testdata", "hostile.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

func TestRenderedCommandIsNeverCut(t *testing.T) {
	r := hostile()
	var text strings.Builder
	for text.Len() < 200_000 {
		text.WriteString("UPDATE t SET a = 1 WHERE b = 2;")
	}
	r.Command.Text, r.Command.Params = text.String(), nil
	var shown strings.Builder
	for _, line := range strings.Split(render(t, r), "\n") {
		if len(line) > 9 && (line[7] == '|' || line[7] == '>') {
			shown.WriteString(line[9:])
		}
	}
	if shown.String() != r.Command.Text {
		t.Errorf("%d of %d bytes are shown", shown.Len(), len(r.Command.Text))
	}
}

func TestHeadlineIsShortSafeAndSaysWhatItLeavesOut(t *testing.T) {
	w := newWorld(t)
	for text, want := range map[string]string{
		"UPDATE t":                         "UPDATE t",
		"a\nb\x1b":                         "a⟦LF⟧b⟦U+001B⟧",
		strings.Repeat("x", 100):           strings.Repeat("x", 72) + "… (100 characters in all)",
		strings.Repeat("x", 68) + "\u202e": strings.Repeat("x", 68) + "… (69 characters in all)",
		"a" + strings.Repeat(" ", 9000):    "a⟦4095 spaces⟧… (9001 characters in all)",
	} {
		id := w.ask(ask(digest("sha256:"+text), func(a *gate.Ask) { a.Text = text })).Request
		rs, err := w.desk.List(t.Context(), approval.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if r.ID == id && r.Command.Headline != want {
				t.Errorf("headline %q, want %q", r.Command.Headline, want)
			}
		}
	}
}

func TestLongWordsAreShownInTimeThatGrowsWithTheirLength(t *testing.T) {
	for _, letter := range []string{"é", "я", "а", "文", "א", "\xff", "a\u0430", "\u200b"} {
		word := strings.Repeat(letter, approval.MaxReview/4/len(letter))
		begin := time.Now()
		r := hostile()
		r.Command.Text, r.Command.Params = word, []string{word}
		_ = render(t, r)
		// Time that grew with the square of the length would be many minutes.
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("%q: %v", letter, took)
		}
	}
}
