package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func bindBody(portal, stmt string, formats []uint16, params [][]byte, results []uint16) []byte {
	b := AppendString(AppendString(nil, portal), stmt)
	b = binary.BigEndian.AppendUint16(b, uint16(len(formats)))
	for _, f := range formats {
		b = binary.BigEndian.AppendUint16(b, f)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(params)))
	for _, p := range params {
		if p == nil {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(results)))
	for _, f := range results {
		b = binary.BigEndian.AppendUint16(b, f)
	}
	return b
}

func TestBindKeepsNullAndEmptyApart(t *testing.T) {
	var m BindMessage
	if err := m.Decode(bindBody("p", "s", []uint16{0, 1, 0}, [][]byte{nil, {}, []byte("x")}, []uint16{1})); err != nil {
		t.Fatal(err)
	}
	if m.Params[0] != nil || m.Params[1] == nil || len(m.Params[1]) != 0 || string(m.Params[2]) != "x" || m.Format(1) != 1 {
		t.Fatalf("got %+v", m)
	}
}

func TestMessagesThatDoNotEndWhereTheirFieldsEndAreRefused(t *testing.T) {
	good := bindBody("", "s", []uint16{0}, [][]byte{[]byte("v")}, nil)
	var m BindMessage
	for name, body := range map[string][]byte{
		"trailing byte":           append(bytes.Clone(good), 0),
		"cut":                     good[:len(good)-1],
		"no NUL":                  []byte("portal"),
		"size beyond the message": bindBodyWithSize(1 << 30),
		"size -2":                 bindBodyWithSize(0xfffffffe),
		"format 2":                bindBody("", "", []uint16{2}, [][]byte{nil}, nil),
		"result format 7":         bindBody("", "", nil, nil, []uint16{7}),
	} {
		if err := m.Decode(body); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := m.Decode(bindBody("", "", []uint16{0, 0}, [][]byte{nil, nil, nil}, nil)); !errors.Is(err, ErrFormats) {
		t.Errorf("two formats, three parameters: got %v", err)
	}
	if _, err := DecodeQuery([]byte("SELECT 1\x00; DELETE FROM t\x00")); !errors.Is(err, ErrMalformed) {
		t.Errorf("a text with two NULs: got %v", err)
	}
	if _, _, err := DecodeTarget([]byte("Xname\x00")); !errors.Is(err, ErrMalformed) {
		t.Errorf("a Describe of kind X: got %v", err)
	}
}

func bindBodyWithSize(n uint32) []byte {
	b := append(AppendString(AppendString(nil, ""), ""), 0, 0, 0, 1)
	return append(binary.BigEndian.AppendUint32(b, n), 'x', 0, 0)
}

func TestFaultSurvivesEncoding(t *testing.T) {
	f := Fault{Severity: "ERROR", Code: "42501", Message: "m", Detail: "d", Hint: "h", Position: 7, Internal: []string{"Rfoo", "L12"}}
	got, err := DecodeFault(f.Append(nil, ErrorResponse)[HeaderSize:])
	if err != nil || got.Severity != f.Severity || got.Code != f.Code || got.Message != f.Message || got.Detail != f.Detail ||
		got.Hint != f.Hint || got.Position != f.Position || strings.Join(got.Internal, " ") != "Rfoo L12" {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestRendererShowsAnAnswerCutAnywhere(t *testing.T) {
	b, at := Begin(nil, RowDescription)
	b = append(b, 0, 1)
	b = AppendString(b, "id")
	b = End(append(b, make([]byte, 18)...), at)
	b, at = Begin(b, DataRow)
	b = End(append(b, 0, 2, 0, 0, 0, 1, '7', 0xff, 0xff, 0xff, 0xff), at)
	b, at = Begin(b, CommandComplete)
	b = End(AppendString(b, "SELECT 1"), at)
	b = AppendReadyForQuery(b, StatusIdle)
	for step := 1; step <= len(b); step++ {
		var r Renderer
		var got []string
		for i := 0; i < len(b); i += step {
			r.Render(1, b[i:min(i+step, len(b))], func(kind string, cells [][]byte) {
				line := kind
				for _, c := range cells {
					if c == nil {
						c = []byte("NULL")
					}
					line += " " + string(c)
				}
				got = append(got, line)
			})
		}
		if s := strings.Join(got, "|"); s != "columns id|row 7 NULL|tag SELECT 1" {
			t.Fatalf("in steps of %d: %s", step, s)
		}
	}
}

// bodies returns the bodies of the messages that real clients and a real server said.
func bodies(f *testing.F) [][]byte {
	f.Helper()
	names, err := filepath.Glob(filepath.Join("..", "testdata", "traffic", "*.*end"))
	if err != nil || len(names) == 0 {
		f.Fatalf("no captured traffic: %v", err)
	}
	var all [][]byte
	seen := map[string]bool{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for len(b) > HeaderSize {
			end := 1 + int(binary.BigEndian.Uint32(b[1:]))
			if body := b[HeaderSize:end]; !seen[string(body)] {
				seen[string(body)] = true
				all = append(all, body)
			}
			b = b[end:]
		}
	}
	return all
}

func FuzzDecode(f *testing.F) {
	for _, b := range bodies(f) {
		f.Add(b)
	}
	f.Add([]byte("SELECT 1\x00"))
	f.Add(bindBody("p", "s", []uint16{1}, [][]byte{nil, []byte("x")}, []uint16{0, 1}))
	f.Add((&Fault{Severity: "ERROR", Code: "42601", Message: "m"}).Append(nil, ErrorResponse)[HeaderSize:])
	f.Add([]byte("user\x00agent\x00database\x00orders\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if sql, err := DecodeQuery(body); err == nil && len(sql)+1 != len(body) {
			t.Fatal("a Query that does not end with its text")
		}
		if m, err := DecodeParse(body); err == nil {
			again := AppendParse(nil, string(m.Name), m.SQL, m.Types)
			if !bytes.Equal(again[HeaderSize:], body) {
				t.Fatalf("Parse: %q became %q", body, again)
			}
		}
		var m BindMessage
		if m.Decode(body) == nil {
			total := 0
			for _, p := range m.Params {
				total += len(p)
			}
			if total > len(body) {
				t.Fatal("parameters longer than the message")
			}
		}
		if kind, name, err := DecodeTarget(body); err == nil && len(name)+2 != len(body) {
			t.Fatalf("target %q %q", kind, name)
		}
		_, _, _ = DecodeExecute(body)
		_, _, _ = DecodeParameterStatus(body)
		_, _ = DecodeFault(body)
		_ = DecodeStartup(body, func(string, string) {})
		if columns, err := DecodeRowDescription(nil, body); err == nil && len(columns)*19 > len(body) {
			t.Fatal("more columns than the message can hold")
		}
		if values, err := DecodeDataRow(nil, body); err == nil && len(values)*4 > len(body) {
			t.Fatal("more values than the message can hold")
		}
		var r Renderer
		r.Render(0, body, func(string, [][]byte) {})
		if len(r.pending) > maxRendered {
			t.Fatal("the renderer keeps too much")
		}
	})
}
