package hostpath

import (
	"strings"
	"testing"
)

// FuzzReadAnswers: no output of a host makes the reader fail in another way than
// by an error, and an answer to each question is there.
func FuzzReadAnswers(f *testing.F) {
	for _, seed := range []string{
		"SALLYPORT1|ok|/home/a|/home/a|22 1 8:1 / / rw - ext4 /dev/sda rw\n|M|0|/home/a/secret|Q|P|x|/home/a|x|2049:12:1:81a4|||||END|",
		"SALLYPORT1|ok|/h|/h|22 1 8:1 / / rw - ext4 /dev/sda rw\n|Q|P|l|/h|l|1:2:1:a1ff|/h/t|1:3:1:81a4|1:3:1:81a4|END|",
		"SALLYPORT1|ok|/h|/h|22 1 8:1 / / rw - ext4 /dev/sda rw\n|Q|P|d|/h|d|1:2:2:41ed||||H|1:9\n|L|f/x\n.|d/y\n.||END|",
		"SALLYPORT1|ok|/h|/h|22 1 8:1 / / rw - ext4 /dev/sda rw\n|Q|A|no/x|/h|/no/x|K|1:2\npartly\n|END|",
		"SALLYPORT1|ok|/h|/h|22 1 8:1 / / rw - ext4 /dev/sda rw\n|Q|I|END|", "SALLYPORT1|no stat|",
		"SALLYPORT1|ok|/h|/h|22 1 8:1 / / rw - ext4 /dev/sda rw\n|Q|G|/h|/h/.git|/h/.git|0|core.bare|user.name||P|x|/h|x|1:2:1:41ed||||END|",
	} {
		f.Add([]byte(strings.ReplaceAll(seed, "|", "\x00")))
	}
	questions := []Question{{Name: "x", Use: Recurse, Follow: true}}
	marks := Marks{"secret": {"/home/*/secret", "~/x"}}
	f.Fuzz(func(t *testing.T, output []byte) {
		a, err := ReadAnswers(output, questions, marks)
		if (a == nil) == (err == nil) {
			t.Fatalf("answers %v, error %v", a, err)
		}
		if a == nil {
			return
		}
		if len(a.List) != 1 {
			t.Fatalf("%d answers", len(a.List))
		}
		if one := a.List[0]; !one.Infeasible && one.Refused == "" && len(one.Places) == 0 {
			t.Fatalf("an answer without places: %+v", one)
		}
	})
}

func TestBindMountsShowLabelledPlaces(t *testing.T) {
	mounts := "22 1 8:1 / / rw - ext4 /dev/sda rw\n" +
		"23 22 8:1 /home/a/secret /mnt/all rw - ext4 /dev/sda rw\n" +
		"24 22 8:1 /home/a/secret/keys /mnt/keys\\040here rw - ext4 /dev/sda rw\n" +
		"25 22 8:2 / /srv rw - ext4 /dev/sdb rw\n" +
		"26 22 8:1 /home /export rw - ext4 /dev/sda rw\n"
	m := &marked{patterns: []pattern{{"secret", "/home/a/secret"}}}
	r := &reader{rest: []byte(mounts + "\x00M\x000\x00/home/a/secret\x00Q\x00"), marks: m}
	m.readMounts(r)
	m.readPlaces(r)
	if r.err != nil {
		t.Fatal(r.err)
	}
	for _, c := range []struct {
		path    string
		use     Use
		covered bool
	}{
		{"/home/a/secret/token", Read, true},
		{"/mnt/all/token", Read, true},
		{"/mnt/keys here/id", Read, true},
		{"/export/a/secret/token", Read, true},
		{"/export/a/other", Read, false},
		{"/srv/home/a/secret/token", Read, false},
		{"/home/a/other", Read, false},
		{"/home/a/secretive", Read, false},
		{"/mnt", Recurse, true},
		{"/mnt", List, false},
		{"/export", Recurse, true},
		{"/srv", Recurse, false},
		{"/", Recurse, true},
	} {
		if got := len(m.cover(c.path, Directory, &Question{Use: c.use})) > 0; got != c.covered {
			t.Errorf("%s of %s: covered %v, want %v", c.use, c.path, got, c.covered)
		}
	}
}

func TestProcessFilesAreNoWayAround(t *testing.T) {
	for path, allowed := range map[string]bool{
		"/proc/1/environ": false, "/proc/1/mem": false, "/proc/1/root/etc/passwd": false, "/proc/1/cwd/x": false, "/proc/1/fd/3": false,
		"/proc/1/map_files/x": false, "/proc/1/task/1/environ": false, "/proc/1/exe": false, "/proc/kcore": false, "/proc/kmsg": false,
		"/proc/1/maps": false, "/proc/1/stack": false, "/proc/sysrq-trigger": false, "/proc/1/comm": true, "/proc/meminfo": true, "/proc/1/cmdline": true,
		"/proc/sys/kernel/hostname": true, "/proc/1/net/tcp": true, "/proc/mounts": true,
	} {
		if why := special(path, File, Read); (why == "") != allowed {
			t.Errorf("%s: %q", path, why)
		}
	}
}

func TestMarksThatMeanNothingAreRefused(t *testing.T) {
	for _, p := range []string{"", "relative", "/", "/a/../b", "/a//b", "/a/./b", "/a/b/", "/a?", "/a[b]", "/a\nb", "~", "~x/y", "/a\\b"} {
		if err := (Marks{"l": {p}}).Validate(); err == nil {
			t.Errorf("%q is taken for a path", p)
		}
	}
	for _, p := range []string{"/a", "/a/*/b", "~/a", "/a b/é", "/*"} {
		if err := (Marks{"l": {p}}).Validate(); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestQuestionsBeyondTheBoundsAreRefused(t *testing.T) {
	for _, q := range []Question{
		{}, {Name: "x"}, {Use: Read}, {Name: "a\nb", Use: Read}, {Name: "a\x00b", Use: Read}, {Name: strings.Repeat("a", 5000), Use: Read},
		{Name: `a\*`, Glob: true, Use: Read}, {Name: "x", Use: Use(200)}, {Name: "x", Use: Read, Dirs: make([]Step, 40)}, {Name: "x", Use: Read, Dirs: []Step{{}}},
	} {
		if _, err := Script([]Question{q}, nil); err == nil {
			t.Errorf("a script is made of %+v", q)
		}
	}
	if _, err := Script(make([]Question, maxQuestions+1), nil); err == nil {
		t.Error("too many questions are asked")
	}
}
