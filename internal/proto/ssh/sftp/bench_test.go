package sftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"
)

// bulk is an Engine with an open file and the packets of one piece of it, each
// way. The digest is what costs; framing alone is measured with it taken out.
type bulk struct {
	e           *Engine
	f           *File
	read, write []byte
	data, ok    []byte
}

func newBulk(tb testing.TB, digest bool) *bulk {
	e := NewEngine(4)
	greet(tb, e)
	h := openFile(tb, e, 1, FlagRead|FlagWrite)
	b := &bulk{e: e, f: e.handles.find(h)}
	if !digest {
		b.f.read.sum, b.f.written.sum = noDigest{}, noDigest{}
	}
	piece := random(32 << 10)
	b.read = AppendRequest(nil, 2, &Read{h, 0, 32 << 10})[4:]
	b.write = AppendRequest(nil, 3, &Write{h, 0, piece})[4:]
	b.data = AppendResponse(nil, 0, &Data{piece})[4:]
	b.ok = AppendResponse(nil, 0, &Status{Code: OK})[4:]
	return b
}

// noDigest stands for a digest that costs nothing.
type noDigest struct{}

func (noDigest) Write(b []byte) (int, error) { return len(b), nil }
func (noDigest) Sum([]byte) []byte           { return nil }
func (noDigest) Reset()                      {}
func (noDigest) Size() int                   { return 0 }
func (noDigest) BlockSize() int              { return 1 }

func (b *bulk) download(tb testing.TB) {
	s, err := b.e.Client(b.read)
	if err != nil || s.Kind != StepForward {
		tb.Fatal(s, err)
	}
	copy(b.data[1:5], s.Frame.Head[5:9])
	if s, err = b.e.Server(b.data); err != nil || s.Kind != StepAnswer {
		tb.Fatal(s, err)
	}
}

func (b *bulk) upload(tb testing.TB) {
	s, err := b.e.Client(b.write)
	if err != nil || s.Kind != StepForward {
		tb.Fatal(s, err)
	}
	copy(b.ok[1:5], s.Frame.Head[5:9])
	if s, err = b.e.Server(b.ok); err != nil || s.Kind != StepAnswer {
		tb.Fatal(s, err)
	}
}

func TestBulkDataIsCarriedWithoutAllocating(t *testing.T) {
	b := newBulk(t, true)
	if n := testing.AllocsPerRun(200, func() { b.download(t) }); n != 0 {
		t.Errorf("%v allocations for a READ and its DATA", n)
	}
	if n := testing.AllocsPerRun(200, func() { b.upload(t) }); n != 0 {
		t.Errorf("%v allocations for a WRITE and its STATUS", n)
	}
}

func BenchmarkFraming(b *testing.B) {
	for name, digest := range map[string]bool{"framing": false, "with SHA-256": true} {
		for _, way := range []string{"download", "upload"} {
			b.Run(way+"/"+name, func(b *testing.B) {
				k := newBulk(b, digest)
				b.SetBytes(32 << 10)
				b.ReportAllocs()
				for b.Loop() {
					if way == "download" {
						k.download(b)
					} else {
						k.upload(b)
					}
				}
			})
		}
	}
}

func BenchmarkReader(b *testing.B) {
	var stream []byte
	packet := AppendResponse(nil, 1, &Data{make([]byte, 32<<10)})
	for range 64 {
		stream = append(stream, packet...)
	}
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(bytes.NewReader(stream))
		for range 64 {
			if _, err := r.Next(); err != nil {
				b.Fatal(err)
			}
		}
		r.Close()
	}
}

// BenchmarkRelay carries a download through a whole Relay between two pipes.
func BenchmarkRelay(b *testing.B) {
	fromRelay, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	go func() {
		defer out.Close()
		in := NewReader(fromRelay)
		answer := AppendResponse(nil, 0, &Data{random(32 << 10)})
		for {
			packet, err := in.Next()
			if err != nil {
				return
			}
			reply := answer
			id, _ := RequestID(packet)
			switch Type(packet[0]) {
			case TypeInit:
				reply = AppendVersion(nil, nil)
			case TypeRealpath:
				_, q, _ := DecodeRequest(packet)
				name := "/" + strings.TrimLeft(q.(*Realpath).Path, "./")
				reply = AppendResponse(nil, id, &Name{[]Entry{{Name: []byte(name)}}})
			case TypeOpendir:
				reply = AppendResponse(nil, id, &Status{Code: NoSuchFile})
			case TypeLstat:
				reply = AppendResponse(nil, id, &FileAttrs{Attrs{HasMode: true, Mode: modeRegular}})
			case TypeOpen:
				reply = AppendResponse(nil, id, &Handle{[]byte("hand")})
			default:
				binary.BigEndian.PutUint32(reply[5:], id)
			}
			if _, err := out.Write(reply); err != nil {
				return
			}
		}
	}()
	clientIn, toClient := io.Pipe()
	fromClient, clientOut := io.Pipe()
	p := &policy{grant: &Grant{Read: NoLimit}}
	r := New(Config{Judge: p, Observer: p, Resolver: ByServer{}, Timeout: time.Minute, PathOnly: true}, toClient, toServer)
	go func() {
		_ = r.Run(context.Background(), fromClient, fromServer)
		_ = toServer.Close()
		_ = toClient.Close()
		_ = r.Finish()
	}()
	in := NewReader(clientIn)
	next := func() []byte {
		packet, err := in.Next()
		if err != nil {
			b.Fatal(err)
		}
		return packet
	}
	send := func(packet []byte) {
		if _, err := clientOut.Write(packet); err != nil {
			b.Fatal(err)
		}
	}
	send(AppendInit(nil))
	next()
	send(AppendRequest(nil, 1, &Open{Path: "/f", Flags: FlagRead}))
	_, h, err := DecodeResponse(bytes.Clone(next()), &Open{})
	if err != nil {
		b.Fatal(err)
	}
	read := AppendRequest(nil, 2, &Read{h.(*Handle).Handle, 0, 32 << 10})
	b.SetBytes(32 << 10)
	b.ReportAllocs()
	for b.Loop() {
		send(read)
		next()
	}
	_ = clientOut.Close()
	_ = clientIn.Close()
}
