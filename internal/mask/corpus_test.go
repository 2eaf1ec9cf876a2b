package mask

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the corpus and the table in docs/detectors.md")

const (
	corpusFile = "testdata/corpus/corpus.jsonl"
	docFile    = "../../docs/detectors.md"
	tableBegin = "<!-- table: go test ./internal/mask -update -->\n"
	tableEnd   = "<!-- end of table -->\n"
	// maxCorpus bounds the corpus in the repository.
	maxCorpus = 300 << 10
)

func encodeCorpus(t *testing.T, items []item) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, i := range items {
		if err := e.Encode(i); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func readCorpus(t *testing.T) []item {
	t.Helper()
	data, err := os.ReadFile(corpusFile)
	if err != nil {
		t.Fatal(err)
	}
	var items []item
	for d := json.NewDecoder(bytes.NewReader(data)); d.More(); {
		var i item
		if err := d.Decode(&i); err != nil {
			t.Fatal(err)
		}
		items = append(items, i)
	}
	return items
}

func TestCorpusIsWhatItsGeneratorMakes(t *testing.T) {
	want := encodeCorpus(t, corpus())
	if len(want) > maxCorpus {
		t.Errorf("the corpus has %d bytes, at most %d may be", len(want), maxCorpus)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(corpusFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(corpusFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(corpusFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the generator makes (%v); go test ./internal/mask -update", corpusFile, err)
	}
}

// score counts what a detector did on the corpus.
type score struct{ found, missed, wrong int }

func (s score) precision() float64 { return ratio(s.found, s.found+s.wrong) }
func (s score) recall() float64    { return ratio(s.found, s.found+s.missed) }

func ratio(a, b int) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}

// masked returns what must come out of a text of the corpus.
func (i item) masked() string {
	out, rest := "", i.Text
	for _, v := range i.Values {
		name, value, _ := strings.Cut(v, "=")
		before, after, _ := strings.Cut(rest, value)
		out, rest = out+before+"[redacted:"+name+"]", after
	}
	return out + rest
}

// measured scores every detector. A text counts as right only if exactly its
// values are masked, to the byte; otherwise all its values are missed, and
// whatever was masked in it is wrong.
func measured(t *testing.T, items []item) map[string]score {
	t.Helper()
	scores := map[string]score{}
	for _, i := range items {
		s := (&Rules{}).NewStream()
		out := s.Write(nil, []byte(i.Text))
		out = s.Close(out)
		right := string(out) == i.masked()
		if !right && testing.Verbose() {
			t.Logf("%s\n in %q\nout %q", i.Kind, i.Text, out)
		}
		for _, v := range i.Values {
			name, _, _ := strings.Cut(v, "=")
			x := scores[name]
			if right {
				x.found++
			} else {
				x.missed++
			}
			scores[name] = x
		}
		if right {
			continue
		}
		for name, n := range s.Counts() {
			x := scores[name]
			x.wrong += n
			scores[name] = x
		}
	}
	return scores
}

// floors are the precision and recall that no detector may fall under. The hard
// texts of the corpus, which hold a value that only its reader recognises, keep
// some of them down.
func floors(name string) (precision, recall float64) {
	precision, recall = 0.95, 0.95
	switch name {
	case "assignment":
		recall = 0.88
	case "us-ssn":
		precision, recall = 0.90, 0.92
	case "phone":
		recall = 0.90
	case "private-key", "vault-token", "uk-nino", "fr-nir", "es-dni", "nl-bsn", "pl-pesel", "se-personnummer", "br-cpf", "in-aadhaar":
		recall = 0.90
	}
	return precision, recall
}

func TestDetectorsKeepTheirPrecisionAndRecall(t *testing.T) {
	scores := measured(t, readCorpus(t))
	for _, name := range Names() {
		s := scores[name]
		precision, recall := floors(name)
		if s.found+s.missed < 20 {
			t.Errorf("%s: the corpus has %d values of it", name, s.found+s.missed)
		}
		if s.precision() < precision || s.recall() < recall {
			t.Errorf("%s: precision %.3f, at least %.3f; recall %.3f, at least %.3f", name, s.precision(), precision, s.recall(), recall)
		}
	}
	checkTable(t, scores)
}

func checkTable(t *testing.T, scores map[string]score) {
	t.Helper()
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(doc), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no table between its marks", docFile)
	}
	want := before + tableBegin + table(scores) + tableEnd + after
	if *update {
		if err := os.WriteFile(docFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(doc) {
		t.Errorf("the table in %s is not what was measured; go test ./internal/mask -update", docFile)
	}
}

func table(scores map[string]score) string {
	var b strings.Builder
	b.WriteString("| detector | group | finds | masks | values | precision | recall |\n|---|---|---|---|---|---|---|\n")
	for _, d := range detectors[1:] {
		s := scores[d.name]
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %d | %.3f | %.3f |\n", d.name, d.group, d.finds, strings.Join(Masks(d.name), ", "),
			s.found+s.missed, s.precision(), s.recall())
	}
	return b.String()
}
