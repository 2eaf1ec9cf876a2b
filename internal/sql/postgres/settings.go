package postgres

import (
	"slices"
	"strconv"
	"strings"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// setting decides which values of a run-time parameter an agent may set.
type setting func(env *Env, value string) bool

func anyValue(*Env, string) bool { return true }

func oneOf(values ...string) setting {
	return func(_ *Env, v string) bool { return slices.Contains(values, strings.ToLower(v)) }
}

var (
	onValues  = []string{"on", "true", "yes", "1", "t", "y", "tr", "tru", "ye"}
	offValues = []string{"off", "false", "no", "0", "f", "n", "of", "fa", "fal", "fals"}
)

// harmless returns the rule for a parameter that a client may set, or nil.
// Everything else is administration: what changes the meaning of a text, what is
// written and how safely, what is logged or reported, who somebody is, or the
// connection between gateway and target. The list is that of the parameters that
// PostgreSQL 13 to 18 let every role set (guc_tables.c, PGC_USERSET); a parameter
// with a dot in its name can be what a row-level policy asks for.
func harmless(name string) setting {
	switch name {
	case "seed", "timezone_abbreviations", "default_statistics_target", "stats_fetch_consistency", "max_parallel_workers",
		"parallel_leader_participation", "effective_io_concurrency", "io_combine_limit", "default_toast_compression",
		"gin_pending_list_limit", "operator_precedence_warning", "client_connection_check_interval":
		return anyValue
	case "default_tablespace", "temp_tablespaces":
		return oneOf("") // where everything goes by itself
	case "default_table_access_method":
		return oneOf("heap")
	case "default_text_search_config":
		return builtinTextSearch
	case "synchronous_commit":
		return oneOf(onValues...)
	case "work_mem", "temp_buffers":
		return memory(name, 256<<20)
	case "maintenance_work_mem":
		return memory(name, 1<<30)
	case "hash_mem_multiplier":
		return upTo(8)
	case "application_name", "datestyle", "intervalstyle", "timezone", "extra_float_digits", "bytea_output",
		"client_min_messages", "xmloption", "xmlbinary", "default_transaction_isolation", "transaction_isolation",
		"default_transaction_deferrable", "transaction_deferrable", "synchronize_seqscans", "geqo", "jit",
		"from_collapse_limit", "join_collapse_limit", "plan_cache_mode", "lc_monetary", "lc_numeric", "lc_time",
		"gin_fuzzy_search_limit", "max_parallel_workers_per_gather", "cursor_tuple_fraction", "constraint_exclusion",
		"check_function_bodies", "restrict_nonsystem_relation_kind":
		return anyValue
	case "client_encoding":
		// UNICODE is another name for it, which the server would report as it is
		// given: it is written as UTF8.
		return oneOf("utf8", "utf-8")
	case "standard_conforming_strings", "escape_string_warning":
		return oneOf(onValues...)
	case "backslash_quote":
		return oneOf("safe_encoding")
	case "row_security", "transform_null_equals", "quote_all_identifiers", "array_nulls":
		if name == "array_nulls" {
			return oneOf(onValues...)
		}
		return oneOf(offValues...) // off makes a query fail that a policy would filter
	case "default_transaction_read_only", "transaction_read_only":
		return oneOf(onValues...)
	case "lock_timeout", // a lock is waited for no longer than the statement may run
		"idle_in_transaction_session_timeout", "idle_session_timeout": // the gateway's limits on sessions hold
		return anyValue
	case "statement_timeout", "transaction_timeout":
		return shorterTimeout
	case "search_path":
		return samePath
	}
	if planner(name) {
		return anyValue
	}
	return nil
}

// Harmless reports whether a client may begin its session with a setting.
func Harmless(name, value string) bool {
	rule := harmless(name)
	return rule != nil && rule(&Env{}, value)
}

// planner says that a parameter only helps to choose a plan.
func planner(name string) bool {
	switch name {
	case "debug_parallel_query", "force_parallel_mode", "jit_expressions", "jit_tuple_deforming", "recursive_worktable_factor",
		"random_page_cost", "seq_page_cost", "cpu_tuple_cost", "cpu_index_tuple_cost", "cpu_operator_cost",
		"parallel_setup_cost", "parallel_tuple_cost", "effective_cache_size", "jit_above_cost", "jit_inline_above_cost",
		"jit_optimize_above_cost", "min_parallel_table_scan_size", "min_parallel_index_scan_size",
		"geqo_threshold", "geqo_effort", "geqo_pool_size", "geqo_generations", "geqo_selection_bias", "geqo_seed":
		return true
	}
	return strings.HasPrefix(name, "enable_")
}

// shorterTimeout allows a timeout that is no longer than the pinned one.
func shorterTimeout(env *Env, value string) bool {
	if env.StatementTimeout == 0 {
		return true
	}
	d, ok := parseTimeout(value)
	return ok && d > 0 && d <= env.StatementTimeout
}

// parseTimeout reads a number with an optional unit; milliseconds without one.
func parseTimeout(value string) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	number := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz ")
	units := map[string]time.Duration{"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	unit, ok := units[strings.TrimSpace(value[len(number):])]
	n, err := strconv.ParseInt(number, 10, 32)
	return time.Duration(n) * unit, ok && err == nil
}

// builtinTextSearch allows the configurations that PostgreSQL brings along:
// another one can have dictionaries of users. pg_catalog comes first in every
// path.
func builtinTextSearch(_ *Env, value string) bool {
	switch strings.TrimPrefix(strings.ToLower(value), "pg_catalog.") {
	case "simple", "arabic", "armenian", "basque", "catalan", "danish", "dutch", "english", "estonian", "finnish", "french", "german",
		"greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian", "portuguese", "romanian",
		"russian", "serbian", "spanish", "swedish", "tamil", "turkish", "yiddish":
		return true
	}
	return false
}

// memory allows an amount up to a bound. A number without a unit counts kilobytes,
// for temp_buffers blocks (guc_tables.c, GUC_UNIT_KB and GUC_UNIT_BLOCKS).
func memory(name string, most int64) setting {
	return func(_ *Env, value string) bool {
		value = strings.TrimSpace(value)
		number := strings.TrimRight(value, "kMGTB ")
		unit := strings.TrimSpace(value[len(number):])
		units := map[string]int64{"": 1 << 10, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
		if unit == "" && name == "temp_buffers" {
			units[""] = 8 << 10
		}
		bytes, ok := units[unit]
		n, err := strconv.ParseInt(number, 10, 32)
		return ok && err == nil && n > 0 && n <= most/bytes
	}
}

// upTo allows a number up to a bound.
func upTo(most float64) setting {
	return func(_ *Env, value string) bool {
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		return err == nil && n > 0 && n <= most
	}
}

// samePath allows the empty path, under which every name that still means
// something means the same, and the pinned path, in which "$user" can stand for
// nothing.
func samePath(env *Env, value string) bool {
	var path []string
	for p := range strings.SplitSeq(value, ",") {
		p = strings.TrimSpace(p)
		if len(p) >= 2 && p[0] == '"' && p[len(p)-1] == '"' {
			p = strings.ReplaceAll(p[1:len(p)-1], `""`, `"`)
		}
		if p != "" && (p != "$user" || !env.NoUserSchema) {
			path = append(path, p)
		}
	}
	if len(path) > 0 && path[0] == "pg_catalog" {
		path = path[1:]
	}
	pinned := env.SearchPath
	if len(pinned) > 0 && pinned[0] == "pg_catalog" {
		pinned = pinned[1:]
	}
	return len(path) == 0 || slices.Equal(path, pinned)
}

// setStatement reads SET and RESET.
func (a *analysis) setStatement(s *pg_query.VariableSetStmt) Statement {
	a.exact()
	name := strings.ToLower(s.GetName())
	st := Statement{Kind: KindSet, Word: "set", Name: name, Local: s.GetIsLocal()}
	a.facts.settings = append(a.facts.settings, name)
	a.reservedSetting(name)
	switch s.GetKind() {
	case pg_query.VariableSetKind_VAR_SET_VALUE:
		a.choosingScan(name)
		values, ok := settingValues(s.GetArgs())
		rule := harmless(name)
		if name == "search_path" && ok && len(s.GetArgs()) > 0 {
			// Each argument is one name, whatever it contains.
			values = quoteNames(s.GetArgs())
		}
		a.serializes(name, values)
		switch {
		case ok && name == "statement_timeout" && a.env.StatementTimeout > 0 && a.noTimeout(s.GetArgs(), values):
		case ok && name == "client_encoding" && strings.EqualFold(values, "unicode") && a.sendInstead(s.GetArgs(), "'UTF8'"):
		case !ok || rule == nil || !rule(a.env, values):
			a.add(gate.EffectAdmin)
		}
	case pg_query.VariableSetKind_VAR_SET_MULTI:
		st.Word = "set transaction"
		a.transactionModes(s.GetArgs())
	case pg_query.VariableSetKind_VAR_SET_DEFAULT, pg_query.VariableSetKind_VAR_RESET:
		st.Kind = KindReset
		if s.GetKind() == pg_query.VariableSetKind_VAR_RESET {
			st.Word = "reset"
		}
		if !resettable(name) {
			a.add(gate.EffectAdmin)
		}
	case pg_query.VariableSetKind_VAR_SET_CURRENT:
		a.add(gate.EffectAdmin)
	case pg_query.VariableSetKind_VAR_RESET_ALL:
		// Every setting becomes what the session began with: the gateway gives its
		// pins in the startup packet, and RESET ALL leaves roles alone.
		st.Kind, st.Word, st.Name = KindReset, "reset all", ""
		a.facts.settings[len(a.facts.settings)-1] = "all"
	default:
		a.unknown()
	}
	a.add(gate.EffectRead)
	return st
}

// noTimeout sends the pinned timeout in place of none, which pg_dump and many a
// script ask for before they begin.
func (a *analysis) noTimeout(args []*pg_query.Node, value string) bool {
	return value == "0" && a.sendInstead(args, strconv.FormatInt(a.env.StatementTimeout.Milliseconds(), 10))
}

// sendInstead sends another constant in place of the only one.
func (a *analysis) sendInstead(args []*pg_query.Node, text string) bool {
	if len(args) != 1 || a.tokens == nil || args[0].GetAConst() == nil {
		return false
	}
	at := a.tokens.TokenAt(int(args[0].GetAConst().GetLocation()))
	a.change(edit{from: at, to: at + 1, always: true, pieces: []editPiece{{text: text}}})
	return true
}

// resettable says that the parameter may become what the session began with: the
// gateway was there. The modes of a transaction are another matter.
func resettable(name string) bool {
	return harmless(name) != nil && !strings.HasPrefix(name, "transaction_")
}

// settingValues joins constants as SET does.
func settingValues(args []*pg_query.Node) (string, bool) {
	var parts []string
	for _, n := range args {
		if t := n.GetTypeCast(); t != nil { // SET TIME ZONE INTERVAL '1' HOUR
			n = t.GetArg()
		}
		c := n.GetAConst()
		if c == nil {
			return "", false
		}
		switch v := c.GetVal().(type) {
		case *pg_query.A_Const_Ival:
			parts = append(parts, strconv.Itoa(int(v.Ival.GetIval())))
		case *pg_query.A_Const_Fval:
			parts = append(parts, v.Fval.GetFval())
		case *pg_query.A_Const_Sval:
			parts = append(parts, v.Sval.GetSval())
		case *pg_query.A_Const_Boolval:
			parts = append(parts, strconv.FormatBool(v.Boolval.GetBoolval()))
		default:
			return "", false
		}
	}
	return strings.Join(parts, ","), true
}

func quoteNames(args []*pg_query.Node) string {
	var parts []string
	for _, n := range args {
		parts = append(parts, quoteIdent(n.GetAConst().GetSval().GetSval()))
	}
	return strings.Join(parts, ",")
}

// setConfig is set_config(name, value, local): SET as a function.
func (a *analysis) setConfig(f *pg_query.FuncCall, sc *scope) taint {
	a.facts.functions = append(a.facts.functions, "pg_catalog.set_config")
	args := f.GetArgs()
	ok := len(args) == 3 && args[2].GetAConst() != nil
	var values [2]constant
	for i := range values {
		if !ok {
			break
		}
		c := args[i].GetAConst()
		if i == 0 && c == nil && columnKey(args[0]) == "name" {
			c = sc.setting
		}
		if ok = c != nil; ok {
			values[i] = a.constant(c)
			ok = values[i].kind == 's'
		}
	}
	name := strings.ToLower(values[0].s)
	if ok {
		a.facts.settings = append(a.facts.settings, name)
		a.choosingScan(name)
		a.serializes(name, values[1].s)
		if rule := harmless(name); rule != nil && rule(a.env, values[1].s) {
			a.add(gate.EffectRead)
			return taint{}
		}
	}
	a.add(gate.EffectAdmin)
	return a.exprs(args, sc, useArgument("set_config"))
}

// namedSetting recognises SELECT … FROM pg_settings WHERE name = 'constant',
// which pg_dump uses to set what only some versions have.
func (a *analysis) namedSetting(s *pg_query.SelectStmt) *pg_query.A_Const {
	from := s.GetFromClause()
	where := s.GetWhereClause().GetAExpr()
	if len(from) != 1 || where == nil || where.GetKind() != pg_query.A_Expr_Kind_AEXPR_OP || operatorName(where.GetName()) != "=" || columnKey(where.GetLexpr()) != "name" {
		return nil
	}
	rv := from[0].GetRangeVar()
	if rv == nil || rv.GetAlias() != nil {
		return nil
	}
	rel := a.relation(rv)
	if rel == nil || !rel.isSystem() || rel.Name() != "pg_catalog.pg_settings" {
		return nil
	}
	return where.GetRexpr().GetAConst()
}

// serializes refuses the isolation level serializable where there is a foreign key over
// labelled columns: by what it reads when it is checked, a transaction can fail.
func (a *analysis) serializes(name, level string) {
	if name != "transaction_isolation" && name != "default_transaction_isolation" || strings.EqualFold(level, "read committed") || strings.EqualFold(level, "repeatable read") ||
		strings.EqualFold(level, "read uncommitted") || !a.in.labels.refers(a.in.cat) {
		return
	}
	a.refuseAll(name, "is not to be serializable: whether a transaction fails could tell what labelled columns refer to", "use repeatable read")
}

// Serializes reports whether the settings that a session begins with make its transactions
// serializable where they are not to be.
func (in *Inspector) Serializes(asked map[string]string) bool {
	return strings.EqualFold(asked["default_transaction_isolation"], "serializable") && in.labels.refers(in.cat)
}

// transactionModes reads the modes of BEGIN and SET TRANSACTION.
func (a *analysis) transactionModes(options []*pg_query.Node) {
	for _, n := range options {
		d := n.GetDefElem()
		switch d.GetDefname() {
		case "transaction_isolation":
			a.serializes(d.GetDefname(), d.GetArg().GetAConst().GetSval().GetSval())
		case "transaction_deferrable":
		case "transaction_read_only":
			if d.GetArg().GetAConst().GetIval().GetIval() != 1 {
				a.add(gate.EffectWrite)
			}
		default:
			a.add(gate.EffectAdmin) // SET TRANSACTION SNAPSHOT
		}
	}
}
