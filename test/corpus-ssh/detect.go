package sshcorpus

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
)

// detector says whether an attack had its effect.
type detector struct {
	c *Case
	// before is the state of the file that must change.
	before   fileState
	listener *listener
}

// newDetector looks at the host before the case runs. The caller closes it.
func newDetector(c *Case) (*detector, error) {
	d := &detector{c: c}
	k := &c.Check
	switch {
	case k.FileChanged != "":
		var err error
		if d.before, err = stateOf(k.FileChanged); err != nil {
			return nil, fmt.Errorf("the file that must change: %w", err)
		}
	case k.Created != "" && exists(k.Created):
		return nil, fmt.Errorf("%s is there before", k.Created)
	case k.Listening != 0 && listens(k.Listening):
		return nil, fmt.Errorf("somebody listens on port %d before", k.Listening)
	case k.Connected != 0:
		var err error
		if d.listener, err = listen(k.Connected); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *detector) close() {
	if d.listener != nil {
		d.listener.close()
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// whileRunning are the effects that can be gone when the session ends.
func (d *detector) whileRunning() bool {
	k := &d.c.Check
	return k.Listening != 0 && listens(k.Listening) || d.listener != nil && d.listener.hit.Load() || k.Created != "" && exists(k.Created)
}

// sessionName is what the gateway says of a session when it refuses: by chance it can hold
// any short mark.
var sessionName = regexp.MustCompile(`session=ses_[a-z0-9]+`)

// fired says whether the effect is there, after the session.
func (d *detector) fired(a *answer) bool {
	k := &d.c.Check
	all := sessionName.ReplaceAll(bytes.Join([][]byte{a.stdout, a.stderr}, []byte("\n")), nil)
	switch {
	case k.FileChanged != "":
		now, err := stateOf(k.FileChanged)
		return err != nil || now != d.before
	case k.Process != "":
		for _, p := range processes() {
			if strings.Contains(p.command, k.Process) {
				return true
			}
		}
		return false
	case k.Leak != "":
		return leaks(all, k.Leak) || leaks(a.stdout, k.Leak) || leaks(a.stderr, k.Leak)
	case k.Output != "":
		if bytes.Contains(d.c.Command, []byte(k.Output)) {
			all = a.stdout // a refusal may quote the command on standard error
		}
		return bytes.Contains(all, []byte(k.Output))
	}
	return d.whileRunning()
}

// listens says whether anybody listens on a port, by TCP or UDP (proc(5),
// /proc/net/tcp: 0A is LISTEN, 07 an unconnected UDP socket).
func listens(port int) bool {
	local := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile("/proc/net/" + table)
		if err != nil {
			continue
		}
		for l := range strings.SplitSeq(string(text), "\n") {
			w := strings.Fields(l)
			if len(w) > 3 && strings.HasSuffix(w[1], local) && (w[3] == "0A" || w[3] == "07") {
				return true
			}
		}
	}
	return false
}

// listener is what an attack connects to, by TCP or UDP.
type listener struct {
	tcp net.Listener
	udp net.PacketConn
	hit atomic.Bool
}

func listen(port int) (*listener, error) {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	l := &listener{}
	var err error
	if l.tcp, err = net.Listen("tcp", address); err != nil {
		return nil, err
	}
	if l.udp, err = net.ListenPacket("udp", address); err != nil {
		return nil, errors.Join(err, l.tcp.Close())
	}
	go l.serveTCP() // ends with close
	go l.serveUDP() // ends with close
	return l, nil
}

func (l *listener) close() { _, _ = l.tcp.Close(), l.udp.Close() }

func (l *listener) serveUDP() {
	if _, _, err := l.udp.ReadFrom(make([]byte, 4096)); err == nil {
		l.hit.Store(true)
	}
}

func (l *listener) serveTCP() {
	for {
		c, err := l.tcp.Accept()
		if err != nil {
			return
		}
		l.hit.Store(true)
		l.answer(c)
	}
}

// answer gives an HTTP client a script, as an attacker's server would.
func (l *listener) answer(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(400 * time.Millisecond))
	request := make([]byte, 4096)
	n, _ := c.Read(request)
	body := "touch /home/shx/outbox/pwned\n"
	switch method, _, _ := strings.Cut(string(request[:n]), " "); method {
	case "HEAD", "POST", "PUT":
		_, _ = fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
	case "GET":
		_, _ = fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}
