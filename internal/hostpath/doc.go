// Package hostpath finds out what paths mean at a host before anything there
// uses them.
//
// A name in a command line says little: the directory changed into before,
// patterns, symbolic links, hard links and bind mounts decide which file it is,
// and only the host knows them. So the gateway asks the host. [Script] is one
// command that answers any number of [Question] values: a fixed POSIX sh
// program, in which the agent's paths appear only as quoted arguments, and which
// changes nothing. [ReadAnswers] reads its output strictly and says of each
// place where it really is, what it is (type, device, inode, link count) and
// which labels cover it.
//
// A place is labelled if its real path lies at or below a labelled path, if a
// bind mount shows the same part of the same file system there, or if it is a
// further hard link to a labelled file. What the host's tools cannot answer is
// an error or a Refused place, never a guess.
//
// What it does not do: run the command, hold the host still (a name may mean
// something else a moment later to somebody who can write there), or know of
// shells and programs. Package shell asks for command lines; file transfer asks
// for single paths, before and after it opens them.
//
// Paths follow POSIX.1-2024, section 4.16 (pathname resolution) and, for cd,
// its logical handling of dot-dot; mounts follow proc_pid_mountinfo(5).
package hostpath
