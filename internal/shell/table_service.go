package shell

import "github.com/sallyport-gateway/sallyport/internal/gate"

// verb makes a subcommand.
func verb(names, operands string, options ...string) Program {
	all := splitNames(names)
	return Program{Name: all[0], Aliases: all[1:], Options: opts(options...), Operands: args(operands)}
}

// changes makes subcommands that have an effect.
func changes(e gate.Effects, operands string, names ...string) []Program {
	var all []Program
	for _, n := range names {
		p := verb(n, operands)
		p.Effects = e
		all = append(all, p)
	}
	return all
}

const systemdOptions = "--no-pager --user --system -a,--all -t,--type=text --state=text --failed -l,--full -n,--lines=text -o,--output=text --plain -p,--property=text -q,--quiet --no-legend --value --reverse --recursive -r "

const kubeOptions = "-n,--namespace=text -A --all-namespaces[=const(true|false)] -o,--output=kube -l,--selector=text --field-selector=text --show-labels[=const(true|false)] --sort-by=text --no-headers[=const(true|false)] " +
	"-w --watch[=const(true|false)] --context=text --request-timeout=text --show-kind[=const(true|false)] -L,--label-columns=text --ignore-not-found[=const(true|false)] --chunk-size=text "

// rawPaths are what kubectl get --raw may ask the server for: of its own state, and no
// path by which the server asks somebody else.
const rawPaths = "/healthz|/livez|/readyz|/healthz?verbose|/livez?verbose|/readyz?verbose|/version|/metrics|/api|/apis|/apis/metrics.k8s.io/v1beta1/nodes|/apis/metrics.k8s.io/v1beta1/pods"

const helmOptions = "-n,--namespace=text --kube-context=text -o,--output=const(table|json|yaml) "

// servicePrograms are the verbs of service managers, containers, clusters and
// git.
func servicePrograms() []Program {
	return []Program{
		{Name: "systemctl", Alone: true, Add: []string{"--no-pager"}, Options: opts(usual, systemdOptions), Commands: append([]Program{
			dashed(verb("status", "text...", systemdOptions)), dashed(verb("show", "text...", systemdOptions)), dashed(verb("cat", "text...", systemdOptions)),
			dashed(verb("is-active", "text...", systemdOptions)), dashed(verb("is-enabled", "text...", systemdOptions)), dashed(verb("is-failed", "text...", systemdOptions)),
			verb("is-system-running", "", systemdOptions), verb("list-units", "text...", systemdOptions), verb("list-unit-files", "text...", systemdOptions),
			verb("list-timers", "text...", systemdOptions), verb("list-sockets", "text...", systemdOptions), verb("list-jobs", "text...", systemdOptions),
			verb("list-dependencies", "text...", systemdOptions), verb("list-machines", "text...", systemdOptions), verb("get-default", "", systemdOptions),
			verb("show-environment", "", systemdOptions),
		}, changes(gate.EffectAdmin, "text...", "start", "stop", "restart", "reload", "try-restart", "reload-or-restart", "enable", "disable", "mask", "unmask", "daemon-reload", "kill", "reset-failed")...)},
		{Name: "journalctl", Add: []string{"--no-pager"}, Options: opts("--no-pager --system --user -m,--merge -b,--boot[=text] -u,--unit=text --user-unit=text -t,--identifier=text -p,--priority=text -g,--grep=text --case-sensitive[=text] -S,--since=text -U,--until=text -c,--cursor=text --after-cursor=text --show-cursor -k,--dmesg -n,--lines[=lines] -r,--reverse -o,--output=text --output-fields=text -x,--catalog -l,--full --no-full -a,--all -f,--follow --no-tail -q,--quiet --utc --no-hostname -e,--pager-end --list-boots --disk-usage -N,--fields -F,--field=text --header --facility=text --version --help -h"), Operands: args("text..."), Number: true, Special: "journal"},
		{Name: "service", Options: opts("--status-all!query"), Operands: args("name const(status)"), All: true, Special: "service"},
		{Name: "hostnamectl", Add: []string{"--no-pager"}, Options: opts(usual, "--no-pager --json=text --static --pretty --transient"), Operands: args("const(status)")},
		{Name: "localectl", Add: []string{"--no-pager"}, Options: opts(usual, "--no-pager"), Operands: args("const(status|list-locales|list-keymaps)")},
		{Name: "systemd-cgls", Add: []string{"--no-pager"}, Options: opts(usual, "--no-pager -a,--all -l,--full -k")},
		{Name: "timedatectl", Add: []string{"--no-pager"}, Options: opts(usual, "--no-pager -p,--property=text --value -a,--all"), Operands: args("const(status|show|timesync-status|list-timezones)")},
		{Name: "networkctl", Add: []string{"--no-pager"}, Options: opts(usual, "--no-pager --no-legend -a,--all -s,--stats -l,--full -n,--lines=text"), Operands: args("const(list|status|lldp) text...")},
		// What it calls info is what the journal has of a crash.
		{Name: "coredumpctl", Add: []string{"--no-pager"}, Options: opts(usual, "--no-pager --no-legend -1 -r,--reverse -S,--since=text -U,--until=text -n=text -q,--quiet"), Operands: args("const(list|info) text...")},
		{Name: "loginctl", Add: []string{"--no-pager"}, Options: opts(usual, "--no-pager --no-legend -a,--all -l,--full -p,--property=text --value"), Operands: args("const(list-sessions|list-users|list-seats|show-session|show-user|session-status|user-status) text...")},
		{Name: "resolvectl", Add: []string{"--no-pager"}, Options: opts(usual, "--no-pager"), Alone: true, Commands: []Program{verb("status", "text..."), verb("statistics", ""), verb("dns", "text"), verb("domain", "text"), {Name: "query", Options: opts("-4 -6 -t,--type=text"), Operands: args("text"), Special: "network", Effects: gate.EffectTunnel}}},
		{Name: "systemd-analyze", Add: []string{"--no-pager"}, Options: opts(usual, "--no-pager"), Operands: args("const(time|blame|critical-chain) text...")},
		{Name: "systemd-cgtop", Options: opts(usual, "-b,--batch -n,--iterations=text -d,--delay=text -p -t -c -m -i -k -P -r,--raw --order=const(path|tasks|cpu|memory|io) --depth=text")},
		{Name: "systemd-detect-virt", Options: opts(usual, "-c,--container -v,--vm -r,--chroot -q,--quiet --list")},
		docker("docker"), docker("podman"),
		{Name: "helm", Env: []string{noKubeCache}, Options: opts("--help", "-n,--namespace=text --kube-context=text"), Commands: []Program{
			verb("list ls", "", helmOptions, "-A,--all-namespaces -a,--all -q,--short -d,--date -r,--reverse -m,--max=text -f,--filter=text --deployed --failed --pending -l,--selector=text"),
			verb("status", "text", helmOptions, "--revision=text --show-desc"), verb("history hist", "text", helmOptions, "--max=text"),
			{Name: "get", Commands: []Program{verb("values", "text", helmOptions, "-a,--all --revision=text"), verb("manifest", "text", helmOptions, "--revision=text"), verb("notes", "text", helmOptions, "--revision=text"), verb("hooks", "text", helmOptions, "--revision=text"), verb("all", "text", helmOptions, "--revision=text"), verb("metadata", "text", helmOptions, "--revision=text")}},
			verb("version", "", "--short"), verb("env", "text"), {Name: "repo", Commands: []Program{verb("list ls", "", "-o,--output=const(table|json|yaml)")}},
		}},
		{Name: "crictl", Options: opts(usual), Commands: []Program{
			verb("ps", "text...", "-a,--all -q,--quiet -o,--output=text --no-trunc --name=text --pod=text --state=text -l,--latest"), verb("pods", "text...", "-q,--quiet -o,--output=text --name=text --namespace=text --state=text"),
			verb("images img", "text...", "-q,--quiet -o,--output=text --digests --no-trunc -v"), verb("inspect", "text...", "-o,--output=text"), verb("inspectp", "text...", "-o,--output=text"),
			verb("inspecti", "text...", "-o,--output=text"), verb("logs", "text...", "--tail=text --since=text -t,--timestamps -f,--follow -p,--previous"), verb("stats", "text...", "-a,--all -o,--output=text"),
			verb("info", "", "-o,--output=text"), verb("version", ""), verb("imagefsinfo", ""),
		}},
		// It keeps what servers offer in the home directory.
		{Name: "kubectl", Options: opts("--help", kubeOptions, "--cache-dir=const(/dev/null)"), Add: []string{"--cache-dir=/dev/null"}, Special: "kube", Commands: append([]Program{
			dashed(verb("get", "text...", kubeOptions, "--show-managed-fields --raw=const("+rawPaths+")")), dashed(verb("describe", "text...", kubeOptions, "--show-events[=const(true|false)]")),
			dashed(verb("logs", "text...", "-n,--namespace=text -c,--container=text --tail=text --since=text --since-time=text -f --follow[=const(true|false)] -p --previous[=const(true|false)] --all-containers[=const(true|false)] --timestamps[=const(true|false)] -l,--selector=text --prefix[=const(true|false)] --context=text --limit-bytes=text --ignore-errors --max-log-requests=text")),
			{Name: "top", Commands: []Program{dashed(verb("pods pod po", "text...", kubeOptions, "--containers[=const(true|false)]")), dashed(verb("nodes node no", "text...", kubeOptions))}},
			verb("wait", "text...", "-n,--namespace=text -A --all-namespaces --for=text --timeout=text -l,--selector=text --field-selector=text --all -o,--output=kube --context=text"),
			verb("version", "", "--client --short -o,--output=const(json|yaml)"), verb("api-resources", "text...", kubeOptions, "--namespaced[=const(true|false)] --api-group=text --verbs=text"), verb("api-versions", ""), verb("explain", "text...", "--recursive --api-version=text"),
			// Without a directory for it, what is dumped is printed.
			{Name: "cluster-info", Alone: true, Options: opts("--context=text"), Commands: []Program{verb("dump", "", "-n,--namespace=text -A --all-namespaces --namespaces=text -o,--output=const(json|yaml) --context=text")}},
			verb("events", "text...", kubeOptions, "--types=text --for=text"),
			{Name: "config", Commands: []Program{verb("get-contexts", "text...", "-o,--output=const(name) --no-headers"), verb("current-context", ""), verb("view", "", "--minify -o,--output=const(json|yaml)"), verb("get-clusters", ""), verb("get-users", "")}},
			{Name: "rollout", Commands: append([]Program{verb("status", "text...", kubeOptions, "--timeout=text"), verb("history", "text...", kubeOptions, "--revision=text")}, changes(gate.EffectAdmin, "text...", "restart", "undo", "pause", "resume")...)},
			{Name: "auth", Commands: []Program{verb("can-i", "text...", kubeOptions, "--list"), verb("whoami", "", "-o,--output=const(json|yaml)")}},
		}, changes(gate.EffectAdmin, "text...", "scale", "cordon", "uncordon", "drain", "delete", "label", "annotate", "taint")...)},
		{Name: "git", Options: opts(usual), Special: "git"},
	}
}

// dashed is a subcommand to which whatever stands behind two dashes is a name.
func dashed(p Program) Program { p.Dashes = true; return p }

// docker are the reading verbs of docker and podman. A plugin's verb is not among
// them.
func docker(name string) Program {
	list := "-a,--all -q,--quiet --no-trunc -f,--filter=text --format=text -n,--last=text -l,--latest -s,--size --digests "
	inspect := "-f,--format=text -s,--size --type=text "
	group := func(names string, more ...Program) Program {
		p := verb(names, "")
		p.Commands = append([]Program{verb("ls list ps", "text...", list), dashed(verb("inspect", "text...", inspect))}, more...)
		return p
	}
	var pods []Program
	var effects gate.Effects
	if name == "podman" {
		effects = gate.EffectRead | gate.EffectWrite // it makes and locks its store, which lies in the home directory
		pods = []Program{group("pod", verb("top", "text"), verb("stats", "text...", "-a,--all --no-stream --format=text"))}
	}
	return Program{Name: name, Effects: effects, Options: opts(usual), Commands: append(append([]Program{
		verb("ps", "", list), verb("images", "text...", list), dashed(verb("inspect", "text...", inspect)),
		dashed(verb("logs", "text", "-f,--follow --since=text --until=text -n,--tail=text -t,--timestamps --details")),
		dashed(verb("stats", "text...", "-a,--all --no-stream --no-trunc --format=text")), verb("top", "text const(aux|auxf|axf|-ef|-aux)"), dashed(verb("port", "text text")),
		dashed(verb("diff", "text")), verb("history", "text", "-H,--human --no-trunc -q,--quiet --format=text"),
		verb("version", "", "-f,--format=text"), verb("info", "", "-f,--format=text"),
		verb("events", "", "--since=text --until=text -f,--filter=text --format=text"),
		group("container", verb("logs", "text", "--tail=text --since=text -t -f"), verb("stats", "text...", "--no-stream --format=text -a"), verb("top", "text const(aux|auxf|axf|-ef|-aux)"), verb("port", "text text"), verb("diff", "text")),
		group("image", verb("history", "text", "--no-trunc -q --format=text")), group("network"), group("volume"), group("context", verb("show", "")),
		{Name: "system", Commands: []Program{verb("df", "", "-v,--verbose --format=text"), verb("info", "", "-f,--format=text")}},
		{Name: "stack", Commands: []Program{verb("ls list", "", "--format=text"), verb("ps", "text", list), verb("services", "text", "-q,--quiet -f,--filter=text --format=text")}},
		{Name: "secret", Commands: []Program{verb("ls list", "", list)}}, {Name: "config", Commands: []Program{verb("ls list", "", list)}}, {Name: "plugin", Commands: []Program{verb("ls list", "", list)}},
		{Name: "node", Commands: []Program{verb("ls", "", list), verb("ps", "text...", list), verb("inspect", "text...", inspect, "--pretty")}},
		{Name: "service", Commands: []Program{verb("ls", "", list), verb("ps", "text...", list), verb("inspect", "text...", inspect, "--pretty"), verb("logs", "text", "--tail=text --since=text -t -f --no-trunc --raw")}},
	}, pods...), changes(gate.EffectAdmin, "text...", "start", "stop", "restart", "kill", "pause", "unpause")...)}
}
