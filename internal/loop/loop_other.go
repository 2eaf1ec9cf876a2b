//go:build !linux || !(amd64 || arm64)

package loop

import (
	"net"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// Loop leaves waiting to the runtime's poller.
type Loop struct{}

// New returns a loop. Its size means nothing here.
func New(int) (*Loop, error) { return &Loop{}, nil }

// Close does nothing here.
func (l *Loop) Close() {}

// Conn returns c.
func (l *Loop) Conn(c net.Conn) net.Conn { return c }

// Run runs f on a goroutine of its own and returns. See gate.Loop.
func (l *Loop) Run(f func(gate.Task) bool, _ ...net.Conn) { go f(blockingTask{}) }
