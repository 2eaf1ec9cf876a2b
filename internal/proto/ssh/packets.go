package ssh

import (
	"encoding/binary"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/wire"
)

// packets puts the pieces of SFTP packets together and sends whole ones, several as
// one frame: each alone, with 32 KiB of a file, would be one of SSH's packets and a bit
// of a second.
type packets struct {
	kind  wire.Kind
	send  func(frame []byte) error
	buf   []byte // a frame whose payload are the packets so far
	whole int    // where the last whole one ends in buf
}

// bundle is how many bytes of whole packets are sent without a Flush.
const bundle = 128 << 10

// Write implements io.Writer.
func (p *packets) Write(b []byte) (int, error) {
	if len(p.buf) == 0 {
		p.buf, _ = wire.Begin(p.buf, p.kind)
		p.whole = len(p.buf)
	}
	p.buf = append(p.buf, b...)
	for len(p.buf)-p.whole >= 4 {
		n := 4 + int(binary.BigEndian.Uint32(p.buf[p.whole:]))
		if n > wire.MaxPayload {
			return 0, wire.ErrFrame
		}
		if p.whole+n > wire.HeaderSize+wire.MaxPayload {
			if err := p.Flush(); err != nil {
				return 0, err
			}
		}
		if len(p.buf) < p.whole+n {
			break
		}
		p.whole += n
		if p.whole >= bundle {
			if err := p.Flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(b), nil
}

// Flush sends the whole packets.
func (p *packets) Flush() error {
	if p.whole <= wire.HeaderSize {
		return nil
	}
	err := p.send(wire.End(p.buf[:p.whole], 0))
	p.buf = append(p.buf[:wire.HeaderSize], p.buf[p.whole:]...)
	p.whole = wire.HeaderSize
	return err
}
