package corpus

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

const attack = `{"id":"a","class":"b","mode":"simple","sql":["SELECT 1"],"expect":"blocked","policy":"mask","check":{"ok":1}}`

func TestCorpusRefusesCasesThatItCouldNotJudge(t *testing.T) {
	for name, line := range map[string]string{
		"check that nobody makes":   strings.Replace(attack, `"ok":1`, `"okay":1`, 1),
		"attack without a check":    strings.Replace(attack, `{"ok":1}`, `{}`, 1),
		"expectation":               strings.Replace(attack, "blocked", "unsure", 1),
		"policy":                    strings.Replace(attack, `"mask"`, `"none"`, 1),
		"step of no kind":           strings.Replace(attack, `"SELECT 1"`, `{"params":["1"]}`, 1),
		"step of an unknown kind":   strings.Replace(attack, `"SELECT 1"`, `{"z":"SELECT 1"}`, 1),
		"step of two kinds":         strings.Replace(attack, `"SELECT 1"`, `{"q":"SELECT 1","x":"SELECT 1"}`, 1),
		"oracle of one step":        strings.Replace(attack, `"ok":1`, `"oracle":[1]`, 1),
		"two cases of one name":     attack + "\n" + attack,
		"nothing":                   "\n\n",
		"a surrogate without a use": strings.Replace(attack, "SELECT 1", `\ud800`, 1),
	} {
		if _, err := ReadCases([]byte(line), 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := ReadCases([]byte(attack), 1); err != nil {
		t.Error(err)
	}
}

func TestCorpusCasesNameThePortOfTheServer(t *testing.T) {
	cases, err := ReadCases([]byte(strings.Replace(attack, "SELECT 1", "port=55499", 1)), 1234)
	if err != nil {
		t.Fatal(err)
	}
	if got := cases[0].Statement(); got != "port=1234" {
		t.Error(got)
	}
}

func TestCorpusTextCanHoldBytesThatAreNotUTF8(t *testing.T) {
	for in, want := range map[string]string{
		`"plain"`: "plain", `"a\n\"\\\/"`: "a\n\"\\/", `"\udc83'"`: "\x83'", `"\u00e9é"`: "éé", `"\ud83d\ude00\udcff"`: "😀\xff",
	} {
		var got text
		if err := json.Unmarshal([]byte(in), &got); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", in, got, err)
		}
	}
}

func TestCorpusStepsAreSentAsTheirModeSays(t *testing.T) {
	types := func(mode, step string) (out string, syncs int) {
		var op Op
		if err := json.Unmarshal([]byte(step), &op); err != nil {
			t.Fatal(err)
		}
		b, syncs, err := (&play{c: &Case{Mode: mode}}).encode(&op)
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			f, rest, ok, err := decodeFrame(b)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			out, b = out+string(f.typ), rest
		}
		return out, syncs
	}
	for _, c := range []struct {
		mode, step, want string
		syncs            int
	}{
		{"simple", `"SELECT 1"`, "Q", 1},
		{"cursor", `"SELECT 1"`, "Q", 1},
		{"extended", `"SELECT 1"`, "PBDES", 1},
		{"prepared", `"SELECT 1"`, "PSBDESCS", 3},
		{"prepared", `{"q":"SELECT 1"}`, "Q", 1},
		{"simple", `{"x":"SELECT $1","params":[null,1,"a"],"rfmt":[1]}`, "PBDES", 1},
		{"simple", `{"pipe":[{"parse":"","sql":"x"},{"bind":""},{"describe":"S"},{"execute":""},{"close":"P"},{"flush":1},{"sync":1},{"q":"y"}],"syncs":2}`, "PBDECHSQ", 1},
		{"simple", `{"qhex":"53"}`, "Q", 1},
		{"simple", `{"rawhex":"5300000004"}`, "S", 1},
	} {
		if got, syncs := types(c.mode, c.step); got != c.want || syncs != c.syncs {
			t.Errorf("%s %s: %s %d, want %s %d", c.mode, c.step, got, syncs, c.want, c.syncs)
		}
	}
}

func TestCorpusTwinsMayDifferOnlyByNature(t *testing.T) {
	column := func(table, typ byte) frame {
		return frame{'T', append([]byte("\x00\x01ssn\x00"), 0, 0, table, 1, 0, 4, 0, 0, typ, 0, 0, 4, 255, 255, 255, 255, 0, 0)}
	}
	base := []frame{{'K', []byte("12345678")}, column(0x40, 0x50), {'A', []byte("0001x\x00y\x00")}, dataRow([]byte("***"))}
	same := []frame{{'K', []byte("87654321")}, column(0x41, 0x51), {'A', []byte("0002x\x00y\x00")}, dataRow([]byte("***"))}
	if d, err := interference(base, same); d != "" || err != nil {
		t.Error(d, err)
	}
	for name, other := range map[string][]frame{
		"a value":         append(slices.Clone(base[:3]), dataRow([]byte("**"))),
		"a missing value": append(slices.Clone(base[:3]), dataRow(nil)),
		"a message less":  base[:3],
		"a builtin type":  append([]frame{base[0], column(0x40, 0)}, base[2:]...),
		"a payload":       {base[0], base[1], {'A', []byte("0001x\x00z\x00")}, base[3]},
		"a message type":  append(slices.Clone(base[:3]), frame{'d', base[3].body}),
	} {
		if d, err := interference(base, other); d == "" && err == nil {
			t.Errorf("%s: no difference", name)
		}
	}
}

func FuzzServerMessages(f *testing.F) {
	f.Add([]byte("D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x01xZ\x00\x00\x00\x05I"))
	f.Add(append([]byte("T\x00\x00\x00\x1e\x00\x01a\x00"), make([]byte, 18)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got []frame
		for rest := b; ; {
			m, next, ok, err := decodeFrame(rest)
			if err != nil || !ok {
				break
			}
			if len(rest)-len(next) != len(m.body)+5 {
				t.Fatalf("%d bytes taken for a body of %d", len(rest)-len(next), len(m.body))
			}
			got, rest = append(got, m), next
		}
		detect(got)
		if d, err := interference(got, got); d != "" && err == nil {
			t.Errorf("differs from itself: %s", d)
		}
	})
}

func FuzzCases(f *testing.F) {
	f.Add([]byte(attack))
	for line := range bytes.Lines(publicCases) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cases, err := ReadCases(b, 1)
		for i := range cases {
			if err == nil && cases[i].Statement() == "" && len(cases[i].SQL) > 1 {
				t.Error("steps without a text")
			}
		}
	})
}
