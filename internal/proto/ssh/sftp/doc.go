// Package sftp parses, judges and relays the SSH File Transfer Protocol,
// version 3, packet by packet.
//
// It has three layers. The codec decodes every packet into a typed value, using
// every byte, and encodes what is forwarded from that value: no byte that a peer
// sent and that was not understood reaches the other side. The Engine is a state
// machine over packets of both sides: it keeps ids and handles apart (a client
// sees handles of the gateway only), says which requests are commands to be
// judged and which only use a handle that a judged command opened, counts and
// hashes what files carry, and answers locally what is not allowed at all. The
// Relay runs an Engine between two streams: it resolves the paths of a command
// at the server, has it judged on what was resolved, and performs it so that
// what was judged is what is touched.
//
// SFTP names files by path, so between resolving and using a path a rename, a
// symbolic or a hard link can exchange the file. The Relay closes that gap with
// means of the server's own process: an open file is compared with the kernel's
// name for it (/proc/self/fd) and its inode (/proc/self/fdinfo) before its
// handle is given out and before it is truncated, and operations on names run
// below a directory that is held open (/proc/self/fd/N/name). Servers without
// /proc are refused unless the configuration accepts comparison by path alone.
//
// The package does not dial, decide or record; it knows nothing of SSH channels.
//
// Sources: draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL, section 4, for the
// extensions and for the reversed arguments of SSH_FXP_SYMLINK; sftp-server.c
// for what a server does with each request.
package sftp
