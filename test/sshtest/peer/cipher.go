package peer

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// mostPacket bounds what is read; what is written has no bound.
const mostPacket = 1 << 20

// seal is one direction of a connection: in the clear, or AES-GCM.
type seal struct {
	gcm   cipher.AEAD // nil: in the clear
	nonce [12]byte
}

func newSeal(key, iv []byte) (*seal, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	s := &seal{}
	copy(s.nonce[:], iv)
	s.gcm, err = cipher.NewGCM(block)
	return s, err
}

// next counts the invocation counter, the last eight bytes (RFC 5647, section
// 7.1).
func (s *seal) next() {
	n := s.nonce[4:]
	binary.BigEndian.PutUint64(n, binary.BigEndian.Uint64(n)+1)
}

// packet frames a payload (RFC 4253, section 6).
func (s *seal) packet(payload []byte) []byte {
	const block, least = 16, 4
	aligned := 1 + len(payload)
	if s.gcm == nil {
		aligned += 4 // the length is part of what is aligned
	}
	padding := block - aligned%block
	if padding < least {
		padding += block
	}
	body := make([]byte, 1+len(payload)+padding)
	body[0] = byte(padding)
	copy(body[1:], payload)
	_, _ = rand.Read(body[1+len(payload):])
	return s.frame(uint32(len(body)), body)
}

// frame seals a body behind a length that need not be its own.
func (s *seal) frame(length uint32, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, length)
	if s.gcm == nil {
		return append(out, body...)
	}
	out = s.gcm.Seal(out, s.nonce[:], body, out[:4:4])
	s.next()
	return out
}

// read opens a packet and returns its payload.
func (s *seal) read(r *bufio.Reader) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(header[:])
	if length < 2 || length > mostPacket {
		return nil, fmt.Errorf("packet of %d bytes", length)
	}
	n := int(length)
	if s.gcm != nil {
		n += s.gcm.Overhead()
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	if s.gcm != nil {
		var err error
		if body, err = s.gcm.Open(body[:0], s.nonce[:], body, header[:]); err != nil {
			return nil, err
		}
		s.next()
	}
	padding := int(body[0])
	if padding+1 > len(body) {
		return nil, errors.New("padding longer than the packet")
	}
	return body[1 : len(body)-padding], nil
}
