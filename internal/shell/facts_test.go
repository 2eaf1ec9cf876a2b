package shell

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

func TestEffectsAndFactsOfLines(t *testing.T) {
	b := newBed(t)
	for _, c := range []struct {
		line    string
		effects string
		check   func(*Command) bool
	}{
		{"cat app/README.md data/l1.txt | wc -l", "read", func(c *Command) bool {
			return slices.Equal(c.Facts.Programs, []string{"cat", "wc"}) && slices.Equal(c.Facts.Argv, []string{"cat app/README.md data/l1.txt", "wc -l"}) &&
				slices.Equal(c.Facts.Reads, []string{b.home + "/app/README.md", b.home + "/data/l1.txt"}) && !c.Stdin
		}},
		{"wc -l", "read", func(c *Command) bool { return c.Stdin }},
		{"cat - data/l1.txt", "read", func(c *Command) bool { return c.Stdin }},
		{"cat links/report.txt", "read", func(c *Command) bool {
			return slices.Equal(c.Labels, []string{"secret"}) && slices.Equal(c.Facts.Reads, []string{b.home + "/secret/token.txt"})
		}},
		{"echo x > outbox/new", "read,write", func(c *Command) bool { return slices.Equal(c.Facts.Writes, []string{b.home + "/outbox/new"}) }},
		{"rm canary/v1.txt", "delete", func(c *Command) bool { return slices.Equal(c.Facts.Writes, []string{b.home + "/canary/v1.txt"}) }},
		{"rm -r .", "delete", func(c *Command) bool { return slices.Equal(c.Labels, []string{"secret"}) }},
		{"cp app/README.md outbox/", "read,write,delete", func(c *Command) bool { return slices.Contains(c.Facts.Writes, b.home+"/outbox") }},
		{"ln app/README.md outbox/c", "read,write,delete", func(c *Command) bool { return slices.Contains(c.Facts.Writes, b.home+"/app/README.md") }},
		{"ln -s app/README.md outbox/c", "read,write,delete", func(c *Command) bool { return slices.Equal(c.Facts.Writes, []string{b.home + "/outbox/c"}) }},
		{"mkdir outbox/d && touch outbox/d/f", "write", nil},
		{"chmod 600 canary/v1.txt", "write,delete", nil},
		{"chmod 600 links/report.txt", "write,delete", func(c *Command) bool {
			return slices.Equal(c.Labels, []string{"secret"}) && slices.Equal(c.Facts.Writes, []string{b.home + "/links/report.txt", b.home + "/secret/token.txt"})
		}},
		{"chown -R shx links/report.txt", "write,delete,admin", func(c *Command) bool {
			return slices.Equal(c.Labels, []string{"secret"}) && slices.Equal(c.Facts.Writes, []string{b.home + "/links/report.txt", b.home + "/secret/token.txt"})
		}},
		{"sed -i s/a/b/ canary/v1.txt", "unknown", nil},
		{"systemctl restart nginx", "admin", func(c *Command) bool { return c.Text == "systemctl --no-pager restart nginx" }},
		{"systemctl status nginx", "read", nil},
		{"kill -9 12345", "admin", nil},
		{"docker restart web", "admin", nil},
		{"docker ps -a", "read", nil},
		{"kubectl -n prod get pods -o wide", "read", nil},
		{"kubectl delete pod x", "admin", nil},
		{"tar xf data/bundle.tar", "read,write,delete", nil},
		{"tar cf outbox/b.tar app", "read,write", func(c *Command) bool { return slices.Equal(c.Facts.Writes, []string{b.home + "/outbox/b.tar"}) }},
		{"dd if=data/l1.txt of=outbox/x", "read,write", nil},
		{"gzip data/l1.txt", "read,write,delete", nil},
		{"curl -s https://example.test/health", "tunnel", func(c *Command) bool {
			return slices.Equal(c.Facts.Hosts, []string{"GET example.test:443"}) && strings.HasPrefix(c.Text, "curl -q -g ")
		}},
		{"curl -sI http://127.0.0.1:8080/", "tunnel", func(c *Command) bool { return slices.Equal(c.Facts.Hosts, []string{"HEAD 127.0.0.1:8080"}) }},
		{"nc -zu -w 1 db.test 53", "tunnel", func(c *Command) bool { return slices.Equal(c.Facts.Hosts, []string{"UDP db.test:53"}) }},
		{"ping -c 1 db.test", "tunnel", func(c *Command) bool { return slices.Equal(c.Facts.Hosts, []string{"PING db.test"}) }},
		{"dig @10.0.0.1 db.test AAAA +short", "tunnel", func(c *Command) bool {
			return slices.Equal(c.Facts.Hosts, []string{"DNS 10.0.0.1:53", "DNS db.test"}) && c.Text == "dig -r @10.0.0.1 db.test AAAA +short"
		}},
		{"host db.test 10.0.0.1", "tunnel", func(c *Command) bool { return slices.Equal(c.Facts.Hosts, []string{"DNS db.test", "DNS 10.0.0.1:53"}) }},
		{"openssl s_client -connect db.test:443 </dev/null", "read,tunnel", func(c *Command) bool { return slices.Equal(c.Facts.Hosts, []string{"TLS db.test:443"}) }},
		{"redis-cli info", "tunnel", func(c *Command) bool { return slices.Equal(c.Facts.Hosts, []string{"REDIS localhost:6379"}) }},
		{"redis-cli info -h db.test", "unknown", nil},
		{"mtr -rw -c 1 db.test other.test", "unknown", nil},
		{"pg_isready -h db.test", "tunnel", func(c *Command) bool { return slices.Equal(c.Facts.Hosts, []string{"POSTGRES db.test:5432"}) }},
		{"mysqladmin -h db.test status", "tunnel", func(c *Command) bool { return slices.Equal(c.Facts.Hosts, []string{"MYSQL db.test:3306"}) }},
		{"sudo journalctl -u app", "read,admin", func(c *Command) bool { return c.Text == "sudo -n journalctl --no-pager -u app" }},
		{"sudo cat app/README.md", "unknown", nil},
		{"python3 -m json.tool app/config.json", "read", func(c *Command) bool {
			return c.Text == "python3 -I -m json.tool app/config.json" && slices.Equal(c.Facts.Reads, []string{b.home + "/app/config.json"})
		}},
		{"env GOTOOLCHAIN=local env -i go version", "read", func(c *Command) bool {
			return c.Text == "env 'GOTOOLCHAIN=local' env -i env 'GOTOOLCHAIN=local' 'XDG_CONFIG_HOME=/dev/null' go version"
		}},
		{"env GOTOOLCHAIN=local sudo go version", "read,admin", func(c *Command) bool {
			return c.Text == "env 'GOTOOLCHAIN=local' sudo -n env 'GOTOOLCHAIN=local' 'XDG_CONFIG_HOME=/dev/null' go version"
		}},
		{"timeout 5 go version", "read", func(c *Command) bool {
			return c.Text == "timeout 5 env 'GOTOOLCHAIN=local' 'XDG_CONFIG_HOME=/dev/null' go version"
		}},
		{"timeout 5 top -bn1", "read", func(c *Command) bool { return c.Text == "timeout 5 env 'XDG_CONFIG_HOME=/dev/null' top -b -bn1" }},
		{"java -version", "read", func(c *Command) bool { return c.Text == "java -XX:-UsePerfData -version" }},
		{"kubectl get pods", "read", func(c *Command) bool { return c.Text == "kubectl '--cache-dir=/dev/null' get pods" }},
		{"helm list", "read", func(c *Command) bool { return c.Text == "env 'KUBECACHEDIR=/dev/null' helm list" }},
		{"docker ps -q | xargs docker inspect", "read", func(c *Command) bool { return c.Text == "docker ps -q | xargs docker inspect --" }},
		{"psql -h db -d shop -c 'select 1'", "read,unknown", func(c *Command) bool {
			return len(c.SQL) == 1 && c.SQL[0] == Statement{Program: "psql", Host: "db", Port: "5432", Database: "shop", Text: "select 1"} &&
				c.Judged(gate.EffectRead) == gate.EffectRead && c.Judged(gate.EffectWrite) == gate.EffectRead|gate.EffectWrite &&
				c.Judged(0).Has(gate.EffectUnknown) && len(c.Unknown) == 0 && strings.HasPrefix(c.Text, "psql -X ")
		}},
		{"nosuchprogram --x", "unknown", func(c *Command) bool {
			return len(c.Unknown) == 1 && strings.Contains(c.Unknown[0].String(), "nosuchprogram")
		}},
		{"ls --no-such-option", "unknown", func(c *Command) bool { return strings.Contains(c.Unknown[0].String(), "--no-such-option") }},
		{"f() { ls; }; f", "read", func(c *Command) bool { return slices.Contains(c.Facts.Programs, "ls") && c.Text == ":; { { ls; }; }" }},
		{"f() { rm \"$1\"; }; f canary/v1.txt", "read,delete", nil},
		{"f() { f; }; f", "unknown", func(c *Command) bool { return strings.Contains(c.Unknown[0].String(), "function") }},
		{"for x in a; do f() { ls; }; f; done", "unknown", func(c *Command) bool { return strings.Contains(c.Unknown[0].String(), "function") }},
	} {
		cmd, err := b.settle(t, c.line, Bash)
		if err != nil {
			t.Errorf("%q: %v", c.line, err)
			continue
		}
		if got := cmd.Effects.String(); got != c.effects && !(c.effects == "unknown" && cmd.Effects.Has(gate.EffectUnknown)) {
			t.Errorf("%q: effects %s, want %s", c.line, got, c.effects)
		}
		if c.check != nil && !c.check(cmd) {
			t.Errorf("%q: %+v", c.line, cmd)
		}
	}
}

// TestWithoutTheHostNothingIsKnown: a plan whose questions could not be asked is
// unknown, and answers to other questions are refused.
// TestWritesToFoundFilesAreUnknown: a rule that holds for every file that is written
// would hold for a line that names none.
func TestWritesToFoundFilesAreUnknown(t *testing.T) {
	b := newBed(t)
	for _, line := range []string{
		"find data -name l1.txt | xargs touch",
		"find data -name l1.txt -exec touch {} +",
		"find data -name l1.txt -exec cp app/README.md {} \\;",
		"find data -name l1.txt | while read -r f; do touch \"$f\"; done",
		"for f in $(find data -name l1.txt); do echo > \"$f\"; done",
	} {
		cmd, err := b.settle(t, line, Bash)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if cmd.Effects&gate.EffectUnknown == 0 && len(cmd.Facts.Writes) == 0 {
			t.Errorf("%s: effects %s, and no file is written", line, cmd.Effects)
		}
	}
}

func TestWithoutTheHostNothingIsKnown(t *testing.T) {
	p, err := Analyse([]byte("cat app/README.md"), Bash, Programs())
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Settle(nil)
	if err != nil || !c.Effects.Has(gate.EffectUnknown) {
		t.Errorf("effects %v, error %v", c.Effects, err)
	}
}

// TestZshLinesAreReadWithFewerForms: what zsh would evaluate is unknown there.
func TestZshLinesAreReadWithFewerForms(t *testing.T) {
	b := newBed(t)
	for line, allowed := range map[string]bool{
		"ls app | wc -l": true, "grep -c ERROR logs/app.log": true, "for f in app/src/*.py; do wc -l \"$f\"; done": true,
		"n=$(cat data/l1.txt); [ $n -gt 1 ]": false, "< data/l1.txt": false, "path=x": false, "printf %d \"$(cat data/l1.txt)\"": false,
		"set -f; echo *": false, "set -eu; cat data/l1.txt": true, "ls *(e:'touch outbox/pwned':)": false,
		"printf %d a": false, "printf '%s %d' x 5": true, "read -p x y; echo $y": false, "read -r y; echo $y": true, "echo ${(e)x}": false, "echo =ls": true,
	} {
		cmd, err := b.settle(t, line, Zsh)
		if got := err == nil && readonly(cmd); got != allowed {
			t.Errorf("%q: allowed %v, want %v: %s", line, got, allowed, why(cmd, err))
		}
	}
}

func TestWrongEntriesAreNoTable(t *testing.T) {
	for name, p := range map[string]Program{
		"no name":         {},
		"a path":          {Name: "a/b"},
		"unknown special": {Name: "x", Special: "nothing"},
		"unknown kind":    {Name: "x", Options: []Option{{Names: []string{"-a"}, Value: "thing"}}},
		"no dash":         {Name: "x", Options: []Option{{Names: []string{"a"}}}},
		"twice":           {Name: "x", Options: []Option{{Names: []string{"-a"}}, {Names: []string{"-a"}}}},
		"many not last":   {Name: "x", Operands: []Operand{{Kind: Read, Many: true}, {Kind: Read}}},
	} {
		if _, err := NewTable([]Program{p}); err == nil {
			t.Errorf("%s: a wrong entry makes a table", name)
		}
	}
	own, err := NewTable([]Program{{Name: "report", Options: []Option{{Names: []string{"-o"}, Value: Write}}, Operands: []Operand{{Kind: Read, Many: true}}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Analyse([]byte("report -o x y"), Bash, own)
	if err != nil || len(p.Questions()) != 2 {
		t.Errorf("an own entry is not used: %v", err)
	}
}

func TestWhatALineWritesItDoesNotGoBy(t *testing.T) {
	b := newBed(t)
	for _, line := range []string{
		`printf '[filter "zz"]\n\tclean = x\n' >> repo/.git/config; git -C repo status`,
		"mkdir repo/n/.git; git -C repo status",
		"tee repo/config < data/l1.txt | git -C repo log -1",
		"git -C repo log -1; cp data/l1.txt .gitconfig",
		"git -C repo log -1; cp -rT app repo",
		"echo x > outbox/list; sha256sum -c outbox/list",
		"sha256sum -c data/SHA256SUMS | tee data/SHA256SUMS",
	} {
		if cmd, err := b.settle(t, line, Bash); err == nil && len(cmd.Unknown) == 0 {
			t.Errorf("%q is understood as %q", line, cmd.Text)
		}
	}
	for _, line := range []string{"git -C repo log -1 > outbox/log", "git -C repo diff | tee outbox/patch", "sha256sum -c data/SHA256SUMS > outbox/sums"} {
		if cmd, err := b.settle(t, line, Bash); err != nil || len(cmd.Unknown) > 0 {
			t.Errorf("%q: %s", line, why(cmd, err))
		}
	}
}

// $CDPATH, which an account may set, is another place to look for a directory.
func TestNoDirectoryIsLookedForElsewhere(t *testing.T) {
	b := newBed(t)
	for _, line := range []string{"cd app && pwd", "for d in app app/src; do (cd \"$d\" && pwd); done", "for d in ./app ./app/src; do (cd $d; pwd); done"} {
		cmd, err := b.settle(t, line, Bash)
		if err != nil || len(cmd.Unknown) > 0 {
			t.Errorf("%q: %s", line, why(cmd, err))
			continue
		}
		want, _ := b.run("bash", line, "")
		if got, _ := b.run("bash", "CDPATH="+b.home+"/secret:"+b.home+"/links\nmkdir -p secret/app/src\n"+cmd.Text, ""); got != want {
			t.Errorf("%q\n  as %q\n  in %q, want %q", line, cmd.Text, got, want)
		}
	}
	if cmd, err := b.settle(t, "for d in app ./app; do (cd $d; pwd); done", Bash); err == nil && len(cmd.Unknown) == 0 {
		t.Errorf("understood as %q", cmd.Text)
	}
	if err := os.RemoveAll(b.home + "/secret/app"); err != nil {
		t.Fatal(err)
	}
}
