package sftp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestAnUnansweredIdMayNotBeUsedAgain(t *testing.T) {
	e := NewEngine(4)
	greet(t, e)
	f := openFile(t, e, 1, FlagRead)
	packet := AppendRequest(nil, 9, &Read{f, 0, 10})[4:]
	if s, err := e.Client(packet); err != nil || s.Kind != StepForward {
		t.Fatal(s, err)
	}
	if _, err := e.Client(packet); !errors.Is(err, ErrClient) {
		t.Errorf("error %v, want the client's", err)
	}
}

func greet(t testing.TB, e *Engine) {
	t.Helper()
	if _, err := e.Client(AppendInit(nil)[4:]); err != nil {
		t.Fatal(err)
	}
	var all []Pair
	for _, x := range extensionVersions {
		all = append(all, Pair{string(x.name), x.version})
	}
	if _, err := e.Server(AppendVersion(nil, all)[4:]); err != nil {
		t.Fatal(err)
	}
}

// openFile opens a file in an Engine as if a server had, and returns the
// client's handle.
func openFile(t testing.TB, e *Engine, id uint32, f Flags) []byte {
	t.Helper()
	s, err := e.Client(AppendRequest(nil, id, &Open{Path: "/f", Flags: f})[4:])
	if err != nil || s.Kind != StepCommand {
		t.Fatal(s, err)
	}
	frame, ok := e.Opened(s.Command, []byte{0, 0, 0, 5}, -1, Place{Real: "/f", Kind: KindRegular},
		Grant{Read: NoLimit, Write: NoLimit, Record: 16})
	if !ok {
		t.Fatal("too many")
	}
	_, r, err := DecodeResponse(frame.AppendTo(nil)[4:], &Open{})
	if err != nil {
		t.Fatal(err)
	}
	return r.(*Handle).Handle
}

func TestAServerThatLiesEndsTheSession(t *testing.T) {
	own := func(s Step) uint32 { id, _ := RequestID(s.Frame.AppendTo(nil)[4:]); return id }
	for name, lie := range map[string]func(id uint32) []byte{
		"unasked id":   func(id uint32) []byte { return AppendResponse(nil, id+1, &Data{[]byte("x")}) },
		"wrong type":   func(id uint32) []byte { return AppendResponse(nil, id, &FileAttrs{}) },
		"handle":       func(id uint32) []byte { return AppendResponse(nil, id, &Handle{[]byte{1}}) },
		"success":      func(id uint32) []byte { return AppendResponse(nil, id, &Status{Code: OK}) },
		"too much":     func(id uint32) []byte { return AppendResponse(nil, id, &Data{make([]byte, 11)}) },
		"nothing":      func(id uint32) []byte { return AppendResponse(nil, id, &Data{}) },
		"unknown code": func(id uint32) []byte { return AppendResponse(nil, id, &Status{Code: 9}) },
		"a request":    func(id uint32) []byte { return AppendRequest(nil, id, &Stat{"/"}) },
		"no id":        func(uint32) []byte { return []byte{0, 0, 0, 1, byte(TypeData)} },
		"trailing":     func(id uint32) []byte { return append(AppendResponse(nil, id, &Data{[]byte("x")}), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEngine(4)
			greet(t, e)
			s, err := e.Client(AppendRequest(nil, 2, &Read{openFile(t, e, 1, FlagRead), 0, 10})[4:])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Server(lie(own(s))[4:]); !errors.Is(err, ErrServer) {
				t.Errorf("error %v, want the server's", err)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		e := NewEngine(4)
		greet(t, e)
		s, err := e.Client(AppendRequest(nil, 2, &Read{openFile(t, e, 1, FlagRead), 0, 10})[4:])
		if err != nil {
			t.Fatal(err)
		}
		answer := AppendResponse(nil, own(s), &Data{[]byte("x")})[4:]
		if _, err := e.Server(answer); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Server(answer); !errors.Is(err, ErrServer) {
			t.Errorf("error %v, want the server's", err)
		}
	})
}

func TestNamesFromTheServerAreNamesAndItsWordsAreOurs(t *testing.T) {
	list := func(hide func([]byte) bool, entries ...Entry) (Response, error) {
		e := NewEngine(4)
		greet(t, e)
		s, err := e.Client(AppendRequest(nil, 1, &Opendir{"/d"})[4:])
		if err != nil {
			t.Fatal(err)
		}
		frame, _ := e.Opened(s.Command, []byte{1}, -1, Place{Real: "/d"}, Grant{Hide: hide})
		_, h, _ := DecodeResponse(frame.AppendTo(nil)[4:], &Open{})
		s, err = e.Client(AppendRequest(nil, 2, &Readdir{h.(*Handle).Handle})[4:])
		if err != nil {
			t.Fatal(err)
		}
		id, _ := RequestID(s.Frame.AppendTo(nil)[4:])
		if s, err = e.Server(AppendResponse(nil, id, &Name{entries})[4:]); err != nil {
			return nil, err
		}
		_, r, err := DecodeResponse(s.Frame.AppendTo(nil)[4:], &Readdir{})
		return r, err
	}
	entry := func(name, long string) Entry { return Entry{Name: []byte(name), Longname: []byte(long)} }
	for _, name := range []string{"../x", "a/b", "/", "", "a\x00b", strings.Repeat("n", MaxName+1)} {
		if _, err := list(nil, entry(name, "-rw "+name)); err == nil {
			t.Errorf("the name %q was passed on", name)
		}
	}
	r, err := list(nil, entry("ok", "-rw-r--r-- 1 root root 5 Jan 1 ok"), entry("evil", "\x1b]52;c;cm0=\a evil"), entry("odd", "something else"))
	if err != nil {
		t.Fatal(err)
	}
	got := r.(*Name).Entries
	if string(got[0].Longname) != "-rw-r--r-- 1 root root 5 Jan 1 ok" || string(got[1].Longname) != "evil" || string(got[2].Longname) != "odd" {
		t.Errorf("descriptions %q %q %q", got[0].Longname, got[1].Longname, got[2].Longname)
	}
	r, err = list(func(n []byte) bool { return string(n) == "hidden" }, entry("hidden", "hidden"))
	if err != nil || len(r.(*Name).Entries) != 1 || string(r.(*Name).Entries[0].Name) != "." {
		t.Errorf("a list with all names hidden: %+v %v", r, err)
	}
	e := NewEngine(4)
	greet(t, e)
	s, _ := e.Client(AppendRequest(nil, 2, &Read{openFile(t, e, 1, FlagRead), 0, 10})[4:])
	id, _ := RequestID(s.Frame.AppendTo(nil)[4:])
	s, err = e.Server(AppendResponse(nil, id, &Status{Failure, "\x1b[2J you are hacked"})[4:])
	if err != nil || bytes.Contains(s.Frame.AppendTo(nil), []byte("hacked")) {
		t.Errorf("the server's text was passed on: %q %v", s.Frame.AppendTo(nil), err)
	}
}

func TestAServerOfAnotherVersionIsRefusedAndUnknownExtensionsAreNotOffered(t *testing.T) {
	e := NewEngine(4)
	if _, err := e.Client(AppendInit(nil)[4:]); err != nil {
		t.Fatal(err)
	}
	s, err := e.Server(AppendVersion(nil, []Pair{{"evil@example.com", "1"}, {string(ExtPosixRename), "9"}, {string(ExtFsync), "1"}})[4:])
	if err != nil {
		t.Fatal(err)
	}
	_, pairs, err := DecodeVersion(s.Frame.AppendTo(nil)[4:])
	if err != nil || len(pairs) != 1 || pairs[0].Name != string(ExtFsync) {
		t.Errorf("offered %v %v", pairs, err)
	}
	if s, err = e.Client(AppendRequest(nil, 1, &PosixRename{"/a", "/b"})[4:]); err != nil || s.Kind != StepAnswer {
		t.Errorf("an extension that was not offered: %+v %v", s, err)
	}
	for _, version := range []byte{0, 2, 4, 6} {
		e := NewEngine(4)
		if _, err := e.Client(AppendInit(nil)[4:]); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Server([]byte{byte(TypeVersion), 0, 0, 0, version}); !errors.Is(err, ErrServer) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	e = NewEngine(4)
	if _, err := e.Client([]byte{byte(TypeInit), 0, 0, 0, 2}); !errors.Is(err, ErrClient) {
		t.Errorf("an old client: %v", err)
	}
	e = NewEngine(4)
	if _, err := e.Client(AppendRequest(nil, 1, &Stat{"/"})[4:]); !errors.Is(err, ErrClient) {
		t.Errorf("a request before INIT: %v", err)
	}
}
