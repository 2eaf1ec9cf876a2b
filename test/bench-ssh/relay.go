package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-gateway/sallyport/test/sshtest"
)

// relaySystem is the name of a third system: the SSH library on both sides and
// nothing between. It judges nothing and records nothing: it shows what the library
// costs by itself. The name is also the word that makes the benchmark's own program
// that relay.
const relaySystem = "relay"

// relayMain relays what comes to the listener that is its third file to the host
// whose address, account and key file are its arguments; the fourth is its own host
// key. It takes everybody who comes: it listens on loopback while a benchmark runs.
func relayMain(args []string) error {
	if len(args) != 4 {
		return errors.New("relay takes an address, an account and two key files")
	}
	var signers [2]ssh.Signer
	for i, file := range args[2:] {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if signers[i], err = ssh.ParsePrivateKey(text); err != nil {
			return err
		}
	}
	algorithms := ssh.Config{Ciphers: []string{cipher}, KeyExchanges: []string{kex}}
	server := &ssh.ServerConfig{Config: algorithms, NoClientAuth: true}
	server.AddHostKey(signers[1])
	client := &ssh.ClientConfig{Config: algorithms, User: args[1], Auth: []ssh.AuthMethod{ssh.PublicKeys(signers[0])},
		HostKeyCallback: ssh.InsecureIgnoreHostKey()} //nolint:gosec // the host is this benchmark's own
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() { // ends with the connection
			defer func() { _ = c.Close() }()
			if err := relayConnection(c, server, args[0], client); err != nil {
				fmt.Fprintln(os.Stderr, "relay:", err)
			}
		}()
	}
}

func relayConnection(c net.Conn, server *ssh.ServerConfig, address string, client *ssh.ClientConfig) error {
	_, channels, requests, err := ssh.NewServerConn(c, server)
	if err != nil {
		return err
	}
	go ssh.DiscardRequests(requests)
	host, err := ssh.Dial("tcp", address, client)
	if err != nil {
		return err
	}
	defer func() { _ = host.Close() }()
	for nc := range channels {
		up, upRequests, err := host.OpenChannel(nc.ChannelType(), nc.ExtraData())
		if err != nil {
			_ = nc.Reject(ssh.ConnectionFailed, err.Error())
			continue
		}
		down, downRequests, err := nc.Accept()
		if err != nil {
			return err
		}
		go relayRequests(up, downRequests)
		go relayChannel(down, up, upRequests)
	}
	return nil
}

// relayChannel passes on the data of both directions and how the program ended.
func relayChannel(down, up ssh.Channel, upRequests <-chan *ssh.Request) {
	go func() {
		_, _ = io.Copy(up, down)
		_ = up.CloseWrite()
	}()
	data := make(chan struct{})
	go func() {
		_, _ = io.Copy(down, up)
		close(data)
	}()
	go func() { _, _ = io.Copy(down.Stderr(), up.Stderr()) }()
	relayRequests(down, upRequests)
	<-data
	_ = errors.Join(down.CloseWrite(), down.Close(), up.Close())
}

func relayRequests(to ssh.Channel, requests <-chan *ssh.Request) {
	for r := range requests {
		ok, _ := to.SendRequest(r.Type, r.WantReply, r.Payload)
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
	}
}

// relay starts the bare relay in a process of its own.
func (b *bed) relay() (*system, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	key, err := sshtest.NewKey()
	if err != nil {
		return nil, err
	}
	if err := key.Write(b.path("relay_key")); err != nil {
		return nil, err
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	file, err := l.File()
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	cmd := exec.Command(program, relaySystem, b.server.Address(), account, b.server.ClientKeyFile(), b.path("relay_key"))
	cmd.Stderr, cmd.ExtraFiles = os.Stderr, []*os.File{file}
	process, err := sshtest.StartProcess(cmd)
	if err != nil {
		return nil, err
	}
	b.stops = append(b.stops, func() error { return process.Stop(time.Second) })
	address := l.Addr().String()
	port := l.Addr().(*net.TCPAddr).Port
	s := &system{name: relaySystem, config: b.path("relay_config"), host: "relay", pid: process.PID(), dial: func(ctx context.Context) (*ssh.Client, error) {
		return sshtest.Dial(ctx, address, &ssh.ClientConfig{User: account, HostKeyCallback: ssh.FixedHostKey(key.Public())})
	}}
	text := fmt.Sprintf(`Host relay
  HostName 127.0.0.1
  Port %d
  User %s
  UserKnownHostsFile %s
  BatchMode yes
`, port, account, b.path("relay_known_hosts"))
	known := fmt.Sprintf("[127.0.0.1]:%d %s\n", port, key.Line())
	return s, errors.Join(os.WriteFile(s.config, []byte(text), 0o600), os.WriteFile(b.path("relay_known_hosts"), []byte(known), 0o600))
}
