package slice_test

import (
	"encoding/base64"
	"encoding/hex"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// configGateway is a gateway whose documents tests change.
func configGateway(t *testing.T, w *world) *gateway {
	t.Helper()
	return newGateway(t, w, settings{documents: map[string]string{
		"issuers.yaml": issuers(w.idp.URL),
		"targets.yaml": w.target("shop", "shop", "env: prod") + credential + shopLabels,
		"shop.yaml":    shopPolicy,
	}})
}

// The changes: one with a mistake on line 7, and one that blocks reads.
const (
	badPolicy = `kind: Policy
name: extra
protocol: postgres
rules:
  - name: reads-stop
    then: block
    when: command.effects == ["raed"]
    message: No reads today.
`
	goodPolicy = `kind: Policy
name: extra
protocol: postgres
rules:
  - name: reads-stop
    then: block
    when: command.effects == ["read"] && sql.tables.exists(t, t == "public.customers")
    message: No reads today.
`
)

const readsCustomers = "SELECT id FROM customers ORDER BY id"

func TestABadDocumentChangesNothingAndAGoodOneActsOnLiveSessions(t *testing.T) {
	w := the(t)
	g := configGateway(t, w)
	dba := w.person(t, alice)
	config := filepath.Join(g.dir, "sallyport.yaml")
	if out := g.must(t, "", "check", "--config", config); !strings.Contains(out, "are valid") {
		t.Errorf("check: %s", out)
	}
	g.start(t)
	a := g.connect(t, "shop", w.token(t, reporter))
	a.want(t, readsCustomers, "1", "2")

	bad := filepath.Join(g.dir, "bad.yaml")
	g.write(t, "bad.yaml", badPolicy)
	applied := g.cli(t, dba, "apply", "-f", bad)
	if applied.code != 6 || !strings.Contains(applied.err, "bad.yaml:7:") || !strings.Contains(applied.err, "raed") {
		t.Errorf("apply of a bad document: exit %d\n%s", applied.code, applied.err)
	}
	a.want(t, readsCustomers, "1", "2")

	g.write(t, "documents/extra.yaml", badPolicy)
	checked := g.cli(t, "", "check", "--config", config)
	if checked.code == 0 || !strings.Contains(checked.err, "extra.yaml:7:") {
		t.Errorf("check of a bad document: exit %d\n%s", checked.code, checked.err)
	}
	eventually(t, "the log tells of the bad document", patience, func() bool { return strings.Contains(g.log(), "extra.yaml:7:") })
	a.want(t, readsCustomers, "1", "2")
	a.refused(t, "DROP TABLE orders", "42501", "no-destructive-ddl")

	g.write(t, "documents/extra.yaml", goodPolicy)
	eventually(t, "the good document acts on the live session", patience, func() bool {
		_, err := a.run(readsCustomers)
		return pgError(err) != nil && strings.Contains(pgError(err).Message, "No reads today")
	})
	a.alive(t)

	g.write(t, "good.yaml", strings.Replace(goodPolicy, "No reads today", "No reads tomorrow", 1))
	if out := g.must(t, dba, "apply", "-f", filepath.Join(g.dir, "good.yaml"), "--dry-run"); !strings.Contains(out, "extra") {
		t.Errorf("dry run: %s", out)
	}
	a.refused(t, readsCustomers, "42501", "No reads today")
	g.must(t, dba, "apply", "-f", filepath.Join(g.dir, "good.yaml"))
	a.refused(t, readsCustomers, "42501", "No reads tomorrow")
	if refused := g.cli(t, w.person(t, carol), "apply", "-f", filepath.Join(g.dir, "good.yaml")); refused.code != 3 {
		t.Errorf("a person without the role applies: exit %d", refused.code)
	}

	if out := g.must(t, dba, "documents", "list"); !strings.Contains(out, "extra.yaml") {
		t.Errorf("documents list printed\n%s", out)
	}
	if out := g.must(t, dba, "documents", "remove", "Policy", "extra", "--dry-run"); !strings.Contains(out, "removed Policy extra") {
		t.Errorf("dry run of a removal printed\n%s", out)
	}
	a.refused(t, readsCustomers, "42501", "No reads tomorrow")
	if refused := g.cli(t, w.person(t, carol), "documents", "remove", "Policy", "extra"); refused.code != 3 {
		t.Errorf("a person without the role removes: exit %d", refused.code)
	}
	if needed := g.cli(t, dba, "documents", "remove", "Credential", "slice"); needed.code != 6 || !strings.Contains(needed.err, "slice") {
		t.Errorf("removing what a target needs: exit %d\n%s", needed.code, needed.err)
	}
	g.must(t, dba, "documents", "remove", "Policy", "extra")
	a.want(t, readsCustomers, "1", "2")
	if gone := g.cli(t, dba, "documents", "remove", "Policy", "extra"); gone.code != 4 {
		t.Errorf("removing twice: exit %d\n%s", gone.code, gone.err)
	}
}

// TestWhatWasPreparedFollowsTheMasksInForce changes a mask under open sessions.
func TestWhatWasPreparedFollowsTheMasksInForce(t *testing.T) {
	w := the(t)
	g := startGateway(t, w, settings{documents: map[string]string{
		"issuers.yaml": issuers(w.idp.URL),
		"targets.yaml": w.target("shop", "shop", "env: prod") + credential + shopLabels,
		"mask.yaml":    maskPolicy("email"),
	}})
	prepared, portal := bareThrough(t, g, "shop", w.token(t, reporter)), bareThrough(t, g, "shop", w.token(t, reporter))
	prepared.send(mParse("s", "SELECT email FROM customers WHERE id = 1"), mBind("", "s"), mExecute("", 0), mSync())
	if got := prepared.until("Z"); !strings.Contains(got, `D["a`) {
		t.Fatal(got)
	}
	portal.send(mQuery("BEGIN"))
	portal.until("Z")
	portal.send(mParse("", "SELECT email FROM customers ORDER BY id"), mBind("p", ""), mExecute("p", 1), mSync())
	if got := portal.until("Z"); !strings.Contains(got, `D["a`) {
		t.Fatal(got)
	}
	g.write(t, "mask.yaml", maskPolicy("redact"))
	g.must(t, w.person(t, alice), "apply", "-f", filepath.Join(g.dir, "mask.yaml"))
	prepared.send(mBind("", "s"), mExecute("", 0), mSync())
	if got := prepared.until("Z"); got != "E(ERROR 42501) Z(I)" {
		t.Errorf("a statement that was prepared under another mask: %s", got)
	}
	prepared.send(mClose('S', "s"), mParse("s", "SELECT email FROM customers WHERE id = 1"), mBind("", "s"), mExecute("", 0), mSync())
	if got := prepared.until("Z"); !strings.Contains(got, `D["[redacted]"]`) {
		t.Errorf("prepared again: %s", got)
	}
	portal.send(mExecute("p", 1), mSync())
	if got := portal.until("Z"); got != "E(ERROR 42501) Z(E)" {
		t.Errorf("a portal that was bound under another mask: %s", got)
	}
}

func maskPolicy(mask string) string {
	return "kind: Policy\nname: mask\nrules:\n  - {name: reads, when: 'command.effects.all(e, e == \"read\")', then: allow, mask: {pii: " + mask + "}}\n"
}

// TestSecretsAreNowhereInClear runs with a sealed credential and looks for it, and
// for tokens, in everything that the gateway has written.
func TestSecretsAreNowhereInClear(t *testing.T) {
	w := the(t)
	const sealed = "sealed-canary-3b8c2d"
	pgtest.Query(t, w.pg, "shop", "DROP ROLE IF EXISTS vaulted; CREATE ROLE vaulted LOGIN PASSWORD '"+sealed+"'; GRANT SELECT ON orders TO vaulted")
	g := newGateway(t, w, settings{process: "log: {level: debug}\n", documents: map[string]string{
		"issuers.yaml": issuers(w.idp.URL) + forgerIssuer(w.forger.URL()),
		"targets.yaml": targetAt("sealed", w.pg.Address(), "shop", "vaulted", "mode: verify-full, ca: "+w.pg.CAFile) +
			targetAt("unsealed", w.pg.Address(), "shop", "missing", "mode: verify-full, ca: "+w.pg.CAFile) +
			w.target("open", "shop", "env: test") + credential +
			"kind: Credential\nname: vaulted\nusername: vaulted\nsealed: vaulted\n---\nkind: Credential\nname: missing\nusername: vaulted\nsealed: missing\n---\n" + openPolicy,
	}})
	config := filepath.Join(g.dir, "sallyport.yaml")
	if set := g.cliInput(t, "", sealed+"\n", "credential", "set", "vaulted", "--username", "vaulted", "--config", config); set.code != 0 {
		t.Fatalf("credential set: %s%s", set.out, set.err)
	}
	g.start(t)
	token, stale := w.idp.Token(reporter), w.token(t, stranger)
	a := g.connect(t, "sealed", token)
	a.want(t, "SELECT status FROM orders WHERE id = 50", "new")
	a.refused(t, "DROP TABLE orders", "42501", "")
	a.refused(t, "SELECT nonsense", "42703", "")
	g.connect(t, "open", token).alive(t)
	var told strings.Builder
	for _, target := range []string{"sealed", "unsealed", "open"} {
		for _, token := range []string{stale, password, sealed, token + "x"} {
			_, err := g.tryConnect(target, token)
			told.WriteString(describe(err))
		}
	}
	_, err := g.tryConnect("unsealed", token)
	told.WriteString(describe(err))
	g.must(t, w.person(t, alice), "sessions", "list")
	g.cli(t, token, "sessions", "list")
	told.WriteString(g.must(t, "", "credential", "list", "--config", config))
	status, text := g.call(t, "GET", "/v1/documents", w.person(t, alice), "")
	if status != 200 {
		t.Errorf("GET /v1/documents: %d", status)
	}
	told.WriteString(text)
	a.leave()
	g.stop(t)
	keyMode(t, g)

	written := files(t, filepath.Join(g.dir, "data"))
	written["the log"], written["what was answered"] = g.log(), told.String()
	if len(written) < 5 {
		t.Errorf("only %d files", len(written))
	}
	for name, secret := range map[string]string{
		"the password": password, "the sealed password": sealed, "the agent's token": token, "its signature": token[strings.LastIndexByte(token, '.')+1:],
		"a refused token": stale, "the person's token": w.person(t, alice),
	} {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))} {
			for path, content := range written {
				if strings.Contains(content, form) {
					t.Errorf("%s is in %s", name, path)
				}
			}
		}
	}
	for path, content := range files(t, filepath.Join(w.gw.dir, "data")) {
		if strings.Contains(content, password) || strings.Contains(content, w.token(t, reporter)) {
			t.Errorf("a secret is in %s", path)
		}
	}
}

func TestAGatewayDoesNotStartWithABadDocument(t *testing.T) {
	w := the(t)
	g := configGateway(t, w)
	g.write(t, "documents/bad.yaml", badPolicy+"tests: {}\n---\nkind: Tarjet\nname: x\n")
	cmd := exec.Command(g.program, "serve", "--config", filepath.Join(g.dir, "sallyport.yaml"))
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "bad.yaml:") || !strings.Contains(string(out), "did you mean") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSessionsOfAnIssuerThatIsTakenOutEnd: nobody vouches for their agents any more.
func TestSessionsOfAnIssuerThatIsTakenOutEnd(t *testing.T) {
	w := the(t)
	both := issuers(w.idp.URL)
	_, people, found := strings.Cut(both, "---\n")
	if !found {
		t.Fatal(both)
	}
	g := startGateway(t, w, settings{documents: map[string]string{"issuers.yaml": both, "targets.yaml": w.target("vouched", "shop", "env: test") + credential + openPolicy}})
	a := g.connect(t, "vouched", w.token(t, reporter))
	a.alive(t)
	g.write(t, "documents/issuers.yaml", people)
	eventually(t, "the session ends", patience, func() bool {
		_, err := a.run("SELECT 1")
		return err != nil
	})
	if _, err := g.tryConnect("vouched", w.token(t, reporter)); err == nil {
		t.Error("a token of that issuer still lets in")
	}
	g.write(t, "documents/issuers.yaml", both)
	eventually(t, "the issuer is back", patience, func() bool {
		b, err := g.tryConnect("vouched", w.token(t, reporter))
		if err == nil {
			b.alive(t)
			b.leave()
		}
		return err == nil
	})
}

// TestSessionsEndWhenTheirIssuerIsNarrowed: who is not among its agents any more is out, and
// who still is connects again.
func TestSessionsEndWhenTheirIssuerIsNarrowed(t *testing.T) {
	w := the(t)
	wide := issuers(w.idp.URL)
	narrow := strings.Replace(wide, "[reporting-agent, support-agent, ", "[support-agent, ", 1)
	if narrow == wide {
		t.Fatal(wide)
	}
	g := startGateway(t, w, settings{documents: map[string]string{"issuers.yaml": wide, "targets.yaml": w.target("narrowed", "shop", "env: test") + credential + openPolicy}})
	a := g.connect(t, "narrowed", w.token(t, reporter))
	a.alive(t)
	g.write(t, "documents/issuers.yaml", narrow)
	eventually(t, "the session ends", patience, func() bool {
		_, err := a.run("SELECT 1")
		return err != nil
	})
	if _, err := g.tryConnect("narrowed", w.token(t, reporter)); err == nil {
		t.Error("an agent that was taken out is let in")
	}
	b := g.connect(t, "narrowed", w.token(t, support))
	b.alive(t)
	b.leave()
}
