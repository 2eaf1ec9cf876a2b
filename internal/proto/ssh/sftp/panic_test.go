package sftp

import "testing"

// TestAPanicOnAnAnswerEndsTheRelay: the goroutine that reads from the server is Config.Go's,
// which keeps it.
func TestAPanicOnAnAnswerEndsTheRelay(t *testing.T) {
	dir, p := tempDir(t), &policy{}
	kept := make(chan any, 1)
	cfg := Config{Go: func(run func()) {
		go func() {
			defer func() { kept <- recover() }()
			run()
		}()
	}}
	put(t, dir+"/file", []byte("content"))
	p.carry = func() { panic("an answer that nobody thought of") }
	c := dial(t, cfg, p)
	h := c.open(dir+"/file", FlagRead)
	c.next++
	c.write(AppendRequest(nil, c.next, &Read{Handle: h, Length: 7}))
	if v := <-kept; v == nil {
		t.Error("no panic")
	}
	_ = c.to.Close()
	<-c.runErr
}
