package slice_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/pgtest"
)

// twins are two targets whose databases differ in the labelled values alone:
// what an agent is told must be equal, byte for byte.
type twins struct {
	t     *testing.T
	w     *world
	gw    *gateway
	names [2]string
}

// twinned describes a pair of databases.
type twinned struct {
	// schema makes the first; secrets changes the labelled values of the second.
	schema, secrets string
	// labels are the columns of a Labels document, functions the lines of a
	// Functions document.
	labels, functions string
	// rules are those of the policy.
	rules string
}

func startTwins(t *testing.T, name string, d twinned) *twins {
	t.Helper()
	w := the(t)
	p := &twins{t: t, w: w, names: [2]string{name, name + "_twin"}}
	for _, db := range p.names {
		pgtest.Query(t, w.pg, "", "DROP DATABASE IF EXISTS "+db+" WITH (FORCE)")
	}
	pgtest.Query(t, w.pg, "", "CREATE DATABASE "+p.names[0])
	pgtest.Query(t, w.pg, p.names[0], d.schema+"; GRANT USAGE ON SCHEMA public TO agent; GRANT ALL ON ALL TABLES IN SCHEMA public TO agent; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO agent; GRANT TEMPORARY ON DATABASE "+p.names[0]+" TO agent")
	pgtest.Query(t, w.pg, "", "CREATE DATABASE "+p.names[1]+" TEMPLATE "+p.names[0])
	pgtest.Query(t, w.pg, "", "GRANT TEMPORARY ON DATABASE "+p.names[1]+" TO agent")
	pgtest.Query(t, w.pg, p.names[1], d.secrets)
	for _, db := range p.names {
		pgtest.Query(t, w.pg, db, "ANALYZE")
	}
	var docs strings.Builder
	for _, db := range p.names {
		docs.WriteString(w.target(db, db, "env: "+name))
		if d.labels != "" {
			fmt.Fprintf(&docs, "kind: Labels\ntarget: %s\ncolumns:\n%s---\n", db, d.labels)
		}
		if d.functions != "" {
			fmt.Fprintf(&docs, "kind: Functions\ntarget: %s\nfunctions:\n%s---\n", db, d.functions)
		}
	}
	fmt.Fprintf(&docs, "kind: Policy\nname: twins\nprotocol: postgres\non: target.labels.env == %q\nrules:\n%s", name, d.rules)
	p.gw = startGateway(t, w, settings{documents: map[string]string{
		"issuers.yaml": issuers(w.idp.URL), "targets.yaml": credential + docs.String(),
	}})
	return p
}

// answersAsWithout plays steps through the gateway and without it, with what an
// administrator does before the last three of them, and fails the test unless what read
// leaves of the answers is equal, and a statement is kept as wanted.
func (p *twins) answersAsWithout(t *testing.T, steps []step, admin string, kept bool, read func(string) string) {
	t.Helper()
	var answers [2][]string
	for i, b := range []*bare{bareThrough(t, p.gw, p.names[0], p.w.token(t, "mobile-agent")), bareDirect(t, p.w, p.names[0])} {
		for n, s := range steps {
			if admin != "" && n == len(steps)-3 {
				pgtest.Query(t, p.w.pg, p.names[0], admin)
			}
			answers[i] = append(answers[i], converse(b, []step{s})...)
		}
		if i == 0 {
			expectTwins(b, false, kept)
		}
	}
	for n, s := range steps {
		if strings.Contains(fmt.Sprintf("%s", s.send), "DROP TABLE") {
			continue // it is refused, and by the server for another reason
		}
		if read(answers[0][n]) != read(answers[1][n]) {
			t.Errorf("%q\nthrough %s\ndirect  %s", s.send, answers[0][n], answers[1][n])
		}
	}
}

// play sends the same to both and returns what the first has answered. It fails
// the test if the second has answered anything else.
func (p *twins) play(steps []step) []string {
	p.t.Helper()
	var answers [2][]string
	for i, name := range p.names {
		b := bareThrough(p.t, p.gw, name, p.w.token(p.t, "mobile-agent"))
		for _, s := range steps {
			b.send(s.send...)
			answers[i] = append(answers[i], withoutTables(b.whole()))
		}
	}
	for i := range steps {
		if answers[0][i] != answers[1][i] {
			p.t.Errorf("%s\nis answered differently:\n%s\n%s", steps[i].send, answers[0][i], answers[1][i])
		}
	}
	return answers[0]
}

// rowDescription is RowDescription as show writes it.
var rowDescription = regexp.MustCompile(`T\(([0-9a-f]*)\)`)

// withoutTables leaves the OIDs of tables out of an answer: those of temporary
// tables come from a counter of the whole server.
func withoutTables(answer string) string {
	return rowDescription.ReplaceAllStringFunc(answer, func(t string) string {
		body, err := hex.DecodeString(t[2 : len(t)-1])
		if err != nil || len(body) < 2 {
			return t
		}
		for at := 2; at < len(body); {
			at += bytes.IndexByte(body[at:], 0) + 1
			clear(body[at : at+4])
			at += 18
		}
		return "T(" + hex.EncodeToString(body) + ")"
	})
}

// queries are steps of one Query message each.
func queries(texts ...string) []step {
	var steps []step
	for _, text := range texts {
		steps = append(steps, send("Z", mQuery(text)))
	}
	return steps
}
