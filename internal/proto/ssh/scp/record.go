package scp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// maxLine is the longest record: scp.c reads lines into 2,048 bytes.
	maxLine = 2048
	// maxName is NAME_MAX of Linux.
	maxName = 255
	// maxPath is PATH_MAX of Linux, less its NUL.
	maxPath = 4095
	// maxSize is the largest size of a file: an off_t.
	maxSize = 1<<63 - 1
)

// ErrMalformed is wrapped by errors about records that are not of their form.
var ErrMalformed = errors.New("scp: malformed record")

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// Record is a decoded record of the side that sends files.
type Record interface{ record() }

// File is a C record: Size bytes of content follow.
type File struct {
	Mode uint32
	Size uint64
	Name string
}

// Directory is a D record: what follows up to End is in it.
type Directory struct {
	Mode uint32
	Name string
}

// End is an E record.
type End struct{}

// Times is a T record: the times of the next file or directory, in seconds.
type Times struct{ Modified, Accessed uint32 }

// Message is an error of the sender; a fatal one ends the session.
type Message struct {
	Fatal bool
	Text  string
}

func (File) record()      {}
func (Directory) record() {}
func (End) record()       {}
func (Times) record()     {}
func (Message) record()   {}

// ReadRecord reads the next record. The end of the stream before one is io.EOF.
func ReadRecord(r *bufio.Reader) (Record, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	rest := line[1:]
	switch line[0] {
	case 1, 2:
		return Message{line[0] == 2, rest}, nil
	case 'C':
		mode, size, name, err := parseFile(rest)
		return File{mode, size, name}, err
	case 'D':
		mode, size, name, err := parseFile(rest)
		if err == nil && size != 0 {
			err = malformed("a directory with a size")
		}
		return Directory{mode, name}, err
	case 'E':
		if rest != "" {
			return nil, malformed("an end with something after it")
		}
		return End{}, nil
	case 'T':
		return parseTimes(rest)
	default:
		return nil, malformed("an unknown record")
	}
}

// readLine reads a line of at least one byte, without its end.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		b, err := r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		if b == '\n' {
			if len(line) == 0 {
				return "", malformed("an empty line")
			}
			return string(line), nil
		}
		if len(line) == maxLine {
			return "", malformed("a line too long")
		}
		line = append(line, b)
	}
}

// parseFile parses "0644 123 name".
func parseFile(s string) (mode uint32, size uint64, name string, err error) {
	field, s, ok := strings.Cut(s, " ")
	if !ok || len(field) != 4 {
		return 0, 0, "", malformed("a mode of four digits is missing")
	}
	m, err := strconv.ParseUint(field, 8, 12)
	if err != nil {
		return 0, 0, "", malformed("the mode is not octal")
	}
	field, name, ok = strings.Cut(s, " ")
	if !ok {
		return 0, 0, "", malformed("a size is missing")
	}
	if size, ok = number(field, maxSize); !ok {
		return 0, 0, "", malformed("the size is not a number")
	}
	if why := nameFault(name); why != "" {
		return 0, 0, "", malformed(why)
	}
	return uint32(m), size, name, nil
}

// number parses decimal digits and nothing else.
func number(s string, limit uint64) (uint64, bool) {
	if s == "" || s[0] == '+' || s[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= limit
}

// nameFault says why a name is none of a file in the directory at hand; empty if
// it is one.
func nameFault(name string) string {
	switch {
	case name == "" || name == "." || name == "..":
		return "a name that is none"
	case len(name) > maxName:
		return "a name too long"
	case strings.Contains(name, "/"):
		return "a name with a slash"
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] == 0x7f {
			return "a name with a control character"
		}
	}
	return ""
}

// parseTimes parses "mtime usec atime usec".
func parseTimes(s string) (Record, error) {
	fields := strings.Split(s, " ")
	if len(fields) != 4 {
		return nil, malformed("a time record of four numbers is needed")
	}
	var n [4]uint64
	for i, f := range fields {
		limit := uint64(1<<32 - 1) // what SFTP can say
		if i%2 == 1 {
			limit = 999_999
		}
		var ok bool
		if n[i], ok = number(f, limit); !ok {
			return nil, malformed("a time that is none")
		}
	}
	return Times{uint32(n[0]), uint32(n[2])}, nil //nolint:gosec // bounded above
}

// AppendRecord appends a record.
func AppendRecord(dst []byte, r Record) []byte {
	switch r := r.(type) {
	case File:
		return fmt.Appendf(dst, "C%04o %d %s\n", r.Mode, r.Size, r.Name)
	case Directory:
		return fmt.Appendf(dst, "D%04o 0 %s\n", r.Mode, r.Name)
	case End:
		return append(dst, "E\n"...)
	case Times:
		return fmt.Appendf(dst, "T%d 0 %d 0\n", r.Modified, r.Accessed)
	case Message:
		b := byte(1)
		if r.Fatal {
			b = 2
		}
		return append(append(append(dst, b), line(r.Text)...), '\n')
	default:
		return dst
	}
}

// line makes a text one line that is safe to show.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return s[:min(len(s), maxLine-1)]
}

// ReadAnswer reads the answer of the side that receives files: empty for "go
// on", otherwise its message.
func ReadAnswer(r *bufio.Reader) (m Message, ok bool, err error) {
	b, err := r.ReadByte()
	if err != nil {
		return Message{}, false, err
	}
	switch b {
	case 0:
		return Message{}, true, nil
	case 1, 2:
	default:
		return Message{}, false, malformed("an answer that is none")
	}
	if err := r.UnreadByte(); err != nil {
		return Message{}, false, err
	}
	text, err := readLine(r)
	if err != nil {
		return Message{}, false, err
	}
	return Message{b == 2, text[1:]}, false, nil
}
