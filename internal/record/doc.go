// Package record keeps recordings: the full stream of every session, written
// before anything is forwarded or answered, and read again for listing, replay
// and export.
//
// [Recorder] implements gate.Recorder over one folder. A live session has the
// file ID.tail: uncompressed frames, handed to the kernel by each Commit, so that
// what was committed survives kill -9 of the process: by a write(2) or, while the
// session is busy, by a copy into the file's mapping. When about 64 KiB have gathered
// they become one compressed block at the end of ID.rec and the tail starts
// again; large answers go to a block at once. Every frame has a sequence number
// and a CRC-32C, so a crash between the two steps is healed when the files are
// read. Close leaves ID.rec alone, ended by a summary; the format is
// described in docs/recordings.md.
//
// [Open] reads a recording in bounded memory, also while it is written. [List]
// gives summaries. [Recover] finishes what a crash left behind and names the
// commands whose outcome is unknown. [Replay] shows a recording to a person:
// every byte that came from a session passes the sanitiser, so no recording can
// speak to the reader's terminal. [Export] writes other formats.
//
// The package records what the gate gives it, in masked form, and adds no
// secret. It does not decide, does not know any protocol (a [Renderer] turns
// answer bytes into rows), and its checksums find accidents, not forgers: proof
// of completeness is the ledger's affair.
//
// Sequence numbers and blocks are of our own making; S2 is the framing-free
// block format of github.com/klauspost/compress/s2; asciicast v2 is specified
// at https://docs.asciinema.org/manual/asciicast/v2/.
package record
