package gate

import "sync/atomic"

// Counters count what happened since the gateway was made. They are for
// metrics; nothing is decided by them.
type Counters struct {
	Connections atomic.Uint64 // accepted by a listener
	Refused     atomic.Uint64 // closed at once because there were too many
	Failed      atomic.Uint64 // ended with an error of the connection
	Panics      atomic.Uint64 // ended by a panic
	Opened      atomic.Uint64 // sessions opened
	Unopened    atomic.Uint64 // sessions refused
	Ended       [len(endReasons)]atomic.Uint64
	Decided     [Hold + 1]atomic.Uint64 // commands by verdict
	Held        atomic.Uint64           // commands that waited for a person
	Granted     atomic.Uint64           // held commands that ran
}

var endReasons = [...]EndReason{EndClosed, EndExpired, EndRevoked, EndRecorder, EndProtocol, EndShutdown, EndTarget}

// EndReasons returns every reason, in the order of Counters.Ended.
func EndReasons() []EndReason { return append([]EndReason(nil), endReasons[:]...) }

func (c *Counters) ended(r EndReason) {
	for i := range endReasons {
		if endReasons[i] == r {
			c.Ended[i].Add(1)
		}
	}
}
