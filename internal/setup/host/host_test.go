package host_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-gateway/sallyport/internal/setup/host"
)

// said is the output of a probe with further lines.
func said(lines ...string) []byte {
	return []byte("uid 1001\nname agent\ngroup agent\n" + strings.Join(append(lines, "end"), "\n") + "\n")
}

func found(t *testing.T, out []byte) []string {
	t.Helper()
	all, err := host.Findings(out)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, f := range all {
		if f.Why == "" || f.Do == "" {
			t.Errorf("%s: without a reason or without what to do", f.What)
		}
		words = append(words, strings.Join(append([]string{f.What}, f.Objects...), "|"))
	}
	return words
}

func TestAnOrdinaryAccountHasNoFindings(t *testing.T) {
	if all := found(t, said()); all != nil {
		t.Errorf("%q", all)
	}
}

func TestWhatAnAccountCanDoTooMuchIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		out  []byte
		want []string
	}{
		"root": {[]byte("uid 0\nname toor\ngroup root\npath /usr/bin\nend\n"), []string{"is root"}},
		"groups": {said("group docker", "group sudo", "group adm", "group disk", "group wheel", "group users"),
			[]string{"is in the group adm", "is in the group disk", "is in the group docker", "is in the group sudo", "is in the group wheel"}},
		"writable and relative PATH": {said("path /opt/tools", "relative .", "relative "),
			[]string{"may write a directory of its PATH|/opt/tools", "has a PATH with a relative part||."}},
		"places": {said("writable /etc/cron.d", "readable /etc/shadow", "socket /run/docker.sock"),
			[]string{"may write what others trust|/etc/cron.d", "may read what only root should|/etc/shadow", "may speak with a daemon that runs containers|/run/docker.sock"}},
		"sudo for everything": {said("sudo User agent may run the following commands on web1:", "sudo     (ALL : ALL) NOPASSWD: ALL"),
			[]string{"may run commands by sudo without a password|(ALL : ALL) ALL"}},
		"sudo with any arguments, a pattern, a folder": {said("sudo     (root) NOPASSWD: /usr/bin/systemctl, /usr/bin/journalctl -u *, /opt/bin/"),
			[]string{"may run commands by sudo without a password|(root) /usr/bin/systemctl|(root) /usr/bin/journalctl -u *|(root) /opt/bin/"}},
		"tags hold for what follows them": {said("sudo     (root) NOPASSWD: SETENV: /bin/a, PASSWD: /bin/b, NOPASSWD: /bin/c\\, d, /bin/e"),
			[]string{"may run commands by sudo without a password|(root) /bin/a|(root) /bin/e"}},
		"rules that go over several lines": {said("sudo     (root) NOPASSWD: /bin/a x,", "sudo         /bin/b"),
			[]string{"may run commands by sudo without a password|(root) /bin/b"}},
		"no password by default": {said("sudo Matching Defaults entries for agent on web1:", "sudo     env_reset, !authenticate", "sudo ", "sudo User agent may run the following commands on web1:", "sudo     (root) /bin/a"),
			[]string{"may run commands by sudo without a password|(root) /bin/a"}},
		"sudo as setup proposes it": {said(`sudo     (root) NOPASSWD: /usr/bin/systemctl restart app.service, /usr/bin/id ""`), nil},
		"sudo with a password":      {said("sudo     (ALL : ALL) ALL"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, found(t, c.out)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAnAnswerThatIsNotWholeIsAnError(t *testing.T) {
	whole := string(said("path /opt"))
	for _, out := range []string{"", "end\n", whole[:len(whole)-4], "Welcome to web1!\n" + whole, whole + "more\n", whole + "path /x\n", strings.Repeat("group g\n", 1<<18) + whole} {
		if all, err := host.Findings([]byte(out)); err == nil {
			t.Errorf("%.60q: %v", out, all)
		}
	}
}

func TestTheProbeRunsInARealShellAndChangesNothing(t *testing.T) {
	if strings.Count(host.Probe, "'") != 2 {
		t.Fatal("a quote in the script ends it")
	}
	for _, shell := range []string{"sh", "bash"} {
		cmd := exec.Command(shell, "-c", host.Probe)
		cmd.Dir = t.TempDir()
		cmd.Env = []string{"PATH=" + cmd.Dir + ":relative:/usr/bin:/bin"}
		var complaints strings.Builder
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if err != nil || complaints.Len() > 0 {
			t.Fatalf("%s: %v %s", shell, err, complaints.String())
		}
		if _, err := host.Findings(out); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
		for _, line := range []string{"path " + cmd.Dir, "relative relative", "end"} {
			if !slices.Contains(strings.Split(string(out), "\n"), line) {
				t.Errorf("%s: no line %q in\n%s", shell, line, out)
			}
		}
	}
}

// FuzzFindings reads what a hostile host may print.
func FuzzFindings(f *testing.F) {
	f.Add(said("sudo     (root) NOPASSWD: /bin/a, !/bin/b", "path /x"))
	f.Add([]byte("uid 0\nend\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		all, err := host.Findings(out)
		if err != nil && all != nil {
			t.Error("findings beside an error")
		}
	})
}
