// Package sshcorpus judges the gateway by SSH cases: command lines of hostile and
// of honest agents, each with what must not or must come of it. It runs them
// through the real gateway against a real OpenSSH server and looks only at what
// the client got and at what the host holds afterwards.
//
// An attack passes when none of its detectors fires, nothing else changed on the
// host, and the client was told so by an exit status that is not 0. A harmless
// case passes when it gives the same bytes on standard output and the same exit
// status as without the gateway; the direct run for that comparison is part of
// the same run. In direct mode (-direct of the judge) the cases themselves are
// proved: each attack works on a bare sshd, each harmless case runs, changes
// nothing and answers the same twice.
//
// The policy is readonly: reading commands are allowed, and everything under
// /home/shx/secret is labelled as not to be read.
//
// The home folder /home/shx of the accounts shx (bash) and shxd (/bin/sh), which
// share it and their uid, is made anew from a template before each case that finds
// it changed, and processes that a case left are ended. One run at a time has the
// accounts, by a lock.
//
// cases.jsonl and more.jsonl have the form that [Case] describes; -cases of the
// judge takes any other file of that form.
package sshcorpus
