package sshproof_test

import (
	"fmt"

	"github.com/sallyport-gateway/sallyport/test/sshgate"
)

// The agents, each bound by the issuer's document.
const (
	agent    = "proof"
	reviewed = "reviewed" // whose commands wait for a person
	watcher  = "watcher"  // one of whose sessions is revoked
	doomed   = "doomed"   // who is revoked
)

// The targets: one host under several policies.
const (
	open   = "open"   // what its account may do, but for shells and tunnels
	strict = "strict" // reads alone; nothing under the labelled folder
	held   = "held"   // reads; changes wait for a person
	term   = "term"   // shells too
	tunnel = "tunnel" // tunnels to one address
)

const policies = `kind: Policy
name: open
protocol: ssh
on: target.labels.mode == "open"
rules:
  - name: everything-but-shells-and-tunnels
    when: ssh.kind in ["exec", "sftp", "scp", "rsync"]
    then: allow
---
kind: Policy
name: strict
protocol: ssh
on: target.labels.mode == "strict"
rules:
  - name: reads
    when: command.effects == ["read"]
    then: allow
---
kind: Policy
name: held
protocol: ssh
on: target.labels.mode == "held"
rules:
  - name: reads
    when: command.effects == ["read"]
    then: allow
  - name: changes-need-a-person
    when: command.effects.exists(e, e in ["write", "delete"])
    then: hold
    message: Changes are made under four eyes.
    approvers: {groups: [operators], count: 1, within: 15m}
---
kind: Policy
name: term
protocol: ssh
on: target.labels.mode == "term"
rules:
  - name: shells
    when: ssh.kind in ["shell", "exec"]
    then: allow
---
kind: Policy
name: tunnel
protocol: ssh
on: target.labels.mode == "tunnel"
rules:
  - name: one-address
    when: ssh.kind == "tunnel" && ssh.hosts == ["%[1]s"]
    then: allow
  - name: reads
    when: command.effects == ["read"]
    then: allow
---
kind: Policy
name: hostile
protocol: ssh
on: target.labels.mode == "hostile"
rules:
  - name: reads
    when: command.effects == ["read"]
    then: allow
---
`

const labels = `kind: Labels
target: strict
paths: {secret: [/home/` + account + `/secret]}
---
`

// hosts are the documents of the targets on the real host.
func (w *world) hosts() string {
	var text string
	for _, name := range []string{open, strict, held, term, tunnel} {
		host := sshgate.Host{Name: name, Server: w.server, Account: account, Labels: "mode: " + name}
		text += host.Document()
	}
	return text
}

// liars are the documents of the hosts that lie.
func (w *world) liars() string {
	text := fmt.Sprintf("kind: Credential\nname: liar\nusername: u\nkey: {from: \"file:%s\"}\n---\n", w.server.ClientKeyFile())
	target := func(name, address string) {
		text += fmt.Sprintf("kind: Target\nname: %s\nprotocol: ssh\naddress: %s\ncredential: liar\nhost_keys: [%q]\nlabels: {mode: hostile}\nlimits: {statement: 8s, bytes: 16MiB}\n---\n",
			name, address, w.pinned.Line())
	}
	for i, l := range w.lies {
		target(liar(i), l.Address)
	}
	target(watched, w.watched.Address)
	return text
}

// watched is a target that does not lie and sees what the gateway offers it.
const watched = "watched"

// liar is the target's name of a lie.
func liar(i int) string { return fmt.Sprintf("liar-%d", i) }
