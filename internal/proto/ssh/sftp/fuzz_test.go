package sftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// captured returns the packets that OpenSSH's sftp and sftp-server sent each
// other: put, get, rename, links, chmod, ls, df, cp, rm and failures.
func captured(t testing.TB, side string) (packets [][]byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + side + ".bin")
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(bytes.NewReader(b))
	for {
		packet, err := r.Next()
		if errors.Is(err, io.EOF) {
			return packets
		}
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, bytes.Clone(packet))
	}
}

// requests are the captured requests by id.
func requests(t testing.TB) map[uint32]Request {
	t.Helper()
	all := map[uint32]Request{}
	for _, packet := range captured(t, "client")[1:] {
		id, q, err := DecodeRequest(packet)
		if err != nil {
			t.Fatal(err)
		}
		all[id] = q
	}
	return all
}

func TestWhatOpenSSHSendsIsEncodedAsItWas(t *testing.T) {
	seen := map[Type]bool{}
	for _, packet := range captured(t, "client")[1:] {
		id, q, err := DecodeRequest(packet)
		if err != nil {
			t.Fatalf("%x: %v", packet, err)
		}
		seen[q.Type()] = true
		if again := AppendRequest(nil, id, q)[4:]; !bytes.Equal(again, packet) {
			t.Errorf("%T: %x, captured %x", q, again, packet)
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d types were captured", len(seen))
	}
	asked := requests(t)
	for _, packet := range captured(t, "server")[1:] {
		id, _ := RequestID(packet)
		_, r, err := DecodeResponse(packet, asked[id])
		if err != nil {
			t.Fatalf("%x: %v", packet, err)
		}
		if again := AppendResponse(nil, id, r)[4:]; !bytes.Equal(again, packet) {
			t.Errorf("%T: %x, captured %x", r, again, packet)
		}
	}
	for side, t1 := range map[string]Type{"client": TypeInit, "server": TypeVersion} {
		version, pairs, err := decodeGreeting(captured(t, side)[0], t1)
		if err != nil || version != Version || t1 == TypeVersion && len(pairs) < 8 {
			t.Errorf("%s: version %d %v %v", side, version, pairs, err)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for _, packet := range captured(f, "client") {
		f.Add(packet)
	}
	for _, q := range []Request{&HomeDirectory{"root"}, &UsersGroupsByID{[]uint32{0, 1}, []uint32{2}}, &ExpandPath{"~/x"}, &Limits{},
		&Lsetstat{"/x", Attrs{HasMode: true, Mode: 1}}, &Fstatvfs{[]byte("abcd")}, &Readlink{"x"}, &UnknownExtension{"x"}} {
		f.Add(AppendRequest(nil, 1, q)[4:])
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		id, q, err := DecodeRequest(packet)
		if err != nil {
			return
		}
		if _, unknown := q.(*UnknownExtension); unknown {
			return // what follows the name is dropped
		}
		if again := AppendRequest(nil, id, q)[4:]; !bytes.Equal(again, packet) {
			t.Fatalf("%T: %x is encoded as %x", q, packet, again)
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	asked := requests(f)
	patterns := []Request{asRead, asReaddir, asFstat, asFstatvfs, asClose, &Open{}, &Limits{}, &Realpath{}, &UsersGroupsByID{[]uint32{1}, nil}}
	for _, packet := range captured(f, "server")[1:] {
		id, _ := RequestID(packet)
		for i, p := range patterns {
			if answerType(p) == answerType(asked[id]) {
				f.Add(packet, byte(i)) //nolint:gosec // few
			}
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte, pattern byte) {
		to := patterns[int(pattern)%len(patterns)]
		id, r, err := DecodeResponse(packet, to)
		if err != nil {
			return
		}
		again := AppendResponse(nil, id, r)[4:]
		if s, ok := r.(*Status); ok {
			// The language of the message is dropped.
			if !bytes.HasPrefix(packet, again[:len(again)-4]) {
				t.Fatalf("%+v: %x is encoded as %x", s, packet, again)
			}
			return
		}
		if !bytes.Equal(again, packet) {
			t.Fatalf("%T: %x is encoded as %x", r, packet, again)
		}
	})
}

func FuzzGreeting(f *testing.F) {
	f.Add(captured(f, "client")[0])
	f.Add(captured(f, "server")[0])
	f.Fuzz(func(t *testing.T, packet []byte) {
		version, pairs, err := DecodeVersion(packet)
		if err == nil && version == Version && !bytes.Equal(AppendVersion(nil, pairs)[4:], packet) {
			t.Fatalf("%x is encoded as %x", packet, AppendVersion(nil, pairs)[4:])
		}
		if _, pairs, err = DecodeInit(packet); err == nil && len(pairs) > maxExtensions {
			t.Fatal("too many extensions")
		}
	})
}

func FuzzReader(f *testing.F) {
	for _, side := range []string{"client", "server"} {
		b, err := os.ReadFile("testdata/" + side + ".bin")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:2000], byte(7))
	}
	f.Fuzz(func(t *testing.T, stream []byte, step byte) {
		r := NewReader(&slow{stream, int(step)%61 + 1})
		defer r.Close()
		rest := stream
		for {
			packet, err := r.Next()
			if err != nil {
				return
			}
			if n := binary.BigEndian.Uint32(rest); int(n) != len(packet) || !bytes.Equal(rest[4:4+n], packet) {
				t.Fatalf("packet %x of %x", packet, rest)
			}
			rest = rest[4+len(packet):]
		}
	})
}

// slow gives a few bytes at a time.
type slow struct {
	b []byte
	n int
}

func (s *slow) Read(b []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.b[:min(s.n, len(s.b))])
	s.b = s.b[n:]
	return n, nil
}

// FuzzEngine has both sides say anything: each piece of the input is a packet of
// the client or of the server, or an answer to what the Engine last asked. What
// must hold: no panic, nothing reaches the server but what decodes as a request
// with the server's own handles, and nothing reaches the client but responses.
func FuzzEngine(f *testing.F) {
	var script []byte
	for i, packet := range captured(f, "client") {
		if len(packet) < 250 && i < 40 {
			script = append(append(script, 0, byte(len(packet))), packet...)
		}
	}
	f.Add(script)
	read := append([]byte{0, 31, byte(TypeRead), 0, 0, 0, 1, 0, 0, 0, 8}, "HANDLE\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09"...)
	f.Add(append(read, 1, 10, byte(TypeData), 0, 0, 0, 0, 0, 0, 0, 1, 'x'))
	f.Fuzz(func(t *testing.T, script []byte) {
		e := NewEngine(4)
		greet(t, e)
		h := openFile(t, e, 1<<31, FlagRead|FlagWrite)
		defer e.Close()
		var pending []uint32
		for len(script) > 2 {
			side, n := script[0]%4, int(script[1])
			packet := bytes.Clone(script[2 : 2+min(n, len(script)-2)])
			script = script[2+len(packet):]
			var s Step
			var err error
			switch {
			case side == 0:
				s, err = e.Client(bytes.ReplaceAll(packet, []byte("HANDLE"), h))
			case side == 2:
				id, _, ownErr := e.Own([]Request{&Stat{"/"}, &Realpath{"/"}, &Opendir{"/"}, &Limits{}}[n%4])
				if ownErr != nil {
					return
				}
				pending = append(pending, id)
				continue
			default:
				if side == 1 && len(pending) > 0 && len(packet) >= 5 {
					binary.BigEndian.PutUint32(packet[1:], pending[0])
					pending = pending[1:]
				}
				s, err = e.Server(packet)
			}
			if err != nil {
				if !errors.Is(err, ErrClient) && !errors.Is(err, ErrServer) {
					t.Fatalf("an error of neither side: %v", err)
				}
				return
			}
			pending = checkStep(t, e, &s, pending)
		}
	})
}

func checkStep(t *testing.T, e *Engine, s *Step, pending []uint32) []uint32 {
	t.Helper()
	packet := s.Frame.AppendTo(nil)
	if s.Kind == StepForward || s.Kind == StepAnswer {
		if int(binary.BigEndian.Uint32(packet)) != len(packet)-4 {
			t.Fatalf("a packet of a wrong length: %x", packet)
		}
	}
	switch s.Kind {
	case StepForward:
		id, q, err := DecodeRequest(packet[4:])
		if err != nil {
			t.Fatalf("forwarded %x: %v", packet, err)
		}
		checkForwarded(t, q)
		return append(pending, id)
	case StepAnswer:
		if typ := Type(packet[4]); !isResponse(typ) {
			t.Fatalf("answered a packet of type %d", typ)
		}
	case StepCommand:
		if !s.Command.service && (len(s.Command.Paths) == 0 || s.Command.Effects() == 0) {
			t.Fatalf("a command without effects: %s", s.Command.Text())
		}
		for _, r := range s.Command.Text() {
			if r < ' ' || r > '~' {
				t.Fatalf("text %q", s.Command.Text())
			}
		}
		e.Answer(s.Command, &Status{Code: PermissionDenied})
	}
	return pending
}

func isResponse(t Type) bool { return t >= TypeStatus && t <= TypeAttrs || t == TypeExtendedReply }

// checkForwarded: without being judged, only what uses a handle goes on, and
// with the server's handle.
func checkForwarded(t *testing.T, q Request) {
	t.Helper()
	var h []byte
	switch q := q.(type) {
	case *Read:
		h = q.Handle
	case *Write:
		h = q.Handle
	case *Close:
		h = q.Handle
	case *Fstat:
		h = q.Handle
	case *Readdir:
		h = q.Handle
	case *Fsync:
		h = q.Handle
	case *Fstatvfs:
		h = q.Handle
	}
	if !bytes.Equal(h, []byte{0, 0, 0, 5}) {
		t.Fatalf("a %T was forwarded with handle %x", q, h)
	}
}

// FuzzRelay has a server say anything to a relay that a client uses: it answers
// each request with the next piece of the input.
func FuzzRelay(f *testing.F) {
	var script []byte
	for _, packet := range captured(f, "server") {
		if len(packet) < 250 {
			script = append(append(script, byte(len(packet))), packet...)
		}
	}
	f.Add(script)
	f.Fuzz(func(t *testing.T, script []byte) {
		fromRelay, toServer := io.Pipe()
		fromServer, out := io.Pipe()
		go lie(script, fromRelay, out)
		defer fromRelay.Close()
		p := &policy{secret: "/secret"}
		clientIn, toClient := io.Pipe()
		fromClient, clientOut := io.Pipe()
		r := New(Config{Judge: p, Observer: p, Resolver: ByServer{}, Timeout: 10 * time.Second, PathOnly: true}, toClient, toServer)
		ran := make(chan struct{})
		go func() {
			defer close(ran)
			_ = r.Run(t.Context(), fromClient, fromServer)
			_ = errors.Join(toServer.Close(), fromServer.Close(), fromClient.Close(), r.Finish(), toClient.Close())
		}()
		go func() {
			<-r.Ended()
			_ = fromClient.CloseWithError(io.ErrUnexpectedEOF)
		}()
		go func() {
			defer clientOut.Close()
			b := AppendInit(nil)
			for i, q := range []Request{&Open{Path: "a", Flags: FlagRead}, &Stat{"b"}, &PosixRename{"c", "d"}, &Hardlink{"e", "f"}, &Opendir{"g"},
				&Open{Path: "h", Flags: FlagWrite | FlagCreate | FlagTrunc}, &Symlink{"i", "j"}, &Setstat{"k", Attrs{HasMode: true}}, &Remove{"/secret"}} {
				b = append(b, AppendRequest(nil, uint32(i), q)...) //nolint:gosec // few
			}
			_, _ = clientOut.Write(b)
		}()
		in := NewReader(clientIn)
		for {
			packet, err := in.Next()
			if err != nil {
				break
			}
			if typ := Type(packet[0]); typ != TypeVersion && !isResponse(typ) {
				t.Errorf("the client got a packet of type %d", typ)
			}
		}
		_ = clientIn.Close()
		<-ran
		if strings.Contains(strings.Join(p.log, "\n"), "done remove 0") {
			t.Error("the secret was removed")
		}
	})
}

// lie answers each request of a relay with the next piece of the script.
func lie(script []byte, from io.Reader, to io.WriteCloser) {
	defer to.Close()
	in := NewReader(from)
	for {
		packet, err := in.Next()
		if err != nil {
			return
		}
		if Type(packet[0]) == TypeInit {
			_, _ = to.Write(AppendVersion(nil, []Pair{{string(ExtPosixRename), "1"}, {string(ExtHardlink), "1"}}))
			continue
		}
		if len(script) == 0 {
			return
		}
		n := min(int(script[0]), len(script)-1)
		answer := append([]byte{0, 0, 0, byte(n)}, script[1:1+n]...)
		script = script[1+n:]
		if n >= 5 {
			copy(answer[5:9], packet[1:5])
		}
		if _, err := to.Write(answer); err != nil {
			return
		}
	}
}
