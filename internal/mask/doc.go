// Package mask finds sensitive values in streams of bytes and masks them before
// they leave: what a command on a host prints is free text, in which no column
// and no path says what is sensitive.
//
// Named detectors (Names) look for one kind of value each and verify it: a card
// number by its issuer's range and check digit, an IBAN by country and ISO 7064,
// a JSON Web Token by the JSON in its header. The names, and those of the groups
// (Groups), are labels in policies: `mask: {secrets: redact, card: last4}`.
// Compile makes Rules of such a map; each output stream then has a Stream.
//
// # Streams
//
// What comes out does not depend on how the input was cut into writes. A Stream
// holds back what may still become part of a match: the token at the end, a
// number that may go on, an assignment's value. It holds it for as long as it
// takes (a peer that pauses in the middle of a value gains nothing), but a line
// end or any byte that no value can contain releases it. What is held is bounded
// by MaxHeld: a value that outgrows what its detector needs to decide is masked
// at once, and the rest of it is dropped as it comes.
//
// Terminal control sequences (ECMA-48, section 5.4: CSI) and the character set
// selections of ISO 2022 have no width: values are found through them, as in the
// output of grep --color, and they are passed on. UTF-8 is bytes like others.
// UTF-16 text is searched as far as it is ASCII: a NUL byte that alternates with
// other bytes has no width either. Masks are always written in ASCII.
//
// # What this is not
//
// It is no guarantee against an agent that encodes what it prints: base64, hex,
// reversed text, one byte per line, characters drawn with the cursor. The
// guarantee is in labels on paths and columns, which are enforced before a
// command runs; detectors catch what nobody labelled. They know values by form,
// so a password that stands alone is a word to them. docs/detectors.md has the
// measured precision and recall of each.
//
// The package is pure: it knows nothing of network or storage.
package mask
