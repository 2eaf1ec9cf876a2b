package sshtest

import (
	"context"
	"testing"
)

// Run runs a server for the test, stops it at the test's end, and fails the test
// if either goes wrong. When the test failed, the end of the server's log is in
// the test's output.
func Run(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("sshd's log:\n%s", tail(s.Log()))
		}
		if err := s.Stop(); err != nil {
			t.Errorf("stop sshd: %v", err)
		}
	})
	return s
}

// tail is the end of a log.
func tail(text string) string {
	const last = 4000
	if len(text) > last {
		text = "…" + text[len(text)-last:]
	}
	return text
}
