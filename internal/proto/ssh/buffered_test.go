package ssh

import (
	"net"
	"slices"
	"testing"
)

// batched is a connection that remembers what it was told to hold back for.
type batched struct {
	net.Conn
	batches []int
}

func (b *batched) Batch(n int)                 { b.batches = append(b.batches, n) }
func (b *batched) Write(p []byte) (int, error) { return len(p), nil }

func TestThePeerIsNotWokenForTheFirstPieceOfALargePacket(t *testing.T) {
	raw := &batched{}
	c := newBufferedConn(raw)
	for _, n := range []int{52, writeBuffer, 28_000, writeBuffer - 16, writeBuffer + 16} {
		if _, err := c.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(raw.batches, []int{writeBuffer + 1}) {
		t.Errorf("batches of %d", raw.batches)
	}
}
