package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// The mask token is computed by the database, under a key that no statement
// holds: the gateway gives it when it logs in, in settings of the session that
// PostgreSQL lists nowhere, and no text of the agent may read them. It is
// HMAC-SHA-256 (RFC 2104) of the value as text, from the two blocks that the key
// makes.

// The settings that hold the blocks, in hexadecimal.
const (
	tokenInner = "sallyport.token_inner"
	tokenOuter = "sallyport.token_outer"
)

// reservedSettings is the prefix of settings that are the gateway's own. An agent
// may see the session's name among them.
const (
	reservedSettings = "sallyport."
	sessionSetting   = "sallyport.session"
)

// TokenSettings returns the settings with which a session is to begin so that the
// mask token can be computed in it. The values are as secret as the key.
func TokenSettings(key []byte) map[string]string {
	inner, outer := make([]byte, sha256.BlockSize), make([]byte, sha256.BlockSize)
	if len(key) > sha256.BlockSize {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	copy(inner, key)
	copy(outer, key)
	for i := range inner {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	return map[string]string{tokenInner: hex.EncodeToString(inner), tokenOuter: hex.EncodeToString(outer)}
}

// tokenSQL is the token of a text, as bytea.
func tokenSQL(text string) string {
	block := func(setting string) string {
		return "pg_catalog.decode ( pg_catalog.current_setting ( '" + setting + "' ) , 'hex' )"
	}
	inner := "pg_catalog.sha256 ( pg_catalog.byteacat ( " + block(tokenInner) + " , pg_catalog.convert_to ( " + text + " , 'UTF8' ) ) )"
	return "pg_catalog.sha256 ( pg_catalog.byteacat ( " + block(tokenOuter) + " , " + inner + " ) )"
}

// tokenPrefix tells a reader what he looks at.
const tokenPrefix = "tok_"

// The shortest text and the fewest digits before the point that can hold a token.
const (
	minTokenLength = 16
	minTokenDigits = 19
)

// tokenValue is a token that fits a type; empty if none does. Only equal types
// have equal tokens: the text of a number depends on its type.
func tokenValue(t *typeInfo, typeSQL, ref string) string {
	token := "pg_catalog.encode ( " + tokenSQL(ref+" :: pg_catalog.text") + " , 'hex' )"
	left := func(n int) string { return "pg_catalog.\"left\" ( " + token + " , " + strconv.Itoa(n) + " )" }
	bits := func(digits int) string {
		return "CAST ( pg_catalog.concat ( 'x' , " + left(digits) + " ) AS pg_catalog.bit ( " + strconv.Itoa(4*digits) + " ) )"
	}
	own := t.oid < firstUserOID && t.kind == 'b'
	switch {
	case t.category == 'S' && t.elem == 0 && t.kind == 'b':
		if n := modifier(typeSQL); n > 0 && n < minTokenLength || t.name == "char" {
			return ""
		}
		return "pg_catalog.concat ( '" + tokenPrefix + "' , " + left(32) + " )"
	case !own:
		return ""
	case t.name == "uuid":
		return left(32)
	case t.name == "bytea":
		return tokenSQL("pg_catalog.encode ( " + ref + " , 'hex' )")
	case t.name == "int8":
		return "CAST ( " + bits(15) + " AS pg_catalog.int8 )"
	case t.name == "int4":
		return "CAST ( " + bits(8) + " AS pg_catalog.int4 )"
	case t.name == "numeric":
		if !holdsToken(typeSQL) {
			return ""
		}
		token = "pg_catalog.encode ( " + tokenSQL("pg_catalog.trim_scale ( "+ref+" ) :: pg_catalog.text") + " , 'hex' )"
		return "CAST ( CAST ( " + bits(15) + " AS pg_catalog.int8 ) AS pg_catalog.numeric )"
	}
	return ""
}

// modifier reads n of type(n); 0 if there is none.
func modifier(typeSQL string) int {
	_, rest, _ := strings.Cut(typeSQL, "(")
	n, _ := strconv.Atoi(strings.TrimSuffix(rest, ")"))
	return n
}

// holdsToken says that numeric(p,s) has room for a token before its point.
func holdsToken(typeSQL string) bool {
	_, rest, found := strings.Cut(typeSQL, "(")
	if !found {
		return true
	}
	p, s, _ := strings.Cut(strings.TrimSuffix(rest, ")"), ",")
	precision, err := strconv.Atoi(p)
	scale, err2 := strconv.Atoi(s)
	return err == nil && err2 == nil && precision-scale >= minTokenDigits
}

// reservedSetting refuses the gateway's own settings, which hold the key of the
// mask token. It is refused as administration too, where nothing is masked.
func (a *analysis) reservedSetting(name string) {
	name = strings.ToLower(name)
	if !strings.HasPrefix(name, reservedSettings) || name == sessionSetting {
		return
	}
	a.add(gate.EffectAdmin)
	a.refuseAll(name, "is a setting of the gateway", "leave it alone")
}

// changesSetting reads the name that set_config changes: it returns the value, the
// old one if it gets none.
func (a *analysis) changesSetting(n *pg_query.Node, sc *scope) {
	c := n.GetAConst()
	if c == nil && columnKey(n) == "name" {
		c = sc.setting
	}
	if c != nil {
		if v := a.constant(c); v.kind == 's' {
			a.reservedSetting(v.s)
			return
		}
	}
	if a.in.labels.all != 0 {
		a.refuseAll("set_config() of a name that is computed", "could show a setting of the gateway", "write the name as a constant")
	}
}

// listedSetting recognises the column name of pg_settings, as psql's \dconfig has
// it: PostgreSQL does not list settings that it does not know, such as the
// gateway's (GUC_NO_SHOW_ALL). An alias list may give the name to another column.
func (a *analysis) listedSetting(n *pg_query.Node, sc *scope) bool {
	fields := n.GetColumnRef().GetFields()
	if len(fields) != 2 || fields[1].GetString_().GetSval() != "name" {
		return false
	}
	it := a.findItem(strs(fields[:1]), sc)
	if it == nil || it.rel == nil || !it.rel.isSystem() || it.rel.Name() != "pg_catalog.pg_settings" || len(it.cols) != len(it.rel.columns) {
		return false
	}
	for i := range it.cols {
		if (it.cols[i].name == "name") != (it.rel.columns[i].name == "name") {
			return false
		}
	}
	return true
}

// readsSetting reads current_setting(name): what is not a constant could be the
// name of a setting of the gateway.
func (a *analysis) readsSetting(f *pg_query.FuncCall, sc *scope) {
	var c *pg_query.A_Const
	if args := f.GetArgs(); len(args) == 1 && a.listedSetting(args[0], sc) {
		return
	}
	if args := f.GetArgs(); len(args) > 0 {
		n := args[0]
		if t := n.GetTypeCast(); t != nil && textType(t.GetTypeName()) {
			n = t.GetArg()
		}
		c = n.GetAConst()
	}
	if c != nil {
		if v := a.constant(c); v.kind == 's' {
			a.reservedSetting(v.s)
			return
		}
	}
	if a.in.labels.all != 0 {
		a.add(gate.EffectAdmin)
		a.refuseAll("current_setting() of a name that is computed", "could show a setting of the gateway", "write the name as a constant, or use SHOW")
	}
}
