package sftp

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// asksNobody takes paths for what they say, without a question to the server, which
// would send what is kept back.
type asksNobody struct{}

func (asksNobody) Resolve(_ context.Context, _ *Host, paths []Path) error {
	for i := range paths {
		paths[i].Place = Place{Real: paths[i].Absolute, Kind: KindAbsent}
		if _, err := os.Stat(paths[i].Absolute); err == nil {
			paths[i].Place.Kind = KindRegular
		}
	}
	return nil
}

func TestWhatWasAskedForBeforeDoesNotWaitForADecision(t *testing.T) {
	dir, p := tempDir(t), &policy{}
	put(t, dir+"/pub/file", []byte("public"))
	c := dial(t, Config{Resolver: asksNobody{}}, p)
	h := c.open(dir+"/pub/file", FlagWrite)
	there := errors.New("what was written did not arrive")
	p.decide = func(cmd *Command) error {
		if cmd.Operation != OpMkdir {
			return nil
		}
		for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
			if got, err := os.ReadFile(dir + "/pub/file"); err == nil && bytes.Equal(got, []byte("PUBLIC")) {
				there = nil
				return nil
			}
		}
		return &Refused{"it did not arrive"}
	}
	// Both are there when the Relay reads the first.
	c.next += 2
	write, mkdir := &Write{Handle: h, Data: []byte("PUBLIC")}, &Mkdir{dir + "/pub/new", Attrs{}}
	c.write(append(AppendRequest(nil, c.next-1, write), AppendRequest(nil, c.next, mkdir)...))
	c.answer(c.next-1, write)
	c.answer(c.next, mkdir)
	if there != nil {
		t.Error(there)
	}
}
