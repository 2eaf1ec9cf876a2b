package lex

// Kind is the class of a token. The zero value is no token.
type Kind uint8

// The kinds of tokens. Literals come first: see [Kind.Literal].
const (
	Invalid Kind = iota
	// String is a string constant, however it was spelled.
	String
	// BitString is B'…'.
	BitString
	// HexString is X'…'.
	HexString
	// Integer is a number without a point that fits 32 bits.
	Integer
	// BigInteger is a number without a point that fits 64 bits.
	BigInteger
	// Float is any other number.
	Float
	// Word is an unquoted keyword or identifier, in lower case, ASCII only.
	Word
	// QuotedIdent is a quoted identifier, or an unquoted one with characters
	// outside ASCII, which is never a keyword.
	QuotedIdent
	// Param is $1, $2, …
	Param
	// Op is an operator that is none of the following.
	Op
	TypeCast      // ::
	DotDot        // ..
	ColonEquals   // :=
	EqualsGreater // =>
	LessEquals    // <=
	GreaterEquals // >=
	NotEquals     // <> (also written !=)
	Plus
	Minus
	Star
	Slash
	Percent
	Caret
	Less
	Greater
	Equal
	Colon
	Comma
	Semicolon
	Dot
	LeftParen
	RightParen
	LeftBracket
	RightBracket

	kinds
)

var kindNames = [kinds]string{
	Invalid: "invalid", String: "string", BitString: "bit string", HexString: "hex string", Integer: "integer",
	BigInteger: "bigint", Float: "float", Word: "word", QuotedIdent: "quoted identifier", Param: "parameter",
	Op: "operator", TypeCast: "::", DotDot: "..", ColonEquals: ":=", EqualsGreater: "=>", LessEquals: "<=",
	GreaterEquals: ">=", NotEquals: "<>", Plus: "+", Minus: "-", Star: "*", Slash: "/", Percent: "%", Caret: "^",
	Less: "<", Greater: ">", Equal: "=", Colon: ":", Comma: ",", Semicolon: ";", Dot: ".", LeftParen: "(",
	RightParen: ")", LeftBracket: "[", RightBracket: "]",
}

// String returns a word for a reader.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "invalid"
}

// Literal reports whether a token of this kind is a constant that a shape
// leaves out. Parameters, null, true and false are not.
func (k Kind) Literal() bool { return k >= String && k <= Float }

// Operator reports whether a token of this kind can be an operator's name.
func (k Kind) Operator() bool {
	return k == Op || k >= LessEquals && k <= Equal
}

// Token is one token. The offsets are bytes: Start and End in the source, where
// a string with continuation lines or a UESCAPE clause is one token,
// CanonStart and CanonEnd in the canonical text.
type Token struct {
	Kind Kind
	// Slot says that the token is left out of the shape.
	Slot                 bool
	Start, End           int32
	CanonStart, CanonEnd int32
}

// byteClass sorts the bytes a token can start with.
type byteClass uint8

const (
	classOther byteClass = iota
	classSpace
	classWord
	classDigit
	classHigh
	classQuote
	classDoubleQuote
	classDollar
	classOperator
	classSelf
)

// classes and lower are tables of scan.l: {space}, {ident_start}, {self},
// {op_chars}. The vertical tab is a space only since PostgreSQL 16, so it is
// refused.
var classes = func() (t [256]byteClass) {
	for _, c := range " \t\n\r\f" {
		t[c] = classSpace
	}
	for _, c := range ",()[].;:" {
		t[c] = classSelf
	}
	for _, c := range "~!@#^&|`?+-*/%<>=" {
		t[c] = classOperator
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-32] = classWord, classWord
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = classDigit
	}
	for c := 0x80; c <= 0xff; c++ {
		t[c] = classHigh
	}
	t['_'], t['\''], t['"'], t['$'] = classWord, classQuote, classDoubleQuote, classDollar
	return t
}()

// lower maps the ASCII bytes that continue a word to lower case and every other
// byte to zero.
var lower = func() (t [256]byte) {
	for c := range 128 {
		switch classes[c] {
		case classWord, classDigit, classDollar:
			t[c] = byte(c)
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = byte(c) + 32
	}
	return t
}()

func identStart(c byte) bool { return classes[c] == classWord || classes[c] == classHigh }

func identCont(c byte) bool { return lower[c] != 0 || c >= 0x80 }

func space(c byte) bool { return classes[c] == classSpace }

func digit(c byte) bool { return c >= '0' && c <= '9' }
