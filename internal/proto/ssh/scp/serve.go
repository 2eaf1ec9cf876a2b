package scp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sallyport-gateway/sallyport/internal/proto/ssh/sftp"
)

// maxDepth bounds how deep directories are nested.
const maxDepth = 64

// errStop ends a session whose client has said that it ends, or has been told.
var errStop = errors.New("scp: stopped")

// transfer is one session of scp.
type transfer struct {
	cmd    *Command
	in     *bufio.Reader
	out    *bufio.Writer
	server *remote
	errs   int // files that were not carried
}

// errPanicked is told where a goroutine has ended without a word: Config.Go has more.
var errPanicked = errors.New("scp: the relay panicked")

// Serve does what a command says with a client of scp and a server of SFTP, and
// returns the exit status for the client: zero if every file was carried. cfg is
// that of the sftp.Relay between. Serve returns when both are done; the caller
// ends it early by closing the streams. An error is about the session, not about
// a file. Closing toServer must end fromServer.
func Serve(ctx context.Context, cmd *Command, client io.ReadWriter, cfg sftp.Config, toServer io.WriteCloser, fromServer io.Reader) (status int, err error) {
	fromRelay, relayOut := io.Pipe()
	relayIn, toRelay := io.Pipe()
	relay := sftp.New(cfg, bufio.NewWriterSize(relayOut, backlog), toServer)
	ran := make(chan error, 1)
	cfg.Start(func() {
		err := errPanicked
		defer func() { ran <- err }()
		defer func() {
			_ = relayIn.CloseWithError(io.ErrClosedPipe)
			_ = relayOut.CloseWithError(io.ErrUnexpectedEOF)
			_ = toServer.Close()
			err = errors.Join(err, relay.Finish())
		}()
		err = relay.Run(ctx, relayIn, fromServer)
	})
	stop := context.AfterFunc(ctx, func() { _ = toRelay.CloseWithError(context.Cause(ctx)) })
	defer stop()
	go func() {
		<-relay.Ended()
		_ = relayIn.CloseWithError(io.ErrUnexpectedEOF)
	}()
	t := &transfer{cmd: cmd, in: bufio.NewReaderSize(client, backlog), out: bufio.NewWriter(client)}
	t.server, err = newRemote(toRelay, fromRelay, cfg.Start)
	if err == nil {
		err = t.run()
	}
	_ = toRelay.Close()
	_ = fromRelay.Close()
	ranErr := <-ran
	if err != nil {
		return 1, errors.Join(ranErr, err)
	}
	if t.errs > 0 {
		status = 1
	}
	return status, ranErr
}

func (t *transfer) run() error {
	var err error
	if t.cmd.Upload {
		err = t.upload()
	} else {
		err = t.download()
	}
	if errors.Is(err, errStop) {
		t.errs++
		err = nil
	}
	return errors.Join(err, t.out.Flush())
}

// say writes a record or message to the client.
func (t *transfer) say(r Record) error {
	if _, err := t.out.Write(AppendRecord(nil, r)); err != nil {
		return fmt.Errorf("scp: write client: %w", err)
	}
	return nil
}

// warn tells the client that a file was not carried.
func (t *transfer) warn(name, text string) error {
	t.errs++
	return errors.Join(t.say(Message{Text: fmt.Sprintf("scp: %s: %s", sftp.Escape(name), text)}), t.flush())
}

// fatal tells the client that the session is over.
func (t *transfer) fatal(err error) error {
	return errors.Join(t.say(Message{Fatal: true, Text: "scp: protocol error: " + err.Error()}), t.flush(), errStop)
}

// ack tells the client to go on.
func (t *transfer) ack() error {
	if err := t.out.WriteByte(0); err != nil {
		return fmt.Errorf("scp: write client: %w", err)
	}
	return t.flush()
}

func (t *transfer) flush() error {
	if err := t.out.Flush(); err != nil {
		return fmt.Errorf("scp: write client: %w", err)
	}
	return nil
}

// answered waits for the client's answer and reports whether to go on with this
// file.
func (t *transfer) answered() (bool, error) {
	if err := t.flush(); err != nil {
		return false, err
	}
	m, ok, err := ReadAnswer(t.in)
	if errors.Is(err, ErrMalformed) {
		return false, t.fatal(err)
	}
	if err != nil {
		return false, fmt.Errorf("scp: read client: %w", err)
	}
	if m.Fatal {
		return false, errStop
	}
	if !ok {
		t.errs++
	}
	return ok, nil
}
