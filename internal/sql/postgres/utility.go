package postgres

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// utility is a statement that needs no analysis beyond its kind: its word and
// its effects.
type utility struct {
	word    string
	effects gate.Effects
}

// utilityOf returns the word and effects of statements whose kind says all.
func utilityOf(n *pg_query.Node) (utility, bool) {
	if u, ok := definitionOf(n); ok {
		return u, true
	}
	if word, ok := codeOf(n); ok {
		return utility{word, gate.EffectSchema | gate.EffectExecute}, true
	}
	return administrationOf(n)
}

// definitionOf covers statements that change definitions.
func definitionOf(n *pg_query.Node) (utility, bool) {
	schema := func(word string) (utility, bool) { return utility{word, gate.EffectSchema}, true }
	switch n.GetNode().(type) {
	case *pg_query.Node_AlterTableStmt:
		return schema("alter table")
	case *pg_query.Node_AlterDomainStmt:
		return schema("alter domain")
	case *pg_query.Node_AlterCollationStmt:
		return schema("alter collation")
	case *pg_query.Node_AlterTypeStmt, *pg_query.Node_AlterEnumStmt:
		return schema("alter type")
	case *pg_query.Node_AlterStatsStmt:
		return schema("alter statistics")
	case *pg_query.Node_AlterSeqStmt:
		return schema("alter sequence")
	case *pg_query.Node_AlterOperatorStmt:
		return schema("alter operator")
	case *pg_query.Node_AlterOpFamilyStmt:
		return schema("alter operator family")
	case *pg_query.Node_AlterObjectDependsStmt, *pg_query.Node_AlterObjectSchemaStmt, *pg_query.Node_AlterOwnerStmt:
		return schema("alter")
	case *pg_query.Node_AlterTsdictionaryStmt, *pg_query.Node_AlterTsconfigurationStmt:
		return schema("alter text search")
	case *pg_query.Node_RenameStmt:
		return schema("rename")
	case *pg_query.Node_CommentStmt:
		return schema("comment")
	case *pg_query.Node_SecLabelStmt:
		return schema("security label")
	case *pg_query.Node_CompositeTypeStmt, *pg_query.Node_CreateEnumStmt, *pg_query.Node_CreateRangeStmt:
		return schema("create type")
	case *pg_query.Node_CreateDomainStmt:
		return schema("create domain")
	case *pg_query.Node_CreateSchemaStmt:
		return schema("create schema")
	case *pg_query.Node_CreateSeqStmt:
		return schema("create sequence")
	case *pg_query.Node_CreateStatsStmt:
		return schema("create statistics")
	case *pg_query.Node_DropStmt:
		return schema("drop")
	default:
		return utility{}, false
	}
}

// codeOf covers statements that define code, or run code of definitions.
func codeOf(n *pg_query.Node) (string, bool) {
	switch n.GetNode().(type) {
	case *pg_query.Node_AlterFunctionStmt:
		return "alter function", true
	case *pg_query.Node_IndexStmt:
		return "create index", true
	case *pg_query.Node_DefineStmt:
		return "create", true
	case *pg_query.Node_CreateCastStmt:
		return "create cast", true
	case *pg_query.Node_CreateConversionStmt:
		return "create conversion", true
	case *pg_query.Node_CreateFunctionStmt:
		return "create function", true
	case *pg_query.Node_CreateOpClassStmt, *pg_query.Node_CreateOpFamilyStmt:
		return "create operator class", true
	case *pg_query.Node_CreateTransformStmt:
		return "create transform", true
	case *pg_query.Node_CreateTrigStmt:
		return "create trigger", true
	case *pg_query.Node_CreatePlangStmt:
		return "create language", true
	case *pg_query.Node_RuleStmt:
		return "create rule", true
	case *pg_query.Node_RefreshMatViewStmt:
		return "refresh materialized view", true
	default:
		return "", false
	}
}

// administrationOf covers statements that speak to the server or about rights.
func administrationOf(n *pg_query.Node) (utility, bool) {
	admin := func(word string) (utility, bool) { return utility{word, gate.EffectAdmin}, true }
	both := func(word string) (utility, bool) { return utility{word, gate.EffectAdmin | gate.EffectSchema}, true }
	code := func(word string) (utility, bool) { return utility{word, gate.EffectAdmin | gate.EffectExecute}, true }
	switch n.GetNode().(type) {
	case *pg_query.Node_GrantStmt:
		return admin("grant")
	case *pg_query.Node_GrantRoleStmt:
		return admin("grant role")
	case *pg_query.Node_AlterDefaultPrivilegesStmt:
		return admin("alter default privileges")
	case *pg_query.Node_CreatePolicyStmt, *pg_query.Node_AlterPolicyStmt:
		return both("policy")
	case *pg_query.Node_CreateRoleStmt:
		return admin("create role")
	case *pg_query.Node_AlterRoleStmt, *pg_query.Node_AlterRoleSetStmt:
		return admin("alter role")
	case *pg_query.Node_DropRoleStmt:
		return admin("drop role")
	case *pg_query.Node_DropOwnedStmt, *pg_query.Node_ReassignOwnedStmt:
		return both("owned")
	case *pg_query.Node_CreatedbStmt, *pg_query.Node_DropdbStmt, *pg_query.Node_AlterDatabaseStmt,
		*pg_query.Node_AlterDatabaseSetStmt, *pg_query.Node_AlterDatabaseRefreshCollStmt:
		return both("database")
	case *pg_query.Node_CreateTableSpaceStmt, *pg_query.Node_DropTableSpaceStmt,
		*pg_query.Node_AlterTableSpaceOptionsStmt, *pg_query.Node_AlterTableMoveAllStmt:
		return both("tablespace")
	case *pg_query.Node_CreateExtensionStmt, *pg_query.Node_AlterExtensionStmt, *pg_query.Node_AlterExtensionContentsStmt:
		return utility{"extension", gate.EffectAdmin | gate.EffectSchema | gate.EffectExecute}, true
	case *pg_query.Node_CreateFdwStmt, *pg_query.Node_AlterFdwStmt, *pg_query.Node_CreateForeignServerStmt,
		*pg_query.Node_AlterForeignServerStmt, *pg_query.Node_CreateForeignTableStmt, *pg_query.Node_ImportForeignSchemaStmt,
		*pg_query.Node_CreateUserMappingStmt, *pg_query.Node_AlterUserMappingStmt, *pg_query.Node_DropUserMappingStmt:
		return both("foreign data")
	case *pg_query.Node_CreatePublicationStmt, *pg_query.Node_AlterPublicationStmt,
		*pg_query.Node_CreateSubscriptionStmt, *pg_query.Node_AlterSubscriptionStmt, *pg_query.Node_DropSubscriptionStmt:
		return utility{"replication", gate.EffectAdmin | gate.EffectSchema | gate.EffectTunnel}, true
	case *pg_query.Node_CreateAmStmt, *pg_query.Node_CreateEventTrigStmt, *pg_query.Node_AlterEventTrigStmt:
		return utility{"create", gate.EffectAdmin | gate.EffectSchema | gate.EffectExecute}, true
	case *pg_query.Node_ReplicaIdentityStmt:
		return both("alter table")
	case *pg_query.Node_AlterSystemStmt:
		return admin("alter system")
	case *pg_query.Node_LoadStmt:
		return code("load")
	case *pg_query.Node_CheckPointStmt:
		return admin("checkpoint")
	case *pg_query.Node_ClusterStmt:
		return code("cluster")
	case *pg_query.Node_ReindexStmt:
		return code("reindex")
	case *pg_query.Node_VacuumStmt:
		return code("vacuum")
	default:
		return utility{}, false
	}
}
