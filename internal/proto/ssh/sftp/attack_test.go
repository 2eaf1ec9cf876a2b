package sftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// world is a directory with a secret in it and a relay whose policy forbids the
// secret.
func world(t *testing.T) (dir string, c *peer, p *policy) {
	t.Helper()
	dir = tempDir(t)
	put(t, dir+"/secret/token", []byte("CANARY"))
	put(t, dir+"/pub/file", []byte("public"))
	p = &policy{secret: dir + "/secret"}
	return dir, dial(t, Config{}, p), p
}

func TestServerOfThisMachineShowsItsOpenFiles(t *testing.T) {
	dir, c, _ := world(t)
	c.open(dir+"/pub/file", FlagRead)
	// Without /proc the open would have been refused: PathOnly is false.
}

func TestEveryWayToTheSecretIsRefused(t *testing.T) {
	dir, c, p := world(t)
	secret, pub := dir+"/secret/token", dir+"/pub"
	if err := errors.Join(os.Symlink(secret, pub+"/link"), os.Symlink(dir, pub+"/up")); err != nil {
		t.Fatal(err)
	}
	mode := Attrs{HasMode: true, Mode: 0o777}
	for _, spelling := range []string{secret, pub + "/../secret/token", pub + "/link", pub + "/up/secret/token",
		dir + "//secret/./token", pub + "/up/pub/up/secret/../secret/token"} {
		for _, q := range []Request{
			&Open{Path: spelling, Flags: FlagRead}, &Open{Path: spelling, Flags: FlagWrite},
			&Open{Path: spelling, Flags: FlagWrite | FlagCreate | FlagTrunc}, &Open{Path: spelling, Flags: FlagWrite | FlagAppend},
			&Stat{spelling}, &Setstat{spelling, mode}, &Setstat{spelling, Attrs{HasSize: true}}, &Statvfs{spelling}, &Realpath{spelling},
		} {
			c.want(q, PermissionDenied)
		}
	}
	for _, q := range []Request{
		&Opendir{dir + "/secret"}, &Opendir{pub + "/up/secret"}, &Lstat{secret}, &Readlink{secret}, &Remove{secret},
		&Lsetstat{secret, mode}, &Rename{secret, pub + "/x"}, &PosixRename{secret, pub + "/x"}, &Hardlink{secret, pub + "/x"},
		&Rename{pub + "/file", secret}, &PosixRename{pub + "/file", secret}, &Hardlink{pub + "/file", dir + "/secret/x"},
		&Symlink{secret, pub + "/x"}, &Symlink{"../secret/token", pub + "/x"}, &Symlink{pub + "/file", dir + "/secret/x"},
		&Symlink{"up/secret", pub + "/x"}, &Mkdir{dir + "/secret/x", Attrs{}}, &Rmdir{dir + "/secret"},
		&Open{Path: dir + "/secret/new", Flags: FlagWrite | FlagCreate}, &Open{Path: dir + "/secret/new", Flags: FlagWrite | FlagCreate | FlagExcl},
	} {
		c.want(q, PermissionDenied)
	}
	same(t, secret, []byte("CANARY"))
	for _, name := range []string{pub + "/x", dir + "/secret/x", dir + "/secret/new"} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s exists", name)
		}
	}
	info, err := os.Stat(secret)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the secret's mode: %v %v", info, err)
	}
	c.want(&Stat{pub + "/file"}, OK) // the session goes on
	if !p.saw("judge sftp open") {
		t.Error("nothing was judged")
	}
}

func TestHandlesAreTheGatewaysAndDieWithTheirFile(t *testing.T) {
	dir, c, _ := world(t)
	h := bytes.Clone(c.open(dir+"/pub/file", FlagRead))
	if len(h) != handleSize {
		t.Fatalf("handle %x is not one of ours", h)
	}
	for _, guess := range [][]byte{nil, {0, 0, 0, 0}, {0, 0, 0, 1}, make([]byte, 8), bytes.Repeat([]byte{255}, 8), h[:7], append(h[:8:8], 0)} {
		c.want(&Read{guess, 0, 10}, Failure)
		c.want(&Fstat{guess}, Failure)
		c.want(&Close{guess}, Failure)
		c.want(&Readdir{guess}, Failure)
		c.want(&Fsetstat{guess, Attrs{}}, Failure)
		c.want(&Fsync{guess}, Failure)
		c.want(&Fstatvfs{guess}, Failure)
		c.want(&CopyData{From: guess, To: h}, Failure)
	}
	c.want(&Write{h, 0, []byte("x")}, Failure) // opened for reading
	c.want(&Readdir{h}, Failure)
	c.want(&CopyData{From: h, To: h}, Failure)
	c.want(&Close{h}, OK)
	for _, q := range []Request{&Read{h, 0, 10}, &Fstat{h}, &Close{h}} {
		c.want(q, Failure)
	}
	again := c.open(dir+"/pub/file", FlagRead)
	if bytes.Equal(again, h) {
		t.Error("the handle of a closed file names another one")
	}
	same(t, dir+"/pub/file", []byte("public"))
}

func TestOpenFilesAreBounded(t *testing.T) {
	dir := tempDir(t)
	put(t, dir+"/f", []byte("x"))
	c := dial(t, Config{Handles: 20}, &policy{})
	for range 20 {
		c.open(dir+"/f", FlagRead)
	}
	for range 30 {
		c.want(&Open{Path: dir + "/f", Flags: FlagRead}, Failure)
		c.want(&Opendir{dir}, Failure)
	}
	c.want(&Stat{dir + "/f"}, OK)
}

func TestThousandsOfFilesOneAfterTheOther(t *testing.T) {
	dir := tempDir(t)
	put(t, dir+"/f", []byte("x"))
	c := dial(t, Config{}, &policy{})
	for range 1500 {
		h := bytes.Clone(c.open(dir+"/f", FlagRead))
		c.want(&Close{h}, OK)
	}
}

func TestUnknownExtensionsTypesAndFlagsAreRefusedLocally(t *testing.T) {
	dir, c, p := world(t)
	c.want(&UnknownExtension{"evil@example.com"}, OpUnsupported)
	raw := func(typ byte, rest ...byte) Code {
		c.next++
		packet := append(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, typ}, c.next), rest...)
		binary.BigEndian.PutUint32(packet, uint32(len(packet)-4)) //nolint:gosec // small
		c.write(packet)
		return c.answer(c.next, &Remove{}).(*Status).Code
	}
	for _, typ := range []byte{0, 1, 2, 21, 22, 23, 100, 101, 102, 199, 201, 255} {
		if got := raw(typ); got != OpUnsupported {
			t.Errorf("type %d: status %d", typ, got)
		}
	}
	c.want(&Open{Path: dir + "/pub/file", Flags: 0x41}, BadMessage)
	c.want(&Stat{dir + "/pub/file"}, OK)
	if !p.saw("refused extension evil@example.com") {
		t.Error("the refusal was not told")
	}
}

func TestFlagsThatMeanDifferentThingsAreRefused(t *testing.T) {
	dir, c, _ := world(t)
	for _, f := range []Flags{0, FlagRead | FlagTrunc, FlagRead | FlagCreate, FlagRead | FlagAppend, FlagCreate, FlagTrunc,
		FlagWrite | FlagExcl, FlagAppend, FlagRead | FlagExcl | FlagCreate} {
		c.want(&Open{Path: dir + "/pub/file", Flags: f}, BadMessage)
	}
	same(t, dir+"/pub/file", []byte("public"))
}

func TestAClientThatBreaksTheProtocolIsOut(t *testing.T) {
	header := func(n uint32, rest ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, n), rest...) }
	stat := AppendRequest(nil, 7, &Stat{"/"})
	for name, send := range map[string][]byte{
		"empty packet":  header(0),
		"oversized":     header(MaxPacket + 1),
		"huge":          header(0xffffffff),
		"no id":         header(3, byte(TypeStat), 0, 0),
		"cut":           stat[:len(stat)-1],
		"only a header": header(100),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, Config{}, &policy{})
			c.write(send)
			_ = c.to.Close()
			if err := <-c.runErr; err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestMalformedRequestsAreRefusedAndTooManyEndTheSession(t *testing.T) {
	_, c, _ := world(t)
	long := AppendRequest(nil, 1, &Stat{strings.Repeat("x", MaxPath+1)})
	trailing := append(AppendRequest(nil, 1, &Stat{"/"}), 0)
	binary.BigEndian.PutUint32(trailing, uint32(len(trailing)-4)) //nolint:gosec // small
	short := AppendRequest(nil, 1, &Stat{"/"})
	short = short[:len(short)-1]
	binary.BigEndian.PutUint32(short, uint32(len(short)-4)) //nolint:gosec // small
	attrs := AppendRequest(nil, 1, &Setstat{Path: "/"})
	attrs[len(attrs)-4] = 0x80 // extended attributes
	bad := [][]byte{long, trailing, short, attrs, AppendRequest(nil, 1, &Stat{"a\x00b"})}
	for i := range maxFaults {
		c.write(bad[i%len(bad)])
		if s := c.answer(1, &Remove{}).(*Status); s.Code != BadMessage {
			t.Errorf("status %d, want bad message", s.Code)
		}
	}
	c.write(bad[0])
	if err := <-c.runErr; !errors.Is(err, ErrClient) {
		t.Errorf("error %v, want the client's", err)
	}
}

func TestSizeLimitsHoldInBothDirections(t *testing.T) {
	dir := tempDir(t)
	put(t, dir+"/big", random(100<<10))
	p := &policy{grant: &Grant{Read: 40 << 10, Write: 40 << 10, Record: 100}}
	c := dial(t, Config{}, p)
	h := bytes.Clone(c.open(dir+"/big", FlagRead))
	c.want(&Read{h, 0, 32 << 10}, OK)
	code, message := c.code(&Read{h, 32 << 10, 32 << 10})
	if code != PermissionDenied || !strings.Contains(message, "40960 bytes") {
		t.Errorf("status %d %q", code, message)
	}
	c.want(&Read{h, 32 << 10, 8 << 10}, OK)
	c.want(&Read{h, 40 << 10, 1}, PermissionDenied)
	w := bytes.Clone(c.open(dir+"/new", FlagWrite|FlagCreate))
	c.want(&Write{w, 0, make([]byte, 32<<10)}, OK)
	c.want(&Write{w, 32 << 10, make([]byte, 32<<10)}, PermissionDenied)
	c.want(&Write{w, 1 << 40, []byte("x")}, PermissionDenied) // a hole counts
	c.want(&Write{w, ^uint64(0), []byte("x")}, PermissionDenied)
	c.want(&Fsetstat{w, Attrs{HasSize: true, Size: 1 << 40}}, PermissionDenied)
	c.want(&Setstat{dir + "/big", Attrs{HasSize: true, Size: 1 << 40}}, PermissionDenied)
	c.want(&CopyData{From: h, To: w}, PermissionDenied)
	c.want(&CopyData{From: h, To: w, Length: 1 << 40}, PermissionDenied)
	c.want(&Close{w}, OK)
	info, err := os.Stat(dir + "/new")
	if err != nil || info.Size() != 32<<10 {
		t.Errorf("%v %v", info, err)
	}
	if n := len(p.content[dir+"/big download"]); n != 100 {
		t.Errorf("%d bytes were recorded, want 100", n)
	}
}

func TestAGrantOfNothingCarriesNothing(t *testing.T) {
	dir := tempDir(t)
	put(t, dir+"/f", []byte("x"))
	c := dial(t, Config{}, &policy{grant: &Grant{}})
	h := bytes.Clone(c.open(dir+"/f", FlagRead|FlagWrite))
	c.want(&Read{h, 0, 1}, PermissionDenied)
	c.want(&Write{h, 0, []byte("y")}, PermissionDenied)
	same(t, dir+"/f", []byte("x"))
}

func TestReportsHaveTheDigestOfWhatWasCarriedAndSayWhetherInOrder(t *testing.T) {
	dir := tempDir(t)
	put(t, dir+"/f", []byte("0123456789"))
	p := &policy{}
	c := dial(t, Config{}, p)
	h := bytes.Clone(c.open(dir+"/f", FlagRead))
	c.want(&Read{h, 5, 5}, OK)
	c.want(&Read{h, 0, 5}, OK)
	c.want(&Close{h}, OK)
	c.open(dir+"/f", FlagRead) // and never closed
	_ = c.to.Close()
	if err := <-c.runErr; err != nil {
		t.Fatal(err)
	}
	d := p.reports[0].Downloaded
	if d.SHA256 != digest([]byte("5678901234")) || d.InOrder || d.First != 5 || d.Bytes != 10 || !p.reports[0].Closed {
		t.Errorf("report %+v", d)
	}
	if len(p.reports) != 2 || p.reports[1].Closed {
		t.Errorf("%d reports, the second of a file left open", len(p.reports))
	}
}

func TestATextOfACommandCannotDeceive(t *testing.T) {
	c := command(&Remove{"/a\n\x1b[2Jb\u202ec"})
	c.Paths[0].Place.Real = "/a\n\x1b[2Jb\u202ec"
	for _, r := range c.Text() {
		if r < ' ' || r > '~' {
			t.Errorf("text %q", c.Text())
		}
	}
	one, two := command(&Remove{"/\xff"}), command(&Remove{"/\xfe"})
	if one.Action().Paths[0] == two.Action().Paths[0] {
		t.Error("different names give one action")
	}
}

func TestARefusalKeepsItsPlaceAmongTheAnswers(t *testing.T) {
	dir, c, _ := world(t)
	h := bytes.Clone(c.open(dir+"/pub/file", FlagRead|FlagWrite))
	for range 20 {
		first := c.next + 1
		qs := []Request{&Read{h, 0, 3}, &Read{[]byte("guess"), 0, 3}, &Read{h, 3, 3}, &Stat{dir + "/secret/token"},
			&Fstat{h}, &UnknownExtension{"x"}, &Write{h, 0, []byte("public")}, &Stat{strings.Repeat("x", MaxPath)}}
		var all []byte
		for _, q := range qs {
			c.next++
			all = append(all, AppendRequest(nil, c.next, q)...)
		}
		go func() { _, _ = c.to.Write(all) }()
		for i, q := range qs {
			c.answer(first+uint32(i), q) //nolint:gosec // small
		}
	}
}

func TestFilesOfTheKernelAreNotJudgedAsOrdinaryOnes(t *testing.T) {
	for real, want := range map[string]string{
		"/proc/self/mem": "write,admin,unknown", "/proc/1/environ": "write,admin,unknown", "/proc/sys/kernel/core_pattern": "write,admin",
		"/sys/power/state": "write,admin", "/dev/sda": "write,admin", "/dev/shm/x": "write", "/processes": "write", "/home/proc/1": "write",
		"/proc": "write,admin",
	} {
		if got := (gate.EffectWrite | special(real, gate.EffectWrite)).String(); got != want {
			t.Errorf("%s: %s, want %s", real, got, want)
		}
	}
	if got := special("/proc/cpuinfo", gate.EffectRead); got != 0 {
		t.Errorf("reading /proc/cpuinfo is also %s", got)
	}
	dir := tempDir(t)
	put(t, dir+"/f", nil)
	var seen string
	p := &policy{}
	p.decide = func(c *Command) error { seen = c.Effects().String(); return &Refused{"no"} }
	c := dial(t, Config{}, p)
	c.want(&Open{Path: "/proc/self/environ", Flags: FlagRead}, PermissionDenied)
	if seen != "read,unknown" {
		t.Errorf("the server's environment is judged as %s", seen)
	}
}

func TestOddNamesAreNoTrouble(t *testing.T) {
	dir := tempDir(t)
	c := dial(t, Config{Resolver: byInode{}}, &policy{})
	for _, name := range []string{"new\nline", "gone (deleted)", "\xff\xfe", "\x1b[2J", " ", "-rf", "'\"\\", strings.Repeat("n", MaxName), "u\u202ename"} {
		put(t, dir+"/d/"+name, []byte(name))
		h := bytes.Clone(c.open(dir+"/d/"+name, FlagRead))
		r := c.do(&Read{h, 0, 1000})
		if d, ok := r.(*Data); !ok || string(d.Data) != name {
			t.Errorf("%q: %+v", name, r)
		}
		c.want(&Close{h}, OK)
		c.want(&Lstat{dir + "/d/" + name}, OK)
		c.want(&Mkdir{dir + "/" + name, Attrs{}}, OK)
		c.want(&PosixRename{dir + "/d/" + name, dir + "/" + name + "/x"}, OK)
		c.want(&Remove{dir + "/" + name + "/x"}, OK)
		c.want(&Rmdir{dir + "/" + name}, OK)
	}
	c.want(&Mkdir{"relative-of-no-one/x", Attrs{}}, NoSuchFile)
	c.want(&Stat{""}, OK)
	c.want(&Stat{"."}, OK)
	c.want(&Stat{"/"}, OK)
	c.want(&Realpath{"/"}, OK)
	c.want(&Rmdir{"/"}, Failure)
	c.want(&Stat{dir + "/nothing/../x"}, PermissionDenied)
}
