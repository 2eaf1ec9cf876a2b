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
// Everything else is administration.
func harmless(name string) setting {
	switch name {
	case "application_name", "datestyle", "intervalstyle", "timezone", "extra_float_digits", "bytea_output",
		"client_min_messages", "xmloption", "xmlbinary", "default_transaction_isolation", "transaction_isolation",
		"default_transaction_deferrable", "transaction_deferrable", "synchronize_seqscans", "geqo", "jit",
		"from_collapse_limit", "join_collapse_limit", "plan_cache_mode", "lc_monetary", "lc_numeric", "lc_time",
		"gin_fuzzy_search_limit", "max_parallel_workers_per_gather", "cursor_tuple_fraction", "constraint_exclusion",
		"check_function_bodies", "restrict_nonsystem_relation_kind":
		return anyValue
	case "client_encoding":
		return oneOf("utf8", "utf-8", "unicode")
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
	case "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout":
		return shorterTimeout
	case "search_path":
		return samePath
	}
	if planner(name) {
		return anyValue
	}
	return nil
}

// planner says that a parameter only helps to choose a plan.
func planner(name string) bool {
	switch name {
	case "random_page_cost", "seq_page_cost", "cpu_tuple_cost", "cpu_index_tuple_cost", "cpu_operator_cost",
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

// samePath allows the empty path, under which every name that still means
// something means the same, and the pinned path.
func samePath(env *Env, value string) bool {
	var path []string
	for p := range strings.SplitSeq(value, ",") {
		p = strings.TrimSpace(p)
		if len(p) >= 2 && p[0] == '"' && p[len(p)-1] == '"' {
			p = strings.ReplaceAll(p[1:len(p)-1], `""`, `"`)
		}
		if p != "" {
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
	switch s.GetKind() {
	case pg_query.VariableSetKind_VAR_SET_VALUE:
		values, ok := settingValues(s.GetArgs())
		rule := harmless(name)
		if name == "search_path" && ok && len(s.GetArgs()) > 0 {
			// Each argument is one name, whatever it contains.
			values = quoteNames(s.GetArgs())
		}
		if !ok || rule == nil || !rule(a.env, values) {
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

// resettable says that any value of the parameter is harmless, so that the one
// the session began with is.
func resettable(name string) bool {
	switch name {
	case "application_name", "datestyle", "intervalstyle", "timezone", "extra_float_digits", "bytea_output", "client_min_messages",
		"xmloption", "xmlbinary", "synchronize_seqscans", "geqo", "jit", "lc_monetary", "lc_numeric", "lc_time":
		return true
	}
	return planner(name)
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

// transactionModes reads the modes of BEGIN and SET TRANSACTION.
func (a *analysis) transactionModes(options []*pg_query.Node) {
	for _, n := range options {
		d := n.GetDefElem()
		switch d.GetDefname() {
		case "transaction_isolation", "transaction_deferrable":
		case "transaction_read_only":
			if d.GetArg().GetAConst().GetIval().GetIval() != 1 {
				a.add(gate.EffectWrite)
			}
		default:
			a.add(gate.EffectAdmin) // SET TRANSACTION SNAPSHOT
		}
	}
}
