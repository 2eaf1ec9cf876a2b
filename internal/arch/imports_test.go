package arch

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// siblings are the imports between packages under internal/ that are allowed
// besides gate and nearest: importer → imported → why. What is not here is refused.
func siblings() map[string]map[string]string {
	return map[string]map[string]string{
		"internal/store": {
			"internal/approval": "implements the store that approval declares, in approval's types",
			"internal/vault":    "implements the store that vault declares, in vault's types",
		},
		"internal/shell": {
			"internal/hostpath": "a command line names paths; what they mean at the host is one question with one form",
		},
		"internal/proto/ssh": {
			"internal/shell":    "the exec request asks what a command line does; the two are one protocol",
			"internal/hostpath": "the protocol carries the questions about paths to the host and the answers back",
			"internal/mask":     "what a host answers is text, so its masks are applied to the stream",
		},
		"internal/proto/postgres": {
			"internal/sql/postgres": "the wire loop asks what a statement does; the two are one protocol",
		},
	}
}

// pure are the packages that know nothing of storage or network, with the
// imports that they may not have.
func pure() (packages, forbidden []string) {
	return []string{"internal/sql", "internal/shell", "internal/hostpath", "internal/mask", "internal/policy", "internal/nearest"},
		[]string{"net", "net/http", "net/rpc", "database/sql", "github.com/jackc/pgx/v5", "modernc.org/sqlite"}
}

// within reports whether path is the folder or below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// family is the first folder under internal/: siblings are of different
// families. Each protocol and each SQL dialect is a family of its own.
func family(rel string) string {
	parts := strings.Split(rel, "/")
	n := 2
	if len(parts) > 2 && (parts[1] == "proto" || parts[1] == "sql") {
		n = 3
	}
	return strings.Join(parts[:min(n, len(parts))], "/")
}

// importFinding says what is wrong with one import of a package's own code;
// empty if nothing is.
func importFinding(from, to string) string {
	if packages, forbidden := pure(); anyWithin(from, packages) && storageOrNetwork(to, forbidden) {
		return "is pure: nothing of storage or network"
	}
	rel, own := strings.CutPrefix(to, module+"/")
	if from == "internal/gate" && (own || strings.Contains(strings.Split(to, "/")[0], ".")) {
		return "gate imports the standard library only"
	}
	if !own {
		return ""
	}
	switch {
	case within(rel, "cmd"):
		return "nothing imports cmd"
	case within(from, "test"):
		return ""
	case within(rel, "test"):
		return "only tests import test"
	case rel == "internal/pgserver" && from != "cmd/sallyport":
		return "pgserver is for cmd and tests"
	case rel == "internal/gate/gatetest":
		return "gatetest is for tests"
	case within(from, "cmd"):
		return ""
	case rel == "internal/gate" || rel == "internal/nearest" || family(from) == family(rel):
		return ""
	}
	for importer, allowed := range siblings() {
		for imported := range allowed {
			if within(from, importer) && within(rel, imported) {
				return ""
			}
		}
	}
	return "siblings do not import each other; only cmd wires"
}

// storageOrNetwork: of the standard library the named package only (net/netip is
// no network), of modules all their packages.
func storageOrNetwork(to string, forbidden []string) bool {
	for _, f := range forbidden {
		if to == f || strings.Contains(f, ".") && within(to, f) {
			return true
		}
	}
	return false
}

func anyWithin(path string, folders []string) bool {
	for _, f := range folders {
		if within(path, f) {
			return true
		}
	}
	return false
}

func TestImportsGoTheAllowedWay(t *testing.T) {
	for _, p := range load(t) {
		for _, to := range p.Imports {
			if why := importFinding(p.rel(), to); why != "" {
				t.Errorf("%s imports %s: %s", p.rel(), to, why)
			}
		}
	}
}

func TestTestsDoNotImportCmd(t *testing.T) {
	for _, p := range load(t) {
		for _, to := range concat(p.TestImports, p.XTestImports) {
			if rel, own := strings.CutPrefix(to, module+"/"); own && within(rel, "cmd") {
				t.Errorf("the tests of %s import %s", p.rel(), to)
			}
		}
	}
}

func TestEverySiblingExceptionIsUsed(t *testing.T) {
	used := map[string]bool{}
	for _, p := range load(t) {
		for _, to := range p.Imports {
			rel, _ := strings.CutPrefix(to, module+"/")
			for importer, allowed := range siblings() {
				for imported, reason := range allowed {
					if reason == "" {
						t.Errorf("the exception %s → %s has no reason", importer, imported)
					}
					if within(p.rel(), importer) && within(rel, imported) {
						used[importer+imported] = true
					}
				}
			}
		}
	}
	for importer, allowed := range siblings() {
		for imported := range allowed {
			if !used[importer+imported] {
				t.Errorf("nothing uses the exception %s → %s: remove it", importer, imported)
			}
		}
	}
}

func TestImportRulesCatchEachWrongWay(t *testing.T) {
	own := func(rel string) string { return module + "/" + rel }
	for i, c := range []struct {
		from, to string
		allowed  bool
	}{
		{"internal/gate", "net", true},
		{"internal/gate", "golang.org/x/sync/errgroup", false},
		{"internal/gate", own("internal/policy"), false},
		{"internal/policy", own("internal/gate"), true},
		{"internal/policy", "net/http", false},
		{"internal/policy", "net/netip", true},
		{"internal/sql/postgres", "database/sql", false},
		{"internal/sql/postgres/lex", "github.com/jackc/pgx/v5", false},
		{"internal/sql/postgres", own("internal/sql/postgres/lex"), true},
		{"internal/sql/mysql", own("internal/sql/postgres"), false},
		{"internal/proto/ssh", own("internal/proto/postgres"), false},
		{"internal/proto/postgres", own("internal/sql/postgres"), true},
		{"internal/record", own("internal/store"), false},
		{"internal/store", own("internal/vault"), true},
		{"internal/vault", own("internal/store"), false},
		{"internal/record", own("internal/pgserver"), false},
		{"internal/record", own("internal/gate/gatetest"), false},
		{"cmd/sallyport", own("internal/pgserver"), true},
		{"cmd/sallyport", own("internal/store"), true},
		{"cmd/sallyport", own("test/pgtest"), false},
		{"test/bench", own("internal/pgserver"), true},
		{"test/bench", own("cmd/sallyport"), false},
	} {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			if why := importFinding(c.from, c.to); (why == "") != c.allowed {
				t.Errorf("%s imports %s: finding %q, want allowed %v", c.from, c.to, why, c.allowed)
			}
		})
	}
}

func itoa(n int) string { return fmt.Sprint(n) }
