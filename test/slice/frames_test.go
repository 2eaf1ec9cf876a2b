package slice_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// bare is a logged-in connection that sends whatever bytes it is given.
type bare struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	pid  uint32
	key  []byte
	// patience bounds each read.
	patience time.Duration
}

// bareThrough logs in to a target through the gateway.
func bareThrough(t testing.TB, g *gateway, target, token string) *bare {
	t.Helper()
	return newBare(t, g.url(target), token)
}

// bareDirect logs in to a database without the gateway.
func bareDirect(t testing.TB, w *world, database string) *bare {
	t.Helper()
	return newBare(t, w.pg.URL(database, role, password), password)
}

func newBare(t testing.TB, url, password string) *bare {
	t.Helper()
	config, err := pgconn.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.Password = password
	var reader io.Reader
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		reader = r
		return pgproto3.NewFrontend(r, w)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pg, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(describe(err))
	}
	h, err := pg.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Conn.Close() })
	// On a busy machine pgconn reads in the background and leaves a read behind,
	// which would take the first answer.
	_ = h.Conn.SetReadDeadline(time.Unix(1, 0))
	_, _ = reader.Read(make([]byte, 1))
	_ = h.Conn.SetReadDeadline(time.Time{})
	return &bare{t: t, conn: h.Conn, r: bufio.NewReader(h.Conn), pid: h.PID, key: h.SecretKey, patience: patience}
}

// send writes messages in one write.
func (b *bare) send(messages ...[]byte) {
	b.t.Helper()
	var all []byte
	for _, m := range messages {
		all = append(all, m...)
	}
	_ = b.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := b.conn.Write(all); err != nil {
		b.t.Logf("write: %v", err)
	}
}

// receive reads one message; its error is that of the connection.
func (b *bare) receive() (byte, []byte, error) {
	_ = b.conn.SetReadDeadline(time.Now().Add(b.patience))
	var head [5]byte
	if _, err := io.ReadFull(b.r, head[:]); err != nil {
		return 0, nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err := io.ReadFull(b.r, body)
	return head[0], body, err
}

// until reads messages until the given types have come in this order, and
// returns all of them, shown.
func (b *bare) until(types string) string {
	b.t.Helper()
	var shown []string
	for types != "" {
		typ, body, err := b.receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return strings.Join(append(shown, silence), " ")
		}
		if err != nil {
			return strings.Join(append(shown, "closed"), " ")
		}
		shown = append(shown, show(typ, body))
		if typ == types[0] {
			types = types[1:]
		}
	}
	return strings.Join(shown, " ")
}

// silence stands for an answer that does not come.
const silence = "silence"

// closed reads to the end of the connection and returns all that came.
func (b *bare) closed() string {
	b.t.Helper()
	return b.until("\x00")
}

// fields of an ErrorResponse or NoticeResponse.
func fields(body []byte) map[byte]string {
	f := map[byte]string{}
	for part := range strings.SplitSeq(string(body), "\x00") {
		if part != "" {
			f[part[0]] = part[1:]
		}
	}
	return f
}

// show writes a message of the server for comparison: its type and what a client
// would go by.
func show(typ byte, body []byte) string {
	text := func() string { return strings.TrimRight(string(body), "\x00") }
	switch typ {
	case 'E':
		f := fields(body)
		code := f['C']
		if code == "42703" { // what the comparisons fail with instead of a refusal
			code = "42501"
		}
		return fmt.Sprintf("E(%s %s)", f['V'], code)
	case 'N':
		return "N(" + fields(body)['C'] + ")"
	case 'C':
		return "C(" + text() + ")"
	case 'Z':
		return "Z(" + text() + ")"
	case 'D':
		return "D" + showRow(body)
	case 'S':
		return "S(" + strings.ReplaceAll(text(), "\x00", "=") + ")"
	case 'd':
		return fmt.Sprintf("d(%q)", body)
	case 'T', 't', 'G', 'H':
		return string(typ) + "(" + hex.EncodeToString(body) + ")"
	default:
		return string(typ)
	}
}

func showRow(body []byte) string {
	var cells []string
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	for range n {
		size := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if size < 0 {
			cells = append(cells, "NULL")
			continue
		}
		cells = append(cells, fmt.Sprintf("%q", body[:size]))
		body = body[size:]
	}
	return "[" + strings.Join(cells, ",") + "]"
}

// The messages of a client.

func message(typ byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4)), body...)
}

func mQuery(sql string) []byte       { return message('Q', sql+"\x00") }
func mParse(name, sql string) []byte { return message('P', name+"\x00"+sql+"\x00\x00\x00") }
func mDescribe(kind byte, name string) []byte {
	return message('D', string(kind)+name+"\x00")
}
func mClose(kind byte, name string) []byte { return message('C', string(kind)+name+"\x00") }
func mExecute(portal string, rows byte) []byte {
	return message('E', portal+"\x00\x00\x00\x00"+string(rune(rows)))
}
func mSync() []byte                  { return message('S', "") }
func mFlush() []byte                 { return message('H', "") }
func mCopyData(data string) []byte   { return message('d', data) }
func mCopyDone() []byte              { return message('c', "") }
func mCopyFail(reason string) []byte { return message('f', reason+"\x00") }

// mBind binds text parameters and asks for text results.
func mBind(portal, statement string, params ...string) []byte {
	return bindAs(0, portal, statement, params)
}

// mBindBinary asks for binary results.
func mBindBinary(portal, statement string, params ...string) []byte {
	return bindAs(1, portal, statement, params)
}

func bindAs(format byte, portal, statement string, params []string) []byte {
	body := []byte(portal + "\x00" + statement + "\x00\x00\x00")
	body = binary.BigEndian.AppendUint16(body, uint16(len(params)))
	for _, p := range params {
		body = binary.BigEndian.AppendUint32(body, uint32(len(p)))
		body = append(body, p...)
	}
	body = append(body, 0, 1, 0, format)
	return message('B', string(body))
}

// mAll is Parse, Bind, Describe, Execute of the unnamed statement.
func mAll(sql string, params ...string) []byte {
	var b []byte
	for _, m := range [][]byte{mParse("", sql), mBind("", "", params...), mDescribe('P', ""), mExecute("", 0)} {
		b = append(b, m...)
	}
	return b
}
