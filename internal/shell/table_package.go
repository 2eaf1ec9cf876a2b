package shell

import "github.com/sallyport-gateway/sallyport/internal/gate"

// packagePrograms ask package managers what is there.
func packagePrograms() []Program {
	return []Program{
		{Name: "dpkg", Options: opts("--help", "-l,--list!query -s,--status!query -L,--listfiles!query -S,--search!query -p,--print-avail!query --get-selections!query --print-architecture!query --print-foreign-architectures!query --version!query -V,--verify!query -C,--audit!query --compare-versions!query --no-pager"), Operands: args("text..."), Special: "query", Add: []string{"--no-pager"}},
		{Name: "dpkg-query", Options: opts(usual, "-l,--list!query -s,--status!query -L,--listfiles!query -S,--search!query -W,--show!query -f,--showformat=text -p,--print-avail!query --no-pager"), Operands: args("text..."), Special: "query", Add: []string{"--no-pager"}},
		{Name: "apt-cache", Options: opts(usual, "-n,--names-only -f,--full -a,--all-versions -q,--quiet --installed --no-pager"), Operands: args("const(show|showpkg|search|policy|depends|rdepends|pkgnames|stats|madison|showsrc) package...")},
		{Name: "apt", Options: opts(usual, "-a,--all-versions --installed --upgradable --manual-installed -q -n,--names-only -f,--full"), Operands: args("const(list|show|search|policy|depends|rdepends) package...")},
		{Name: "apt-get", Options: opts(usual, "-s,--simulate,--just-print,--dry-run!query -q,--quiet -qq -V,--verbose-versions -u,--show-upgraded"), Operands: args("const(upgrade|dist-upgrade|autoremove|install|remove) package..."), Special: "query"},
		{Name: "apt-config", Options: opts(usual), Operands: args("const(dump) text")},
		{Name: "pacman", Options: opts(usual, "-Q,--query!query -i,--info -l,--list -s,--search -e,--explicit -d,--deps -t,--unrequired -u,--upgrades -q,--quiet -m,--foreign -n,--native"), Operands: args("text..."), Special: "query"},
		{Name: "apt-mark", Options: opts(usual), Operands: args("const(showmanual|showauto|showhold) text...")},
		{Name: "rpm", Options: opts(usual, "-q,--query!query -a,--all -i,--info -l,--list -f,--file -c,--configfiles -d,--docfiles -R,--requires --provides --whatprovides --whatrequires --changelog --last --qf,--queryformat=rpmformat -V,--verify!query"), Operands: args("text..."), Special: "query"},
		{Name: "apk", Options: opts(usual, "-v,--verbose -q,--quiet"), Operands: args("const(info|list|search|policy|version) text...")},
		{Name: "pip", Aliases: []string{"pip3"}, Options: opts("--help", "-V,--version --disable-pip-version-check"), Add: []string{"--disable-pip-version-check"}, Commands: []Program{
			verb("list", "", "--format=text --not-required --local --user"), verb("show", "text...", "-f,--files -v,--verbose"), verb("freeze", "", "--all --local --user"), verb("check", ""),
		}, Alone: true},
		// npm makes its folder in the home directory whatever it is asked, and sometimes asks
		// for a newer one of itself.
		{Name: "npm", Add: []string{"--no-update-notifier"}, Effects: gate.EffectRead | gate.EffectWrite, Options: append(opts("--no-update-notifier"), Option{Names: []string{"-v", "--version", "--help"}, Effects: gate.EffectWrite}), Alone: true, Commands: []Program{{Name: "ls", Aliases: []string{"list"}, Options: opts("-g,--global --depth=text --json --long -a,--all --parseable"), Operands: args("text...")}}},
		{Name: "snap", Options: opts(usual), Commands: []Program{verb("list", "text...", "--all"), verb("info", "recurse..."), verb("version", ""), verb("services", "text...")}},
		// Programs that run code of their own kind tell their version only.
		{Name: "python3", Aliases: []string{"python", "ssh", "tmux", "nginx", "perl", "ruby", "node", "java", "gcc", "php", "bash", "mysql", "rsync", "vim", "make", "cmake", "strace", "man", "ldd", "emacs", "nano", "zsh", "socat", "gdb", "ed", "patch", "sh", "postgres", "gpg", "htop", "redis-server", "mongod", "dockerd", "containerd", "kubelet", "haproxy", "mysqld", "mariadb", "apache2", "httpd"}, Special: "version", Commands: []Program{
			{Name: "json.tool", Options: opts("--sort-keys --no-ensure-ascii --json-lines --indent=text --tab --no-indent --compact"), Operands: args("read write"), Stdin: true},
		}},
		{Name: "go", Env: []string{noToolchain, noConfig}, Special: "version"},
	}
}
