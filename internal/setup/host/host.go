// Package host says what an account at an SSH host can do beyond what agents need.
//
// The gateway decides every command, but a mistake in it should meet a second wall:
// an account that can do nothing else. [Probe] is a command that only looks: who the
// account is, what sudo(8) lets it do without a password, and which of the places
// that others trust it can write. [Findings] reads what that printed and says what of
// it is too much, why, and what to do.
//
// The package runs nothing: its caller runs the command at the host with the target's
// credential. It sees what the account sees; a program with the set-user-id bit, a
// faulty kernel or a service on loopback that believes every local caller is not
// found. sudo's output is as in sudo(8), -l: rules in parentheses with tags.
package host

import (
	"errors"
	"slices"
	"strings"
)

// Finding is one thing that the account can do and should not.
type Finding struct {
	// What is the right, in few words.
	What string `json:"what"`
	// Objects are what it is a right on; empty where there is but one.
	Objects []string `json:"objects,omitempty"`
	// Why says what it would let somebody do who got past the gateway.
	Why string `json:"why"`
	// Do says what takes it away.
	Do string `json:"do"`
}

// Probe is a command line for every Bourne shell that prints what Findings reads. It
// changes nothing at the host, and asks for no password.
const Probe = `exec /bin/sh -c '` + probe + `'`

// probe must hold no single quote. It ends with a line "end", without which the
// output is not whole.
const probe = `
searched=$PATH
PATH=$PATH:/usr/bin:/bin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
set -f
p() { printf "%s %s\n" "$1" "$2"; }
p uid "$(id -u)"
p name "$(id -un)"
for g in $(id -Gn); do p group "$g"; done
command -v sudo >/dev/null 2>&1 && sudo -n -l 2>/dev/null </dev/null | head -n 500 | sed "s/^/sudo /"
IFS=:
for d in $searched; do
	case $d in
	/*) [ -d "$d" ] && [ -w "$d" ] && p path "$d" ;;
	*) p relative "$d" ;;
	esac
done
unset IFS
for f in /etc /etc/passwd /etc/shadow /etc/group /etc/sudoers /etc/sudoers.d /etc/profile /etc/profile.d /etc/bash.bashrc /etc/bashrc \
	/etc/environment /etc/ld.so.preload /etc/ld.so.conf.d /etc/ssh /etc/ssh/sshd_config /etc/ssh/sshd_config.d /etc/ssh/sallyport \
	/etc/cron.d /etc/crontab /etc/cron.hourly /etc/cron.daily /var/spool/cron /etc/systemd/system /usr/lib/systemd/system /etc/init.d /root \
	/usr/bin/sudo /bin/sh /bin/bash; do
	[ -w "$f" ] && p writable "$f"
done
for f in /etc/shadow /etc/sudoers /root /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_ecdsa_key; do
	[ -r "$f" ] && p readable "$f"
done
for f in /var/run/docker.sock /run/docker.sock /run/podman/podman.sock /run/containerd/containerd.sock /run/crio/crio.sock /var/lib/lxd/unix.socket; do
	[ -w "$f" ] && p socket "$f"
done
echo end
`

// maxOutput bounds what a host may print: PATH, groups and sudo rules are kilobytes.
const maxOutput = 1 << 20

// account is what a host says of the account.
type account struct {
	uid, name string
	sudo      []string
	lists     map[string][]string // group, path, relative, writable, readable, socket
}

// Findings reads the output of Probe. None means that the account can do no more than
// what its files and the host's programs allow to everybody.
func Findings(out []byte) ([]Finding, error) {
	a, err := read(out)
	if err != nil {
		return nil, err
	}
	if a.uid == "0" {
		// Everything else follows from it, and the probe finds all of it.
		return []Finding{{What: "is root", Why: "whatever runs as root is stopped by nothing at the host: the gateway is the only wall",
			Do: "use an account of its own: sallyport setup ssh prints one"}}, nil
	}
	var all []Finding
	all = append(all, a.sudoFindings()...)
	all = append(all, a.groupFindings()...)
	return append(all, a.placeFindings()...), nil
}

var errOutput = errors.New("what the host printed is not the whole answer to the probe")

func read(out []byte) (*account, error) {
	if len(out) > maxOutput {
		return nil, errOutput
	}
	a := &account{lists: map[string][]string{}}
	whole := false
	for line := range strings.Lines(string(out)) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		whole = false
		switch word {
		case "uid":
			a.uid = rest
		case "name":
			a.name = rest
		case "sudo":
			a.sudo = append(a.sudo, rest)
		case "end":
			whole = rest == ""
		case "group", "path", "relative", "writable", "readable", "socket":
			a.lists[word] = append(a.lists[word], rest)
		default:
			return nil, errOutput // a start-up file that prints, or a shell that is not one
		}
	}
	if !whole || a.uid == "" {
		return nil, errOutput
	}
	for _, list := range a.lists {
		slices.Sort(list)
	}
	return a, nil
}

// sudoFindings reads the rules of sudo -l. A rule without a password for one command
// with its arguments is what setup proposes, and no finding.
func (a *account) sudoFindings() []Finding {
	var open []string
	for _, rule := range sudoRules(a.sudo) {
		if tooWide(rule) {
			open = append(open, rule)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return []Finding{{What: "may run commands by sudo without a password", Objects: open,
		Why: "a command that is not named with its arguments can be made to run others: editors, package managers, interpreters and most tools that read a configuration do",
		Do:  "in sudoers, name each command by its absolute path with all its arguments, without *"}}
}

// sudoRules returns "(runas) command" for each command that needs no password.
func sudoRules(lines []string) []string {
	var rules []string // joined: sudo may break long ones
	unasked := false
	for _, line := range lines {
		switch trimmed := strings.TrimSpace(line); {
		case strings.Contains(line, "!authenticate"):
			unasked = true
		case strings.HasPrefix(trimmed, "("):
			rules = append(rules, trimmed)
		case len(rules) > 0 && trimmed != "" && strings.HasPrefix(line, " "):
			rules[len(rules)-1] += " " + trimmed
		}
	}
	var all []string
	for _, rule := range rules {
		as, list, _ := strings.Cut(rule, ") ")
		free := unasked
		for _, command := range splitCommands(list) {
			for {
				tag, rest, found := strings.Cut(command, ":")
				if !found || strings.Trim(tag, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
					break
				}
				// Tags hold for the commands after them, too.
				switch tag {
				case "NOPASSWD":
					free = true
				case "PASSWD":
					free = false
				}
				command = strings.TrimSpace(rest)
			}
			if free && !strings.HasPrefix(command, "!") {
				all = append(all, as+") "+command)
			}
		}
	}
	return all
}

// splitCommands splits at the commas that are not escaped.
func splitCommands(list string) []string {
	var all []string
	begin := 0
	for i := 0; i < len(list); i++ {
		switch list[i] {
		case '\\':
			i++
		case ',':
			all = append(all, strings.TrimSpace(list[begin:i]))
			begin = i + 1
		}
	}
	return append(all, strings.TrimSpace(list[begin:]))
}

// tooWide reports whether a rule lets more through than one command: with a pattern,
// or without arguments, which lets any through.
func tooWide(rule string) bool {
	_, command, _ := strings.Cut(rule, ") ")
	program, arguments, given := strings.Cut(command, " ")
	return !strings.HasPrefix(program, "/") || !given || strings.HasSuffix(program, "/") || strings.ContainsAny(program+arguments, "*?[^")
}

// groups are those that amount to more than their name says.
var groups = map[string]string{
	"root":            "files of root's group are often writable by it",
	"sudo":            "its members may run anything as root, by Debian's and Ubuntu's sudoers",
	"wheel":           "its members may run anything as root, by the sudoers of Red Hat, Arch and the BSDs",
	"admin":           "its members may run anything as root, by older Ubuntu's sudoers",
	"docker":          "whoever speaks with the Docker daemon starts a container with the host's root file system",
	"podman":          "whoever speaks with a system-wide Podman service starts a container with the host's root file system",
	"lxd":             "whoever speaks with LXD starts a container with the host's root file system",
	"incus":           "whoever speaks with Incus starts a container with the host's root file system",
	"incus-admin":     "whoever speaks with Incus starts a container with the host's root file system",
	"libvirt":         "whoever speaks with libvirt starts a machine with any disk of the host",
	"disk":            "its members read and write the disks below the file systems, whatever the files' modes",
	"kmem":            "its members read the kernel's memory",
	"shadow":          "its members read the password hashes in /etc/shadow",
	"adm":             "its members read the logs of all services, with whatever secrets those hold",
	"systemd-journal": "its members read the logs of all services, with whatever secrets those hold",
	"staff":           "its members write /usr/local, whose programs come first in everybody's PATH, on Debian",
	"kvm":             "its members start virtual machines",
	"input":           "its members read what is typed on the console",
	"video":           "its members read what the console shows",
	"tty":             "its members write to the terminals of others",
	"ssl-cert":        "its members read the private keys of services in /etc/ssl/private",
	"wireshark":       "its members read the network's packets",
	"pcap":            "its members read the network's packets",
}

func (a *account) groupFindings() []Finding {
	var all []Finding
	for _, g := range a.lists["group"] {
		if why, bad := groups[g]; bad {
			all = append(all, Finding{What: "is in the group " + g, Why: why, Do: "gpasswd --delete " + a.account() + " " + g})
		}
	}
	return all
}

func (a *account) account() string {
	if a.name == "" {
		return "ACCOUNT"
	}
	return a.name
}

func (a *account) placeFindings() []Finding {
	var all []Finding
	for _, p := range []struct{ list, what, why, do string }{
		{"path", "may write a directory of its PATH", "a program that is put there runs in the place of one that the gateway knows by name",
			"take the directory from the account's PATH, or its write permission away"},
		{"relative", "has a PATH with a relative part", "what runs then depends on the working directory",
			"write absolute directories only, in SetEnv of sshd_config or the shell's start-up files"},
		{"writable", "may write what others trust", "root, or everybody, reads or runs what stands there",
			"give the place to root, without write permission for others: chown root:root, chmod go-w"},
		{"readable", "may read what only root should", "it holds keys, or hashes of passwords, of others",
			"take the read permission away: chmod o-r, or the account's group"},
		{"socket", "may speak with a daemon that runs containers", "it starts a container with the host's root file system for whoever asks",
			"take the account from the socket's group"},
	} {
		if objects := a.lists[p.list]; len(objects) > 0 {
			all = append(all, Finding{What: p.what, Objects: objects, Why: p.why, Do: p.do})
		}
	}
	return all
}
