// Package scp serves the old protocol of scp and rcp: the one that a client
// speaks with "scp -t" (upload) and "scp -f" (download) on the other side.
//
// No scp runs on the target. The protocol names files by path and lets the other
// side open them, so a program there could be made to open something else than
// what was judged, and a hostile one could send files that nobody asked for
// (CVE-2019-6111). Instead the gateway is the other side: it parses the client's
// records, and does what they say with SFTP through a sftp.Relay. So every file
// is judged, verified, limited, digested and recorded exactly as one of SFTP, a
// refusal of one file is a message about that file, and what the client is sent
// is made here from what SFTP answered.
//
// It does not parse command lines of a shell (it takes the words), expand
// patterns, copy between two remote hosts, or keep holes in files.
//
// There is no standard; the source is OpenSSH's scp.c (source, rsource, sink and
// response). A record is a line: "Cmode size name", "Dmode 0 name", "E",
// "Tmtime 0 atime 0"; an answer is a byte 0, or 1 (warning) or 2 (fatal) and a
// line.
package scp
