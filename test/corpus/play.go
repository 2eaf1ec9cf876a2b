package corpus

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// replicationPatience is how long a replication stream may be silent before it
// is taken for complete.
const replicationPatience = 1500 * time.Millisecond

// answer is what one step was answered with.
type answer struct {
	rows    [][][]byte
	errs    []string
	notices []string
	tags    []string
	copied  [][]byte
}

// play is one run of one case.
type play struct {
	c       *Case
	login   login
	lookup  func(signature string) (uint32, error)
	conn    *conn
	conns   []*conn
	answers []answer
	// got is every message of every connection.
	got  []frame
	took time.Duration
}

// run plays the case to its end or to the end of its connection. The error says
// that it could not be played.
func (p *play) run() error {
	began := time.Now()
	defer p.collect()
	if err := p.connect(); err != nil {
		return err
	}
	if len(p.c.Startup) > 0 {
		if err := p.note(p.conn.start); err != nil {
			return err
		}
	}
	if p.conn.dead {
		return nil
	}
	for i := range p.c.SQL {
		op := p.c.SQL[i]
		if op.NewConn != nil {
			if err := p.connect(); err != nil {
				return err
			}
			continue
		}
		if err := p.step(&op); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		if p.conn.dead {
			break
		}
	}
	p.took = time.Since(began)
	return nil
}

func (p *play) connect() error {
	c, err := connect(p.login)
	if err != nil {
		return err
	}
	p.conn, p.conns = c, append(p.conns, c)
	return nil
}

func (p *play) collect() {
	for _, c := range p.conns {
		p.got = append(p.got, c.got...)
		c.close()
	}
}

// step plays one step.
func (p *play) step(op *Op) error {
	if op.Sleep != nil {
		time.Sleep(time.Duration(*op.Sleep * float64(time.Second)))
		return nil
	}
	msg, syncs, err := p.encode(op)
	if err != nil {
		return err
	}
	if op.Syncs > 0 && op.X == nil {
		syncs = op.Syncs
	}
	if err := p.conn.write(msg); err != nil {
		p.lost()
		return nil
	}
	return p.drain(syncs, op.Copy)
}

// lost notes a step that the connection did not survive.
func (p *play) lost() {
	p.answers = append(p.answers, answer{errs: []string{"the connection was lost"}})
	p.conn.dead = true
}

// encode returns the bytes of a step and how many ReadyForQuery answer them.
func (p *play) encode(op *Op) ([]byte, int, error) {
	if op.text != nil {
		switch p.c.Mode {
		case "extended":
			op = &Op{X: op.text}
		case "prepared":
			op = &Op{X: op.text, Named: true}
		default:
			op = &Op{Q: op.text}
		}
	}
	switch {
	case op.Q != nil:
		return appendFrame(nil, 'Q', cstring(*op.Q)), 1, nil
	case op.QHex != nil:
		b, err := hex.DecodeString(*op.QHex)
		return appendFrame(nil, 'Q', cstring(b)), 1, err
	case op.RawHex != nil:
		b, err := hex.DecodeString(*op.RawHex)
		return b, 1, err
	case op.F != nil:
		b, err := p.functionCall(op)
		return b, 1, err
	case op.Pipe != nil:
		var b []byte
		for i := range op.Pipe {
			var err error
			if b, err = op.Pipe[i].append(b); err != nil {
				return nil, 0, err
			}
		}
		return b, 1, nil
	case op.X != nil:
		return extended(op)
	}
	return nil, 0, errors.New("a step of no kind")
}

// extended is a statement by the extended protocol.
func extended(op *Op) ([]byte, int, error) {
	name, empty, portal := "", "", "P"
	sync := Part{Sync: []byte("1")}
	if op.Named {
		name = "s1"
	}
	parts := []Part{{Parse: &name, SQL: *op.X}}
	if op.Named {
		parts = append(parts, sync)
	}
	parts = append(parts, Part{Bind: &empty, Stmt: name, Params: op.Params, RFmt: op.RFmt}, Part{Describe: &portal},
		Part{Execute: &empty, Max: op.Max}, sync)
	if op.Named {
		statement := "S"
		parts = append(parts, Part{Close: &statement, Name: name}, sync)
	}
	var b []byte
	syncs := 0
	for i := range parts {
		if parts[i].Sync != nil {
			syncs++
		}
		var err error
		if b, err = parts[i].append(b); err != nil {
			return nil, 0, err
		}
	}
	return b, syncs, nil
}

// functionCall is a FunctionCall message with arguments in text form.
func (p *play) functionCall(op *Op) ([]byte, error) {
	oid, err := p.lookup(*op.F)
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint32(nil, oid)
	b = append(b, uint16s(1, 0, len(op.Args))...)
	for _, a := range op.Args {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(a))), a...)
	}
	return appendFrame(nil, 'F', append(b, uint16s(0)...)), nil
}

// append appends the message.
func (p *Part) append(dst []byte) ([]byte, error) {
	switch {
	case p.Q != nil:
		return appendFrame(dst, 'Q', cstring(*p.Q)), nil
	case p.Parse != nil:
		return appendFrame(dst, 'P', cstring(*p.Parse), cstring(p.SQL), uint16s(0)), nil
	case p.Bind != nil:
		b := uint16s(0, len(p.Params))
		for _, v := range p.Params {
			n := uint32(len(v))
			if v == nil {
				n = 1<<32 - 1
			}
			b = append(binary.BigEndian.AppendUint32(b, n), v...)
		}
		b = append(b, uint16s(len(p.RFmt))...)
		for _, f := range p.RFmt {
			b = append(b, uint16s(int(f))...)
		}
		return appendFrame(dst, 'B', cstring(*p.Bind), cstring(p.Stmt), b), nil
	case p.Describe != nil:
		return appendFrame(dst, 'D', []byte(*p.Describe), cstring(p.Name)), nil
	case p.Execute != nil:
		return appendFrame(dst, 'E', cstring(*p.Execute), binary.BigEndian.AppendUint32(nil, p.Max)), nil
	case p.Close != nil:
		return appendFrame(dst, 'C', []byte(*p.Close), cstring(p.Name)), nil
	case p.Sync != nil:
		return appendFrame(dst, 'S'), nil
	case p.Flush != nil:
		return appendFrame(dst, 'H'), nil
	}
	return nil, errors.New("a message of no kind")
}

// drain reads until the server has been ready n times, and gives it the data
// that a COPY FROM STDIN asks for.
func (p *play) drain(n int, data []string) error {
	c := p.conn
	var all []frame
	for n > 0 && !c.dead {
		got, err := c.until()
		all = append(all, got...)
		if err != nil {
			p.lost()
			return nil
		}
		if len(got) == 0 {
			break
		}
		switch got[len(got)-1].typ {
		case 'G':
			var msg []byte
			for _, d := range data {
				msg = appendFrame(msg, 'd', []byte(d))
			}
			if err := c.write(appendFrame(msg, 'c')); err != nil {
				p.lost()
				return nil
			}
		case 'W': // replication: take what comes, then end
			c.timeout = replicationPatience
			for ok := true; ok; {
				var f frame
				if f, ok, _ = c.next(); ok {
					all = append(all, f)
				}
			}
			c.dead = true
		case 'Z':
			n--
		}
	}
	return p.note(all)
}

// note sorts the messages that answer a step.
func (p *play) note(got []frame) error {
	var a answer
	for _, f := range got {
		switch f.typ {
		case 'D':
			row, err := dataFields(f.body)
			if err != nil {
				return err
			}
			a.rows = append(a.rows, row)
		case 'V':
			a.rows = append(a.rows, [][]byte{f.body[min(4, len(f.body)):]})
		case 'E':
			a.errs = append(a.errs, strings.ReplaceAll(lenient(f.body), "\x00", "|"))
		case 'N':
			a.notices = append(a.notices, lenient(f.body))
		case 'C':
			a.tags = append(a.tags, strings.Trim(lenient(f.body), "\x00"))
		case 'd':
			a.copied = append(a.copied, f.body)
		}
	}
	p.answers = append(p.answers, a)
	return nil
}

// errs are the errors of all steps.
func (p *play) errs() []string {
	var out []string
	for i := range p.answers {
		out = append(out, p.answers[i].errs...)
	}
	return out
}

// lenient reads text; what is not UTF-8 becomes U+FFFD.
func lenient(b []byte) string { return string([]rune(string(b))) }
