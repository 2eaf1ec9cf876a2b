package port_test

import (
	"net"
	"testing"

	"github.com/sallyport-gateway/sallyport/test/port"
)

func TestAFreePortCanBeListenedOn(t *testing.T) {
	for range 20 {
		address, err := port.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}
