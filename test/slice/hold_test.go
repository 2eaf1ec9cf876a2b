package slice_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// request is an access request as the command line prints it.
type request struct {
	ID, State string
	Command   struct {
		Text   string
		Params []string
	}
	By struct{ Agent string }
}

var requestID = regexp.MustCompile(`apr_[a-z0-9]+`)

// held waits for the notice of a held command and returns its request.
func (a *agent) held(t *testing.T) string {
	t.Helper()
	select {
	case n := <-a.notices:
		id := requestID.FindString(n.Detail)
		if !strings.Contains(n.Message, "held by rule") || id == "" {
			t.Fatalf("notice %q %q", n.Message, n.Detail)
		}
		return id
	case <-time.After(patience):
		t.Fatal("no notice of the hold")
		return ""
	}
}

// begin runs a statement and gives its error later.
func (a *agent) begin(sql string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := a.run(sql)
		done <- err
	}()
	return done
}

func await(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("the statement was not answered")
		return nil
	}
}

// state is the state of a request.
func (g *gateway) state(t *testing.T, token, id string) string {
	t.Helper()
	var r request
	g.list(t, &r, token, "approvals", "show", id)
	return r.State
}

func status(t *testing.T, w *world, order int) string {
	t.Helper()
	return pgtest.Query(t, w.pg, "shop", fmt.Sprintf("SELECT status FROM orders WHERE id = %d", order))[0][0]
}

// arrivals is a buffer that is read while it is written.
type arrivals struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (a *arrivals) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.b.Write(p)
}

func (a *arrivals) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.b.String()
}

// psql is the real program on a target of the gateway.
func (g *gateway) psql(ctx context.Context, target, token string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "psql", append([]string{"-X", "-v", "VERBOSITY=verbose", g.url(target)}, args...)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+token, "PGSSLMODE=verify-full")
	return cmd
}

func TestPsqlIsToldOfAHoldAtOnceAndRunsWhenAPersonApproves(t *testing.T) {
	w := the(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := w.gw.psql(ctx, "shop", w.token(t, reporter), "-c", "UPDATE orders SET status = 'paid' WHERE id = 1")
	var stdout, stderr arrivals
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "psql prints the notice while it waits", patience, func() bool {
		return strings.Contains(stderr.String(), "NOTICE") && strings.Contains(stderr.String(), "Orders are changed under four eyes") && requestID.MatchString(stderr.String())
	})
	if status(t, w, 1) != "new" || stdout.String() != "" {
		t.Error("the statement ran before it was approved")
	}
	id := requestID.FindString(stderr.String())
	if out := w.gw.must(t, w.person(t, alice), "approvals", "list", "--state", "pending"); !strings.Contains(out, id) || !strings.Contains(out, reporter) {
		t.Errorf("approvals list:\n%s", out)
	}
	if out := w.gw.must(t, w.person(t, alice), "approvals", "show", id); !strings.Contains(out, "'paid'") || !strings.Contains(out, "shop/writes-need-a-person") || !strings.Contains(out, reporter) {
		t.Errorf("approvals show:\n%s", out)
	}
	w.gw.must(t, w.person(t, alice), "approvals", "approve", id, "--comment", "go on")
	if err := cmd.Wait(); err != nil || !strings.Contains(stdout.String(), "UPDATE 1") {
		t.Errorf("psql: %v\n%s%s", err, stdout.String(), stderr.String())
	}
	if status(t, w, 1) != "paid" || w.gw.state(t, w.person(t, alice), id) != "consumed" {
		t.Error("the approved statement did not run, or its grant is not consumed")
	}
}

func TestADeniedStatementDoesNotRun(t *testing.T) {
	w := the(t)
	a := w.gw.connect(t, "shop", w.token(t, reporter))
	const update = "UPDATE orders SET status = 'paid' WHERE id = 2"
	done := a.begin(update)
	id := a.held(t)
	w.gw.must(t, w.person(t, bob), "approvals", "deny", id, "--comment", "not today")
	wantError(t, "denied", await(t, done), "42501", "approval_denied")
	a.refused(t, update, "42501", "approval_denied")
	a.alive(t)
	if status(t, w, 2) != "new" {
		t.Error("a denied statement ran")
	}
	if answered := w.gw.cli(t, w.person(t, alice), "approvals", "approve", id); answered.code != 5 {
		t.Errorf("approve what was denied: exit %d %s", answered.code, answered.err)
	}
}

func TestOnlyOthersWithTheRightGroupApprove(t *testing.T) {
	w := the(t)
	a := w.gw.connect(t, "shop", w.token(t, twin))
	done := a.begin("UPDATE orders SET status = 'paid' WHERE id = 3")
	id := a.held(t)
	for name, token := range map[string]string{
		"the agent that asks": w.token(t, twin), "another agent": w.token(t, support), "nobody": "",
		"the subject itself, as a person": w.person(t, twin), "a person of no group": w.person(t, carol),
	} {
		if answered := w.gw.cli(t, token, "approvals", "approve", id); answered.code != 3 {
			t.Errorf("%s approves: exit %d %s%s", name, answered.code, answered.out, answered.err)
		}
	}
	if got := w.gw.state(t, w.person(t, alice), id); got != "pending" {
		t.Fatalf("the request is %s", got)
	}
	w.gw.must(t, w.person(t, alice), "approvals", "approve", id)
	if err := await(t, done); err != nil {
		t.Error(describe(err))
	}
}

func TestAHeldStatementIsNotWaitedForInATransaction(t *testing.T) {
	w := the(t)
	a := w.gw.connect(t, "shop", w.token(t, reporter))
	a.want(t, "BEGIN")
	began := time.Now()
	e := a.refused(t, "UPDATE orders SET status = 'paid' WHERE id = 4", "42501", "approval_required")
	if !strings.Contains(e.Hint, "transaction") || requestID.FindString(e.Detail) == "" || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: detail %q, hint %q", time.Since(began), e.Detail, e.Hint)
	}
	a.refused(t, "SELECT 1", "25P02", "aborted")
	a.want(t, "ROLLBACK")
	w.gw.must(t, w.person(t, alice), "approvals", "approve", requestID.FindString(e.Detail))
	a.want(t, "BEGIN")
	a.want(t, "UPDATE orders SET status = 'paid' WHERE id = 4")
	a.want(t, "COMMIT")
	if status(t, w, 4) != "paid" {
		t.Error("the approved statement did not run in a transaction")
	}
}

func TestCancellingAHeldStatementWithdrawsIt(t *testing.T) {
	w := the(t)
	a := w.gw.connect(t, "shop", w.token(t, reporter))
	done := a.begin("UPDATE orders SET status = 'paid' WHERE id = 5")
	id := a.held(t)
	if err := a.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantError(t, "cancelled", await(t, done), "57014", "withdrawn")
	a.alive(t)
	withdrawn(t, w, id, 5)
}

func TestLeavingWithdrawsAHeldStatement(t *testing.T) {
	w := the(t)
	a := w.gw.connect(t, "shop", w.token(t, reporter))
	done := a.begin("UPDATE orders SET status = 'paid' WHERE id = 6")
	id := a.held(t)
	_ = a.PgConn().Conn().Close()
	await(t, done)
	withdrawn(t, w, id, 6)
}

// withdrawn checks that nobody can approve the request any more, and that nothing
// has run.
func withdrawn(t *testing.T, w *world, id string, order int) {
	t.Helper()
	if a := w.gw.cli(t, w.person(t, alice), "approvals", "approve", id); a.code != 5 {
		t.Errorf("a withdrawn request was approved: %+v", a)
	}
	w.gw.connect(t, "shop", w.token(t, reporter)).alive(t)
	if status(t, w, order) != "new" {
		t.Error("a withdrawn statement ran")
	}
}

// impatient is a gateway that waits one second for a person.
func impatient(t *testing.T, w *world) *gateway {
	t.Helper()
	return startGateway(t, w, settings{process: "hold: 1s\n", documents: map[string]string{
		"issuers.yaml": issuers(w.idp.URL),
		"targets.yaml": w.target("shop", "shop", "env: prod") + credential + shopLabels,
		"shop.yaml":    shopPolicy,
		"brief.yaml": `kind: Policy
name: brief
protocol: postgres
rules:
  - name: two-seconds
    when: sql.written == ["public.wide"]
    then: hold
    approvers: {groups: [dba], within: 2s}
`,
	}})
}

// required runs what must be answered with approval_required, and returns the
// request.
func required(t *testing.T, err error) string {
	t.Helper()
	e := wantError(t, "held", err, "42501", "approval_required")
	id := requestID.FindString(e.Detail)
	if id == "" || !strings.Contains(e.Detail, "status=pending") || !strings.Contains(e.Hint, "identical statement") {
		t.Fatalf("detail %q, hint %q", e.Detail, e.Hint)
	}
	return id
}

func TestAGrantIsForTheIdenticalCommandOnce(t *testing.T) {
	w := the(t)
	g := impatient(t, w)
	dba := w.person(t, alice)
	a := g.connect(t, "shop", w.token(t, reporter))
	update := func(state, order string) error {
		_, err := a.PgConn().ExecParams(t.Context(), "UPDATE orders SET status = $1 WHERE id = $2::int", [][]byte{[]byte(state), []byte(order)}, nil, nil, nil).Close()
		return err
	}
	first := required(t, update("paid", "11"))
	if again := required(t, update("paid", "11")); again != first {
		t.Errorf("the identical command made request %s beside %s", again, first)
	}
	g.must(t, dba, "approvals", "approve", first)
	if other := required(t, update("paid", "12")); other == first {
		t.Error("a changed parameter used the grant of another command")
	}
	if other := required(t, update("void", "11")); other == first {
		t.Error("another changed parameter used the grant of another command")
	}
	if _, err := a.run("UPDATE orders SET status = 'paid' WHERE id = 11"); required(t, err) == first {
		t.Error("another text used the grant")
	}
	b := g.connect(t, "shop", w.token(t, "mobile-agent"))
	if _, err := b.PgConn().ExecParams(t.Context(), "UPDATE orders SET status = $1 WHERE id = $2::int", [][]byte{[]byte("paid"), []byte("11")}, nil, nil, nil).Close(); required(t, err) == first {
		t.Error("another agent used the grant")
	}
	if err := update("paid", "11"); err != nil {
		t.Fatalf("the approved command: %s", describe(err))
	}
	if second := required(t, update("paid", "11")); second == first {
		t.Error("the grant was used twice")
	}
	if status(t, w, 11) != "paid" || status(t, w, 12) != "new" {
		t.Error("not exactly the approved command ran")
	}
}

func TestARequestAndAGrantExpire(t *testing.T) {
	w := the(t)
	g := impatient(t, w)
	dba := w.person(t, alice)
	a := g.connect(t, "shop", w.token(t, reporter))
	const statement = "UPDATE wide SET filler = 'y' WHERE id = 1"
	_, err := a.run(statement)
	first := required(t, err)
	eventually(t, "the request expires", patience, func() bool { return g.state(t, dba, first) == "expired" })
	if answered := g.cli(t, dba, "approvals", "approve", first); answered.code != 5 {
		t.Errorf("approve what expired: exit %d %s%s", answered.code, answered.out, answered.err)
	}
	_, err = a.run(statement)
	second := required(t, err)
	if second == first {
		t.Error("an expired request was used again")
	}
	g.must(t, dba, "approvals", "approve", second)
	eventually(t, "the grant expires", patience, func() bool { return g.state(t, dba, second) == "expired" })
	if _, err = a.run(statement); required(t, err) == second {
		t.Error("an expired grant was used")
	}
}

func TestAHoldInTheExtendedProtocolGoesOnAfterTheApproval(t *testing.T) {
	w := the(t)
	a := w.gw.connect(t, "shop", w.token(t, reporter))
	done := make(chan error, 1)
	var tag pgconn.CommandTag
	go func() {
		var err error
		tag, err = a.Exec(context.Background(), "UPDATE orders SET status = $1 WHERE id = $2", "paid", 7)
		done <- err
	}()
	id := a.held(t)
	var r request
	w.gw.list(t, &r, w.person(t, alice), "approvals", "show", id)
	if len(r.Command.Params) != 2 || r.Command.Params[0] != "'paid'" {
		t.Errorf("the approver sees parameters %q", r.Command.Params)
	}
	w.gw.must(t, w.person(t, alice), "approvals", "approve", id)
	if err := await(t, done); err != nil || tag.String() != "UPDATE 1" {
		t.Errorf("%s, tag %q", describe(err), tag)
	}
	a.alive(t)
}
