package scp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/sftp"
)

// captured is what OpenSSH's scp sent: "upload.client", "download.client" and
// "download.server".
func captured(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".bin")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatOpenSSHSendsIsEncodedAsItWas(t *testing.T) {
	in := captured(t, "download.server")
	r := bufio.NewReader(bytes.NewReader(in))
	var again []byte
	for {
		record, err := ReadRecord(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		again = AppendRecord(again, record)
		if f, ok := record.(File); ok {
			content := make([]byte, f.Size+1)
			if _, err := io.ReadFull(r, content); err != nil {
				t.Fatal(err)
			}
			again = append(again, content...)
		}
	}
	if !bytes.Equal(again, in) {
		t.Errorf("%q, captured %q", again, in)
	}
	answers := bufio.NewReader(bytes.NewReader(captured(t, "download.client")))
	for n := 0; ; n++ {
		_, ok, err := ReadAnswer(answers)
		if errors.Is(err, io.EOF) && n > 5 {
			break
		}
		if err != nil || !ok {
			t.Fatal(n, ok, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, line := range bytes.SplitAfter(captured(f, "upload.client"), []byte("\n")) {
		f.Add(line)
	}
	f.Add([]byte("\x01scp: oops\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		record, err := ReadRecord(bufio.NewReader(bytes.NewReader(b)))
		if err == nil {
			var name string
			switch r := record.(type) {
			case File:
				name = r.Name
			case Directory:
				name = r.Name
			default:
				name = "none"
			}
			if strings.ContainsAny(name, "/\x00\n\x1b") || name == "" || name == ".." || name == "." {
				t.Fatalf("a name %q", name)
			}
			if _, ok := record.(Message); !ok {
				again, err := ReadRecord(bufio.NewReader(bytes.NewReader(AppendRecord(nil, record))))
				if err != nil || again != record {
					t.Fatalf("%+v, then %+v %v", record, again, err)
				}
			}
		}
		_, _, _ = ReadAnswer(bufio.NewReader(bytes.NewReader(b)))
	})
}

func FuzzParse(f *testing.F) {
	f.Add("scp -r -p -d -f -- x y")
	f.Add("scp -vt .")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := Parse(strings.Split(line, " "))
		if err != nil {
			return
		}
		again, err := Parse(c.Argv())
		if err != nil || strings.Join(again.Argv(), "\x00") != strings.Join(c.Argv(), "\x00") {
			t.Fatalf("%q: %v, then %v %v", line, c.Argv(), again, err)
		}
	})
}

// FuzzServe has a client say anything, and a server that holds files answer some
// requests with something else. What must hold: no panic, no hang, and no path
// outside the target is asked for.
func FuzzServe(f *testing.F) {
	f.Add(captured(f, "upload.client"), []byte{}, true, true)
	f.Add(captured(f, "download.client"), []byte{}, false, true)
	f.Add([]byte("C0644 3 x\nabc\x00"), []byte{0, 0, 0, 0, 103, 101, 104}, true, false)
	f.Fuzz(func(t *testing.T, client, lies []byte, upload, recursive bool) {
		fromRelay, toServer := io.Pipe()
		fromServer, out := io.Pipe()
		go lie(lies, fromRelay, out)
		p := &policy{}
		cfg := sftp.Config{Judge: p, Observer: p, Resolver: sftp.ByServer{}, Timeout: 10 * time.Second, PathOnly: true}
		cmd := &Command{Upload: upload, Recursive: recursive, Preserve: recursive, Paths: []string{"/t"}}
		_, _ = Serve(t.Context(), cmd, duplex{bytes.NewReader(client), io.Discard}, cfg, closer{toServer, fromRelay, out}, fromServer)
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, line := range p.log {
			if strings.HasPrefix(line, "judge ") && (!strings.Contains(line, " /t") && !strings.Contains(line, `"/t`) || strings.Contains(line, "/../")) {
				t.Fatalf("outside the target: %s", line)
			}
		}
	})
}

// closer ends the server with its input.
type closer struct {
	*io.PipeWriter
	in  *io.PipeReader
	out *io.PipeWriter
}

func (c closer) Close() error { return errors.Join(c.PipeWriter.Close(), c.in.Close(), c.out.Close()) }

// lie is a server in which every path is a file, or a directory if its last
// letter is even, until the script names another type of packet.
func lie(script []byte, from io.Reader, to *io.PipeWriter) {
	defer to.Close()
	in := sftp.NewReader(from)
	listed := map[string]bool{}
	for {
		packet, err := in.Next()
		if err != nil {
			return
		}
		if sftp.Type(packet[0]) == sftp.TypeInit {
			_, _ = to.Write(sftp.AppendVersion(nil, nil))
			continue
		}
		id, q, err := sftp.DecodeRequest(packet)
		if err != nil {
			return
		}
		answer := sftp.AppendResponse(nil, id, honest(q, listed))
		if len(script) > 0 {
			if script[0] != 0 {
				answer[4] = script[0]
			}
			script = script[1:]
		}
		if _, err := to.Write(answer); err != nil {
			return
		}
	}
}

func honest(q sftp.Request, listed map[string]bool) sftp.Response {
	switch q := q.(type) {
	case *sftp.Realpath:
		name := []byte(q.Path)
		if q.Path == "." {
			name = []byte("/")
		}
		return &sftp.Name{Entries: []sftp.Entry{{Name: name, Longname: name}}}
	case *sftp.Lstat:
		mode := uint32(0o100644)
		if len(q.Path) > 0 && q.Path[len(q.Path)-1]%2 == 0 {
			mode = 0o040755
		}
		return &sftp.FileAttrs{Attrs: sftp.Attrs{HasMode: true, Mode: mode, HasSize: true, Size: 3, HasTimes: true}}
	case *sftp.Fstat:
		return &sftp.FileAttrs{Attrs: sftp.Attrs{HasMode: true, Mode: 0o100644, HasSize: true, Size: 3}}
	case *sftp.Open:
		return &sftp.Handle{Handle: []byte("f")}
	case *sftp.Opendir:
		if strings.HasPrefix(q.Path, "/proc") {
			return &sftp.Status{Code: sftp.NoSuchFile}
		}
		return &sftp.Handle{Handle: []byte(q.Path)}
	case *sftp.Readdir:
		if listed[string(q.Handle)] || len(listed) > 5 {
			return &sftp.Status{Code: sftp.EOF}
		}
		listed[string(q.Handle)] = true
		return &sftp.Name{Entries: []sftp.Entry{{Name: []byte("a"), Longname: []byte("a")}, {Name: []byte("b"), Longname: []byte("b")}}}
	case *sftp.Read:
		return &sftp.Data{Data: []byte("abc")[:min(q.Length, 3)]}
	default:
		return &sftp.Status{Code: sftp.OK}
	}
}
