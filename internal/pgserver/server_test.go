package pgserver_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/internal/pgserver"
)

// childWord in the environment makes the test program start a server, print its
// address and folder, and wait to be killed.
const childWord = "PGSERVER_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childWord) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

func child() {
	s, err := pgserver.Start(context.Background(), pgserver.Options{})
	if err != nil {
		println(err.Error())
		return
	}
	_, _ = os.Stdout.WriteString(s.Address() + " " + s.Dir + "\n")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until killed
	_ = s.Stop()
}

func TestServerEndsWhenItsParentIsKilled(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childWord+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, dir, ok := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || !ok {
		t.Fatalf("the child said %q: %v", line, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			if ctx.Err() != nil {
				t.Fatal("the server outlived its parent")
			}
			return // refused: it has ended
		}
		_ = conn.Close()
	}
}

func TestStartGivesUpWhenToldTo(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if s, err := pgserver.Start(ctx, pgserver.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
		if err == nil {
			_ = s.Stop()
		}
	}
}
