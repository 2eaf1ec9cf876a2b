package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// The codes of the first packet of a connection.
const (
	ProtocolVersion3 = 3 << 16
	CancelRequest    = 80877102
	SSLRequest       = 80877103
	GSSENCRequest    = 80877104
)

// Messages of the frontend.
const (
	Bind         = 'B'
	Close        = 'C'
	CopyFail     = 'f'
	Describe     = 'D'
	Execute      = 'E'
	Flush        = 'H'
	FunctionCall = 'F'
	Parse        = 'P'
	Password     = 'p'
	Query        = 'Q'
	Sync         = 'S'
	Terminate    = 'X'
)

// Messages of both sides.
const (
	CopyData = 'd'
	CopyDone = 'c'
)

// Messages of the backend.
const (
	Authentication       = 'R'
	BackendKeyData       = 'K'
	BindComplete         = '2'
	CloseComplete        = '3'
	CommandComplete      = 'C'
	CopyInResponse       = 'G'
	CopyOutResponse      = 'H'
	CopyBothResponse     = 'W'
	DataRow              = 'D'
	EmptyQueryResponse   = 'I'
	ErrorResponse        = 'E'
	NoData               = 'n'
	NoticeResponse       = 'N'
	NotificationResponse = 'A'
	ParameterDescription = 't'
	ParameterStatus      = 'S'
	ParseComplete        = '1'
	PortalSuspended      = 's'
	ReadyForQuery        = 'Z'
	RowDescription       = 'T'
)

// The status byte of ReadyForQuery.
const (
	StatusIdle   = 'I' // not in a transaction block
	StatusInTx   = 'T' // in a transaction block
	StatusFailed = 'E' // in a failed transaction block
)

// HeaderSize is the type byte and the length of a message.
const HeaderSize = 5

// MaxNameLength is the longest name of a statement or portal: one less than
// NAMEDATALEN. The server would cut a longer one, so two names could be one.
const MaxNameLength = 63

// ErrMalformed is the error for a message whose bytes are not of its form.
var ErrMalformed = errors.New("malformed message")

// ErrFormats is returned by [BindMessage.Decode] for a message that is well formed, and has
// neither one format for all parameters nor one for each.
var ErrFormats = errors.New("parameter formats that do not fit the parameters")

// Begin appends the header of a message with an open length and returns the
// place to give to End.
func Begin(dst []byte, typ byte) ([]byte, int) {
	return append(dst, typ, 0, 0, 0, 0), len(dst) + 1
}

// End fills in the length of the message begun at the place at.
func End(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at)) //nolint:gosec // callers bound messages far below 2^32
	return dst
}

// AppendMessage appends a whole message.
func AppendMessage(dst []byte, typ byte, body []byte) []byte {
	dst, at := Begin(dst, typ)
	return End(append(dst, body...), at)
}

// AppendString appends a NUL-terminated string.
func AppendString(dst []byte, s string) []byte { return append(append(dst, s...), 0) }

// AppendReadyForQuery appends ReadyForQuery.
func AppendReadyForQuery(dst []byte, status byte) []byte {
	return append(dst, ReadyForQuery, 0, 0, 0, 5, status)
}

// AppendParameterStatus appends ParameterStatus.
func AppendParameterStatus(dst []byte, name, value string) []byte {
	dst, at := Begin(dst, ParameterStatus)
	return End(AppendString(AppendString(dst, name), value), at)
}

// AppendBackendKeyData appends BackendKeyData with a four-byte key.
func AppendBackendKeyData(dst []byte, pid, key uint32) []byte {
	dst, at := Begin(dst, BackendKeyData)
	dst = binary.BigEndian.AppendUint32(dst, pid)
	return End(binary.BigEndian.AppendUint32(dst, key), at)
}

// AppendCancelRequest appends the packet that asks for cancellation.
func AppendCancelRequest(dst []byte, pid uint32, key []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(12+len(key))) //nolint:gosec // a key has at most 256 bytes
	dst = binary.BigEndian.AppendUint32(dst, CancelRequest)
	return append(binary.BigEndian.AppendUint32(dst, pid), key...)
}

// AppendQuery appends a Query message.
func AppendQuery(dst []byte, sql []byte) []byte {
	dst, at := Begin(dst, Query)
	return End(append(append(dst, sql...), 0), at)
}

// AppendParse appends a Parse message; types are the OIDs as they came in.
func AppendParse(dst []byte, name string, sql []byte, types []byte) []byte {
	dst, at := Begin(dst, Parse)
	dst = append(append(AppendString(dst, name), sql...), 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(types)/4)) //nolint:gosec // at most 65,535 by its own count
	return End(append(dst, types...), at)
}

// AppendTarget appends a Describe or Close message for a statement ('S') or a
// portal ('P').
func AppendTarget(dst []byte, typ, kind byte, name string) []byte {
	dst, at := Begin(dst, typ)
	return End(AppendString(append(dst, kind), name), at)
}

// AppendExecute appends an Execute message. Zero rows means all.
func AppendExecute(dst []byte, portal string, rows uint32) []byte {
	dst, at := Begin(dst, Execute)
	return End(binary.BigEndian.AppendUint32(AppendString(dst, portal), rows), at)
}

// cursor reads fields off the front of a message; after a fault it stays empty.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) u8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() int {
	if b := c.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) str() []byte {
	i := bytes.IndexByte(c.b, 0)
	if i < 0 {
		c.bad, c.b = true, nil
		return nil
	}
	s := c.b[:i]
	c.b = c.b[i+1:]
	return s
}

func (c *cursor) end() error {
	if c.bad || len(c.b) != 0 {
		return ErrMalformed
	}
	return nil
}

// DecodeQuery returns the SQL text of a Query message.
func DecodeQuery(body []byte) ([]byte, error) {
	c := cursor{b: body}
	sql := c.str()
	return sql, c.end()
}

// ParseMessage is a decoded Parse.
type ParseMessage struct {
	Name, SQL []byte
	Types     []byte // four bytes an OID
}

// DecodeParse decodes a Parse message.
func DecodeParse(body []byte) (m ParseMessage, err error) {
	c := cursor{b: body}
	m.Name, m.SQL = c.str(), c.str()
	m.Types = c.take(4 * c.u16())
	return m, c.end()
}

// BindMessage is a decoded Bind. Params and Formats reuse the slices that the
// value held before.
type BindMessage struct {
	Portal, Statement []byte
	Formats           []uint16 // of the parameters: none, one for all, or one each
	Params            [][]byte // nil is NULL
	Results           []byte   // result format codes, two bytes each
}

// Format returns the format code of parameter i: 0 text, 1 binary.
func (m *BindMessage) Format(i int) uint16 {
	switch len(m.Formats) {
	case 0:
		return 0
	case 1:
		return m.Formats[0]
	default:
		return m.Formats[i]
	}
}

// Decode decodes a Bind message into m.
func (m *BindMessage) Decode(body []byte) error {
	c := cursor{b: body}
	m.Portal, m.Statement = c.str(), c.str()
	m.Formats, m.Params = m.Formats[:0], m.Params[:0]
	for range c.u16() {
		f := c.u16()
		if c.bad || f > 1 {
			return ErrMalformed
		}
		m.Formats = append(m.Formats, uint16(f)) //nolint:gosec // 0 or 1
	}
	n := c.u16()
	for range n {
		size := int32(c.u32()) //nolint:gosec // -1 is NULL by definition
		if c.bad || size < -1 {
			return ErrMalformed
		}
		if size == -1 {
			m.Params = append(m.Params, nil)
			continue
		}
		v := c.take(int(size))
		if c.bad {
			return ErrMalformed
		}
		m.Params = append(m.Params, v[:len(v):len(v)])
	}
	m.Results = c.take(2 * c.u16())
	for i := 0; i+1 < len(m.Results); i += 2 {
		if f := binary.BigEndian.Uint16(m.Results[i:]); f > 1 {
			return ErrMalformed
		}
	}
	if err := c.end(); err != nil {
		return err
	}
	if len(m.Formats) > 1 && len(m.Formats) != n {
		return ErrFormats
	}
	return nil
}

// DecodeTarget decodes Describe and Close: 'S' or 'P', and the name.
func DecodeTarget(body []byte) (kind byte, name []byte, err error) {
	c := cursor{b: body}
	kind, name = c.u8(), c.str()
	if kind != 'S' && kind != 'P' {
		return 0, nil, ErrMalformed
	}
	return kind, name, c.end()
}

// DecodeExecute decodes Execute: the portal and the row limit, zero for none.
func DecodeExecute(body []byte) (portal []byte, rows uint32, err error) {
	c := cursor{b: body}
	portal, rows = c.str(), c.u32()
	return portal, rows, c.end()
}

// DecodePassword decodes a PasswordMessage.
func DecodePassword(body []byte) ([]byte, error) { return DecodeQuery(body) }

// DecodeParameterStatus decodes ParameterStatus.
func DecodeParameterStatus(body []byte) (name, value []byte, err error) {
	c := cursor{b: body}
	name, value = c.str(), c.str()
	return name, value, c.end()
}

// DecodeCommandComplete returns the command tag.
func DecodeCommandComplete(body []byte) ([]byte, error) { return DecodeQuery(body) }

// Column is a field of a RowDescription.
type Column struct {
	Name     []byte
	Table    uint32 // OID of the relation, or zero
	Attr     uint16 // attribute number, or zero
	Type     uint32
	TypeSize int16
	TypeMod  int32
	Format   uint16
}

// DecodeRowDescription appends the columns to dst.
func DecodeRowDescription(dst []Column, body []byte) ([]Column, error) {
	c := cursor{b: body}
	for range c.u16() {
		col := Column{Name: c.str(), Table: c.u32(), Attr: uint16(c.u16()), Type: c.u32(), //nolint:gosec // u16 is 16 bits
			TypeSize: int16(c.u16()), TypeMod: int32(c.u32()), Format: uint16(c.u16())} //nolint:gosec // the wire's own widths
		if c.bad {
			return nil, ErrMalformed
		}
		dst = append(dst, col)
	}
	return dst, c.end()
}

// DecodeDataRow appends the values to dst; nil is NULL.
func DecodeDataRow(dst [][]byte, body []byte) ([][]byte, error) {
	c := cursor{b: body}
	for range c.u16() {
		n := int32(c.u32()) //nolint:gosec // -1 is NULL by definition
		if n == -1 && !c.bad {
			dst = append(dst, nil)
			continue
		}
		v := c.take(int(n))
		if c.bad {
			return nil, ErrMalformed
		}
		dst = append(dst, v[:len(v):len(v)])
	}
	return dst, c.end()
}

// DecodeStartup calls each for every parameter of a StartupMessage after its
// version.
func DecodeStartup(body []byte, each func(name, value string)) error {
	c := cursor{b: body}
	for !c.bad {
		name := c.str()
		if len(name) == 0 {
			break
		}
		each(string(name), string(c.str()))
	}
	return c.end()
}
