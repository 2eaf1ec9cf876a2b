// Package port finds ports for the servers that tests start.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports below the ones that Linux gives to outgoing connections
// (net.ipv4.ip_local_port_range, 32768 if nobody has set it): of those, any connection
// could take one before the server listens.
const (
	first = 16000
	count = 16000
)

// tries bounds the search.
const tries = 100

// Free returns a TCP port at 127.0.0.1 on which nothing listens. It is a random one, so
// that several test runs at a time do not choose the same.
func Free() (int, error) {
	var last error
	for range tries {
		port := first + rand.IntN(count) //nolint:gosec // no secret
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("no free port in %d tries: %w", tries, last)
}

// FreeAddress returns a Free port as an address.
func FreeAddress() (string, error) {
	port, err := Free()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
