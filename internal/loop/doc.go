// Package loop serves many sessions on few threads: the goroutine of a session
// that waits for its client or its target is resumed by an epoll loop of our own,
// directly, on the loop's thread.
//
// It exists because an exchange through a proxy is four waits and little work.
// With the runtime's poller each wait costs a read that finds nothing, a walk
// through the scheduler and often the wake-up of another thread, which together
// were a third of the gateway's processor time. Here a wait is a coroutine switch
// (iter.Pull), and one epoll_wait serves every session that became ready.
//
// [Loop] implements gate.Loop. A session's goroutine reads and writes [Conn]s as
// any net.Conn; only their waits differ. Because a goroutine that blocks in
// anything else would hold up its loop, it says so first ([Task.Block]): its loop
// then goes on without it, on another goroutine, until [Task.Resume]. What forgets
// to say so is found by a watch within some milliseconds and treated alike, so
// nothing that a session does can stop the others.
//
// A session that is idle has no goroutine at all: where it allows it ([Conn.MayRest])
// a read returns instead of waiting, and the session is called again, on any free
// coroutine, when there is something to read. Its stack was a third of its memory.
//
// The package knows no protocol and decides nothing. It works on Linux (amd64,
// arm64); elsewhere the runtime's own poller serves. The interfaces are those of epoll(7), used
// edge-triggered: a read that fills less than its buffer has emptied the socket
// (epoll(7), "Questions and answers", 9).
package loop
