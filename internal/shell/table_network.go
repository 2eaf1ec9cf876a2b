package shell

import "github.com/sallyport-gateway/sallyport/internal/gate"

// networkPrograms ask other hosts.
func networkPrograms() []Program {
	return []Program{
		{Name: "redis-cli", First: true, Options: opts(usual, "-h=text -p=text -n=text"), Operands: args("const(ping|info|dbsize|lastsave|role|PING|INFO|DBSIZE|LASTSAVE|ROLE) text"), Special: "network"},
		{Name: "mysqladmin", Options: opts("--help", "-h,--host=text -P,--port=text -u,--user=text -s,--silent -V,--version"), Operands: args("const(status|ping|version|processlist|extended-status|variables)"), Special: "network"},
		{Name: "ping", Aliases: []string{"ping6"}, Options: opts("-c=text -i=text -w=text -W=text -s=text -t=text -n -q -4 -6 -O -D -v -V"), Operands: args("text"), Special: "network"},
		{Name: "mtr", Options: opts("--help", "-r,--report -n,--no-dns -b,--show-ips -w,--report-wide -c,--report-cycles=text -4 -6 -T,--tcp -u,--udp -P,--port=text -v,--version"), Operands: args("text"), Special: "network"},
		{Name: "traceroute", Aliases: []string{"traceroute6"}, Options: opts("-n -m=text -q=text -w=text -f=text -p=text -4 -6 -I -T -A"), Operands: args("text text"), Special: "network"},
		{Name: "tracepath", Aliases: []string{"tracepath6"}, Options: opts("-n -b -l=text -m=text -p=text -4 -6 -V"), Operands: args("text"), Special: "network"},
		{Name: "nc", Aliases: []string{"ncat", "netcat"}, Options: opts("-z -v -vv -w=text -n -4 -6 -u"), Operands: args("text text"), Special: "network"},
		{Name: "host", Options: opts("-a -C -d -i -r -s -T -U -v -w -4 -6 -c=text -N=text -R=text -t=text -W=text -V"), Operands: args("text text"), Special: "network"},
		{Name: "nslookup", Words: true, Options: opts("-type=text -query=text -q=text -timeout=text -port=text -debug -nodebug -norecurse -recurse"), Operands: args("text text"), Special: "network"},
		{Name: "dig", Add: []string{"-r"}, Special: "dig"},
		{Name: "pg_isready", Options: opts(usual, "-h,--host=text -p,--port=text -U,--username=text -t,--timeout=text -q,--quiet -V"), Special: "network"},
	}
}

// serverPrograms ask the servers of this host.
func serverPrograms() []Program {
	return []Program{
		// Without a cookie in the home directory Erlang makes one.
		{Name: "rabbitmqctl", Effects: gate.EffectRead | gate.EffectWrite, Options: opts("-p,--vhost=text -q,--quiet -s,--silent --formatter=const(json|csv|table|pretty_table)"), Operands: args("const(list_queues|list_connections|list_channels|list_exchanges|list_bindings|list_consumers|list_vhosts|status|cluster_status|ping|version) text..."), Special: "words"},
		{Name: "rabbitmq-diagnostics", Effects: gate.EffectRead | gate.EffectWrite, Options: opts("-q,--quiet -s,--silent --formatter=const(json|csv|table|pretty_table)"), Operands: args("const(status|ping|alarms|memory_breakdown|check_running|check_local_alarms|check_alarms|listeners|cluster_status|server_version)"), Special: "words"},
		// It keeps a history of what it was asked.
		{Name: "nodetool", Effects: gate.EffectRead | gate.EffectWrite, Operands: args("const(status|info|tpstats|compactionstats|ring|netstats|describecluster|version|gossipinfo|tablestats) text..."), Special: "words"},
		{Name: "etcdctl", Options: opts(usual, "-w,--write-out=const(simple|table|json|fields)"), Commands: []Program{
			{Name: "endpoint", Commands: []Program{verb("health", "", etcdOptions), verb("status", "", etcdOptions)}}, {Name: "member", Commands: []Program{verb("list", "", etcdOptions)}}, {Name: "alarm", Commands: []Program{verb("list", "", etcdOptions)}}, verb("version", ""),
		}},
		{Name: "consul", Options: opts(usual), Commands: []Program{{Name: "members", Words: true, Options: opts("-detailed -wan -status=text")}, verb("info", ""), {Name: "catalog", Commands: []Program{verb("nodes", ""), verb("services", ""), verb("datacenters", "")}}, verb("version", "")}},
		{Name: "vault", Options: opts(usual), Commands: []Program{{Name: "status", Words: true, Options: opts("-format=const(table|json|yaml)")}, verb("version", "")}},
		{Name: "pg_lsclusters", Options: opts("-h,--no-header -j,--json")},
		// Without -f it reads the settings of the server that runs.
		{Name: "sshd", Options: opts("-T!query -C=text"), Special: "query"},
		{Name: "ctr", Options: opts(usual, "-n,--namespace=text"), Commands: []Program{
			{Name: "containers", Aliases: []string{"container", "c"}, Commands: []Program{verb("list ls", "", "-q,--quiet"), verb("info", "text")}},
			{Name: "images", Aliases: []string{"image", "i"}, Commands: []Program{verb("list ls", "", "-q,--quiet")}},
			{Name: "tasks", Aliases: []string{"task", "t"}, Commands: []Program{verb("list ls", "", "-q,--quiet")}}, verb("version", ""),
		}},
		// They fetch the lists of their repositories, and keep them.
		{Name: "dnf", Aliases: []string{"yum"}, Commands: []Program{
			asksRepositories("list", "package..."), asksRepositories("info", "package..."), asksRepositories("search", "text..."), asksRepositories("provides", "text..."), asksRepositories("repolist", ""),
			asksRepositories("check-update", ""), asksRepositories("history", "const(list|info) text..."),
		}},
	}
}

const etcdOptions = "-w,--write-out=const(simple|table|json|fields) --cluster "

func asksRepositories(name, operands string) Program {
	p := verb(name, operands, "--installed --available --updates --upgrades --showduplicates -q,--quiet -C,--cacheonly --enabled --disabled --all")
	p.Effects = gate.EffectRead | gate.EffectWrite | gate.EffectTunnel
	return p
}

// netPrograms tell about the network and the hardware of the host itself; most need root.
func netPrograms() []Program {
	return []Program{
		{Name: "iptables", Aliases: []string{"ip6tables", "iptables-nft", "iptables-legacy"}, Options: opts("--help", "-L,--list!query -S,--list-rules!query -n,--numeric -v,--verbose -x,--exact -t,--table=const(filter|nat|mangle|raw|security) --line-numbers -w -V,--version!query"), Operands: args("text"), Special: "query"},
		{Name: "iptables-save", Aliases: []string{"ip6tables-save"}, Options: opts("-c,--counters -t,--table=const(filter|nat|mangle|raw|security)")},
		// It joins its words to a script, in which a semicolon ends a command.
		{Name: "nft", Options: opts("--help", "-a,--handle -n,--numeric -nn -s,--stateless -j,--json -v,--version"), Operands: args("const(list) const(ruleset|tables|table|chains|chain|sets|set|maps|map|counters|flowtables|hooks) text..."), Special: "words"},
		{Name: "ufw", Options: opts(usual), Operands: args("const(status|version) const(verbose|numbered)")},
		{Name: "firewall-cmd", Options: opts("--state!query --list-all!query --list-all-zones!query --list-ports!query --list-services!query --list-rich-rules!query --list-interfaces!query --list-sources!query --get-zones!query --get-active-zones!query --get-default-zone!query --get-services!query --zone=text --permanent -q,--quiet"), Special: "query"},
		{Name: "ethtool", Words: true, Options: opts("-S,--statistics -i,--driver -k,--show-features,--show-offload -g,--show-ring -c,--show-coalesce -a,--show-pause -T,--show-time-stamping -l,--show-channels -P,--show-permaddr -h,--help --version"), Operands: args("text"), Special: "words"},
		{Name: "bridge", Words: true, Options: opts("--help", "-s,-stats,-statistics -d,-details -j,-json -p,-pretty -c,-color -V"), Operands: args("const(link|fdb|vlan|mdb) const(show|list) const(dev) text"), Special: "words"},
		{Name: "tc", Words: true, Options: opts("--help", "-s,-stats,-statistics -d,-details -j,-json -p,-pretty -V"), Operands: args("const(qdisc|class|filter) const(show|list|ls) const(dev) text"), Special: "words"},
		{Name: "nmcli", Options: opts("--help", "-t,--terse -p,--pretty -f,--fields=text -g,--get-values=text -m,--mode=const(tabular|multiline) -c,--colors=const(no|yes|auto) -o,--overview -v,--version --active"), Operands: args("const(device|dev|d|connection|con|c|general|g) const(status|show) text"), Special: "words"},
		{Name: "brctl", Options: opts(usual), Operands: args("const(show|showmacs|showstp) text")},
		// With dump, or the name of a key, it shows keys.
		{Name: "wg", Options: opts(usual), Operands: args("const(show) text const(endpoints|allowed-ips|latest-handshakes|transfer|peers|listen-port|public-key|fwmark|persistent-keepalive)"), Special: "words"},
		{Name: "ovs-vsctl", Operands: args("const(show|list-br)")},
		{Name: "conntrack", Options: opts(usual, "-L,--dump!query -C,--count!query -S,--stats!query -p,--proto=text -s,--src,--orig-src=text -d,--dst,--orig-dst=text --sport,--orig-port-src=text --dport,--orig-port-dst=text --state=text -f,--family=text -o,--output=text"), Operands: args("const(conntrack|expect|dying|unconfirmed)"), Special: "query"},
		{Name: "ipset", Words: true, Options: opts("-t,-terse -n,-name -s,-sorted -r,-resolve"), Operands: args("const(list) text"), Special: "words"},
		{Name: "ipvsadm", Options: opts("-L,-l,--list!query -n,--numeric -c,--connection --stats --rate --exact"), Special: "query"},
		{Name: "exportfs", Options: opts("-v!query -s!query"), Special: "query"},
		{Name: "nfsstat", Options: opts("-s,--server -c,--client -n,--nfs -r,--rpc -m,--mounts -2 -3 -4 -l,--list")},
		// Without a command it reads commands from its input.
		{Name: "chronyc", All: true, Options: opts("-n -N -c -v -a -4 -6"), Operands: args("const(tracking|sources|sourcestats|activity|clients|serverstats|ntpdata)")},
		{Name: "ntpq", Options: opts("-p,--peers!query -n,--numeric -4 -6"), Special: "query"},
		{Name: "lshw", Words: true, Options: opts("-short -C=text -c=text -class=text -json -businfo -quiet -numeric -sanitize -version")},
		{Name: "dmidecode", Options: opts("-t,--type=text -s,--string=text -q,--quiet -u,--dump -V,--version -h,--help")},
		{Name: "smartctl", Options: opts("--help", "-a,--all -x,--xall -H,--health -i,--info -A,--attributes -c,--capabilities -l,--log=const(error|selftest|selective|directory) -j,--json --scan -V,--version"), Operands: args("stat")},
		{Name: "nvme", Options: opts("-v,--verbose -o,--output-format=const(normal|json)"), Operands: args("const(list)")},
		{Name: "mdadm", Options: opts("-D,--detail!query -Q,--query!query -s,--scan -Y,--export -V,--version!query -v,--verbose"), Operands: args("stat..."), Special: "query"},
		{Name: "dmsetup", Commands: []Program{verb("ls", "", "--tree --target=text"), verb("info", "text...", "-c,-C,--columns --noheadings"), verb("status", "text...", "--target=text")}},
		{Name: "fdisk", Options: opts("--help", "-l,--list!query -x,--list-details!query -o,--output=text -V,--version!query"), Operands: args("stat..."), Special: "query"},
		{Name: "sfdisk", Options: opts("--help", "-l,--list!query -F,--list-free!query -V,--version!query"), Operands: args("stat..."), Special: "query"},
		{Name: "iotop", Options: opts("--help", "-b,--batch!query -n,--iter=text -o,--only -P,--processes -a,--accumulated -k,--kilobytes -t,--time -q,--quiet -d,--delay=text -p,--pid=text -u,--user=text --version!query"), Special: "query"},
		{Name: "efibootmgr", Options: opts("-v,--verbose -V,--version")},
		{Name: "pvdisplay", Aliases: []string{"vgdisplay", "lvdisplay"}, Options: opts(usual, "-c,--colon -s,--short -m,--maps -v,--verbose --units=text --readonly"), Operands: args("text...")},
		{Name: "pvs", Aliases: []string{"vgs", "lvs"}, Options: opts(usual, "-a,--all -o,--options=text -O,--sort=text -S,--select=text -v,--verbose --units=text --noheadings --nosuffix --separator=text --reportformat=const(basic|json) --readonly"), Operands: args("text...")},
		{Name: "zpool", Options: opts("--version"), Commands: []Program{verb("status", "text...", "-v -x -P -L"), verb("list", "text...", "-H -p -v -P -L -o=text"), verb("get", "text...", "-H -p -o=text")}},
		{Name: "zfs", Options: opts("--version"), Commands: []Program{verb("list", "text...", "-H -p -r -d=text -o=text -t=text -s=text -S=text"), verb("get", "text...", "-H -p -r -d=text -o=text -t=text -s=text")}},
		{Name: "btrfs", Options: opts(usual), Commands: []Program{{Name: "filesystem", Aliases: []string{"fi"}, Commands: []Program{verb("usage", "stat...", "-h -b -k -m -g -T"), verb("df", "stat", "-h -b -k -m -g"), verb("show", "stat", "-h -m -d")}}}},
		{Name: "sensors", Options: opts("-A -f -j -u -v -h --help --version"), Operands: args("text...")},
		{Name: "nvidia-smi", Options: opts("-L,--list-gpus -q,--query -i,--id=text -d,--display=text --query-gpu=text --query-compute-apps=text --format=text -h,--help")},
		{Name: "numactl", Options: opts("--help", "-H,--hardware -s,--show")},
	}
}
