package peer

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	"slices"

	"golang.org/x/crypto/ssh"
)

// Init is SSH_MSG_KEXINIT (RFC 4253, section 7.1).
type Init struct {
	Cookie                  [16]byte `sshtype:"20"`
	KexAlgos                []string
	ServerHostKeyAlgos      []string
	CiphersClientServer     []string
	CiphersServerClient     []string
	MACsClientServer        []string
	MACsServerClient        []string
	CompressionClientServer []string
	CompressionServerClient []string
	LanguagesClientServer   []string
	LanguagesServerClient   []string
	FirstKexFollows         bool
	Reserved                uint32
}

// The marks of strict key exchange (OpenSSH's PROTOCOL, section 1.10).
const (
	StrictClient = "kex-strict-c-v00@openssh.com"
	StrictServer = "kex-strict-s-v00@openssh.com"
)

const (
	kexAlgorithm = "curve25519-sha256"
	kexLegacy    = "curve25519-sha256@libssh.org" // the same
	cipher128    = "aes128-gcm@openssh.com"
	cipher256    = "aes256-gcm@openssh.com"
)

type ecdhInit struct {
	Public []byte `sshtype:"30"`
}

type ecdhReply struct {
	HostKey   []byte `sshtype:"31"`
	Public    []byte
	Signature []byte
}

// NewInit is what this side offers at first or, without the marks that count only
// then, in a later exchange.
func (p *Conn) NewInit() *Init {
	m := &Init{
		KexAlgos: []string{kexAlgorithm, kexLegacy}, ServerHostKeyAlgos: []string{ssh.KeyAlgoED25519},
		CiphersClientServer: []string{cipher128, cipher256}, CiphersServerClient: []string{cipher128, cipher256},
		MACsClientServer: []string{ssh.HMACSHA256ETM}, MACsServerClient: []string{ssh.HMACSHA256ETM},
		CompressionClientServer: []string{"none"}, CompressionServerClient: []string{"none"},
	}
	_, _ = rand.Read(m.Cookie[:])
	if !p.config.Lax && p.SessionID == nil {
		mark := StrictClient
		if p.server {
			mark = StrictServer
		}
		m.KexAlgos = append(m.KexAlgos, mark)
	}
	if p.config.Init != nil {
		p.config.Init(m)
	}
	return m
}

// Rekey begins a key exchange and completes it. Packets that come meanwhile are
// kept for Read.
func (p *Conn) Rekey() error {
	ours := ssh.Marshal(p.NewInit())
	if err := p.Write(ours); err != nil {
		return err
	}
	if p.SessionID == nil && p.config.Before != nil {
		if err := p.Write(p.config.Before); err != nil {
			return err
		}
	}
	for {
		payload, err := p.in.read(p.reader)
		if err != nil {
			return err
		}
		if len(payload) > 0 && payload[0] == MsgKexInit {
			return p.exchange(ours, payload)
		}
		p.pushed = append(p.pushed, payload)
	}
}

// answerKeys completes a key exchange that the other side began.
func (p *Conn) answerKeys(theirs []byte) error {
	ours := ssh.Marshal(p.NewInit())
	if err := p.Write(ours); err != nil {
		return err
	}
	return p.exchange(ours, theirs)
}

// exchange does the rest after both sides said what they can.
func (p *Conn) exchange(ours, theirs []byte) error {
	var them, us Init
	if err := errors.Join(ssh.Unmarshal(theirs, &them), ssh.Unmarshal(ours, &us)); err != nil {
		return err
	}
	if p.Theirs == nil {
		p.Theirs = &them
	}
	client, server := &us, &them
	clientInit, serverInit := ours, theirs
	if p.server {
		client, server = &them, &us
		clientInit, serverInit = theirs, ours
	}
	cipherIn, err := agreed(client.CiphersServerClient, server.CiphersServerClient)
	if err != nil {
		return err
	}
	cipherOut, err := agreed(client.CiphersClientServer, server.CiphersClientServer)
	if err != nil {
		return err
	}
	if p.server {
		cipherIn, cipherOut = cipherOut, cipherIn
	}
	if kex, err := agreed(client.KexAlgos, server.KexAlgos); err != nil || kex != kexAlgorithm && kex != kexLegacy {
		return fmt.Errorf("no common key exchange: %q and %q", client.KexAlgos, server.KexAlgos)
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	h := sha256.New()
	writeStrings(h, []byte(p.versions[0]), []byte(p.versions[1]), clientInit, serverInit)
	secret, err := p.agree(h, private)
	if err != nil {
		return err
	}
	return p.changeKeys(secret, h.Sum(nil), cipherIn, cipherOut)
}

// agreed is the client's first that the server has too (RFC 4253, section 7.1).
func agreed(client, server []string) (string, error) {
	for _, name := range client {
		if slices.Contains(server, name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("nothing in common: %q and %q", client, server)
}

// agree exchanges the public values (RFC 5656, section 4), adds them to the hash
// and returns the shared secret as an mpint.
func (p *Conn) agree(h hash.Hash, private *ecdh.PrivateKey) ([]byte, error) {
	if p.server {
		return p.agreeAsServer(h, private)
	}
	if err := p.Send(&ecdhInit{private.PublicKey().Bytes()}); err != nil {
		return nil, err
	}
	payload, err := p.kexPacket(31)
	if err != nil {
		return nil, err
	}
	var reply ecdhReply
	if err := ssh.Unmarshal(payload, &reply); err != nil {
		return nil, err
	}
	if p.HostKey, err = ssh.ParsePublicKey(reply.HostKey); err != nil {
		return nil, err
	}
	secret, err := shared(private, reply.Public)
	if err != nil {
		return nil, err
	}
	writeStrings(h, reply.HostKey, private.PublicKey().Bytes(), reply.Public)
	_, err = h.Write(secret)
	return secret, err
}

func (p *Conn) agreeAsServer(h hash.Hash, private *ecdh.PrivateKey) ([]byte, error) {
	payload, err := p.kexPacket(30)
	if err != nil {
		return nil, err
	}
	var init ecdhInit
	if err := ssh.Unmarshal(payload, &init); err != nil {
		return nil, err
	}
	secret, err := shared(private, init.Public)
	if err != nil {
		return nil, err
	}
	p.HostKey = p.config.HostKey.PublicKey()
	writeStrings(h, p.HostKey.Marshal(), init.Public, private.PublicKey().Bytes())
	if _, err := h.Write(secret); err != nil {
		return nil, err
	}
	signature, err := p.config.HostKey.Sign(rand.Reader, h.Sum(nil))
	if err != nil {
		return nil, err
	}
	return secret, p.Send(&ecdhReply{p.HostKey.Marshal(), private.PublicKey().Bytes(), ssh.Marshal(signature)})
}

// kexPacket is the next packet of a type while keys are exchanged; what the other
// side had under way is kept for Read.
func (p *Conn) kexPacket(want byte) ([]byte, error) {
	for {
		payload, err := p.in.read(p.reader)
		if err != nil {
			return nil, err
		}
		if len(payload) > 0 && payload[0] == want {
			return payload, nil
		}
		if p.SessionID == nil {
			return nil, fmt.Errorf("message %v instead of %d in the first key exchange", payload[:min(1, len(payload))], want)
		}
		p.pushed = append(p.pushed, payload)
	}
}

func shared(private *ecdh.PrivateKey, theirs []byte) ([]byte, error) {
	public, err := ecdh.X25519().NewPublicKey(theirs)
	if err != nil {
		return nil, err
	}
	secret, err := private.ECDH(public)
	if err != nil {
		return nil, err
	}
	return ssh.Marshal(struct{ K *big.Int }{new(big.Int).SetBytes(secret)}), nil
}

func writeStrings(w io.Writer, all ...[]byte) {
	for _, b := range all {
		_, _ = w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b)))) // a hash takes everything
		_, _ = w.Write(b)
	}
}

// changeKeys exchanges SSH_MSG_NEWKEYS and takes the new keys (RFC 4253, section
// 7.2).
func (p *Conn) changeKeys(secret, exchange []byte, cipherIn, cipherOut string) error {
	if p.SessionID == nil {
		p.SessionID = exchange
	}
	derive := func(letter byte) []byte {
		h := sha256.New()
		for _, b := range [][]byte{secret, exchange, {letter}, p.SessionID} {
			_, _ = h.Write(b)
		}
		return h.Sum(nil)
	}
	// A and C are the client's, B and D the server's initial vector and key.
	ivOut, keyOut, ivIn, keyIn := byte('A'), byte('C'), byte('B'), byte('D')
	if p.server {
		ivOut, keyOut, ivIn, keyIn = ivIn, keyIn, ivOut, keyOut
	}
	size := map[string]int{cipher128: 16, cipher256: 32}
	if err := p.Write([]byte{MsgNewKeys}); err != nil {
		return err
	}
	var err error
	if p.out, err = newSeal(derive(keyOut)[:size[cipherOut]], derive(ivOut)); err != nil {
		return err
	}
	if _, err := p.kexPacket(MsgNewKeys); err != nil {
		return err
	}
	p.in, err = newSeal(derive(keyIn)[:size[cipherIn]], derive(ivIn))
	return err
}
