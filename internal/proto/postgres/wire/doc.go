// Package wire encodes and decodes the messages of the PostgreSQL
// frontend/backend protocol 3.0 that the gateway handles.
//
// A decoder is strict: a message must end exactly where its fields end, a
// string must hold exactly one NUL, a count must fit. What it returns aliases
// the message's bytes. There are no connections and no state here, so that the
// replay of a recording and the fuzz targets use the same code as the data path.
//
// Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol",
// section "Message Formats".
package wire
