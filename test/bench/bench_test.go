package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/config"
	"github.com/sallyport-gateway/sallyport/internal/identity"
	"github.com/sallyport-gateway/sallyport/internal/pgserver"
	"github.com/sallyport-gateway/sallyport/internal/policy"
)

const report = `transaction type: <builtin: select only>
number of clients: 8
number of transactions actually processed: 21890
number of failed transactions: 0 (0.000%)
latency average = 0.365 ms
initial connection time = 30.1 ms
tps = 21890.123456 (without initial connection time)
`

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestReportGivesThroughputAndTransactions(t *testing.T) {
	tps, transactions, err := parsePgbench(report)
	if err != nil || tps != 21890.123456 || transactions != 21890 {
		t.Errorf("tps %v, transactions %v, error %v", tps, transactions, err)
	}
}

func TestReportWithFailedOrAbortedTransactionsIsRefused(t *testing.T) {
	for _, bad := range []string{
		strings.Replace(report, "failed transactions: 0", "failed transactions: 3", 1),
		report + "pgbench: error: client 3 aborted in command 1\n",
		strings.Replace(report, "tps =", "xyz =", 1),
		strings.Replace(report, "processed: 21890", "processed: 0", 1),
	} {
		if _, _, err := parsePgbench(bad); err == nil {
			t.Errorf("accepted:\n%s", bad)
		}
	}
}

func TestPercentilesAreByNearestRank(t *testing.T) {
	var sorted []float64
	for i := 1; i <= 200; i++ {
		sorted = append(sorted, float64(i))
	}
	if p50, p99 := percentile(sorted, 50), percentile(sorted, 99); p50 != 100 || p99 != 198 {
		t.Errorf("p50 %v, p99 %v, want 100 and 198", p50, p99)
	}
	if p := percentile([]float64{7}, 99); p != 7 {
		t.Errorf("p99 of one value is %v, want 7", p)
	}
}

func TestEachFigureIsItsOwnMedian(t *testing.T) {
	r := medianRow([]row{{TPS: 3, P50us: 10}, {TPS: 1, P50us: 30}, {TPS: 2, P50us: 20}})
	if r.TPS != 2 || r.P50us != 20 {
		t.Errorf("%+v", r)
	}
}

func TestReaderCountsRowsAndBytesAndStopsAtErrors(t *testing.T) {
	message := func(kind byte, body string) string {
		return fmt.Sprintf("%c\x00\x00\x00%c%s", kind, byte(len(body)+4), body)
	}
	answer := message('T', "columns") + message('D', "one") + message('d', "two") + message('C', "tag") + message('Z', "I")
	n, rows, err := drain(bufio.NewReader(strings.NewReader(answer + "rest")))
	if err != nil || rows != 2 || n != int64(len(answer)) {
		t.Errorf("%d bytes, %d rows, error %v; want %d bytes, 2 rows", n, rows, err, len(answer))
	}
	for _, bad := range []string{message('E', "refused"), "D\x00\x00\x00\x01", message('D', "cut")[:6]} {
		if _, _, err := drain(bufio.NewReader(strings.NewReader(bad))); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

func TestUsageOfThisProcessIsSeen(t *testing.T) {
	u, err := usageOf(os.Getpid())
	if err != nil || u.rss == 0 || u.pss == 0 || u.peak < u.rss {
		t.Errorf("%+v, error %v", u, err)
	}
	if u, err := usageOf(0); err != nil || u != (usage{}) {
		t.Errorf("no process: %+v, error %v", u, err)
	}
}

func TestSecondsScaleRoundsAndSessions(t *testing.T) {
	for seconds, want := range map[string][3]int{"1": {1, 1, 200}, "2": {2, 1, 400}, "": {5, 2, 2000}, "60": {5, 12, 2000}} {
		c, err := parse(nil, environment(map[string]string{"BENCH_SECONDS": seconds}))
		if err != nil || [3]int{c.rounds(), c.roundSeconds(), c.idle} != want {
			t.Errorf("BENCH_SECONDS=%s: %d rounds of %d s, %d sessions, error %v; want %v", seconds, c.rounds(), c.roundSeconds(), c.idle, err, want)
		}
	}
	c, err := parse([]string{"-only", "bulk,idle"}, environment(nil))
	if err != nil || c.has(partQueries) || !c.has(partBulk) {
		t.Errorf("-only bulk,idle: error %v, %v", err, c.only)
	}
	if _, err := parse([]string{"-only", "bulk,other"}, environment(nil)); err == nil {
		t.Error("-only bulk,other: accepted")
	}
	for _, bad := range []map[string]string{{"BENCH_SECONDS": "0"}, {"BENCH_SECONDS": "x"}, {"BENCH_IDLE": "-1"}, {"BENCH_SYSTEMS": "direct,other"}} {
		if _, err := parse(nil, environment(bad)); err == nil {
			t.Errorf("%v: accepted", bad)
		}
	}
}

func TestTableComparesWithDirect(t *testing.T) {
	text := table([]row{
		{System: direct, Workload: "select-only", Mode: "simple", Clients: 8, TPS: 1000, P50us: 50},
		{System: sallyport, Workload: "select-only", Mode: "simple", Clients: 8, TPS: 800, P50us: 90, CPUusPerTxn: 31},
		{System: direct, Workload: "copy-1m", Mode: "simple", Clients: 1, TPS: 2, MBps: 200},
		{System: masking, Workload: "copy-1m", Mode: "simple", Clients: 1, TPS: 1.9, MBps: 190},
		{System: sallyport, Workload: "copy-1m", Mode: "simple", Clients: 1, TPS: 1.9, MBps: 190},
		{System: sallyport, Workload: "idle", Clients: 2000, KiBPerSession: 20.5},
	})
	for _, want := range []string{
		"| select-only | simple | 8 | sallyport | 800 | 0.80 | 90 | +40 |", "| copy-1m | sallyport | 190.0 | 0.95 | 1.00 |", "| sallyport | each of 2000 idle sessions | 20.5 KiB |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
}

func TestTheGatewaysConfigurationIsValid(t *testing.T) {
	b := &bed{dir: t.TempDir(), server: &pgserver.Server{Port: 5432}, certFile: "/proxy.crt", keyFile: "/proxy.key"}
	dir := filepath.Join(b.dir, "sallyport")
	port, err := b.writeSallyport(dir, "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := config.LoadProcess(filepath.Join(dir, "sallyport.yaml"), "postgres")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("127.0.0.1:%d", port); p.Listen["postgres"] != want {
		t.Errorf("it listens on %s, want %s", p.Listen["postgres"], want)
	}
	documents, err := os.ReadFile(filepath.Join(dir, "documents", "bench.yaml"))
	if err != nil || bytes.Contains(documents, []byte(dbPassword)) {
		t.Errorf("documents (error %v):\n%s", err, documents)
	}
	checkDocuments(t, documents)
}

// checkDocuments reads the documents as the gateway does.
func checkDocuments(t *testing.T, documents []byte) {
	t.Helper()
	engine, err := policy.New(policy.Options{Facts: map[string]policy.FactsType{"postgres": {Variable: "sql", Type: reflect.TypeFor[struct {
		Unbounded bool `cel:"unbounded"`
	}]()}}})
	if err != nil {
		t.Fatal(err)
	}
	kinds := append(config.Kinds(),
		config.Kind{Name: "Issuer", New: func() any { return new(identity.Issuer) }},
		config.Kind{Name: policy.KindName, New: func() any { return new(policy.Document) }})
	hook := func(s *config.Set) (func(), []error) {
		var issuers []identity.Issuer
		for _, i := range config.Values[identity.Issuer](s) {
			issuers = append(issuers, *i)
		}
		_, errs := engine.Compile(config.Values[policy.Document](s), policy.Known{Attributes: []string{"risk_tier"}, Labels: []string{"card"}})
		if _, err := identity.PrepareIssuers(issuers); err != nil {
			errs = append(errs, err)
		}
		return nil, errs
	}
	store := config.NewStore(config.Options{Folder: t.TempDir(), Kinds: kinds, Hooks: []config.Hook{hook}})
	if _, err := store.Plan("bench.yaml", documents); err != nil {
		t.Error(err)
	}
}
