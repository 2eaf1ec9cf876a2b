package shell

import (
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/hostpath"
)

// gitAdd are the words that keep git from running what a pager setting names, and
// from writing its index, which runs a hook, when it only looks (git(1)).
var gitAdd = []string{"--no-pager", "--no-optional-locks", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "diff.autoRefreshIndex=false"}

// gitUnverified keeps archive from running gpg, gpgsm or ssh-keygen for a file with the
// attribute export-subst that asks for a signature (gitattributes(5)).
var gitUnverified = []string{"-c", "gpg.program=false", "-c", "gpg.openpgp.program=false", "-c", "gpg.x509.program=false", "-c", "gpg.ssh.program=false"}

// gitCommands are the subcommands that read, with their options. What names a
// program or a file to write (--output, --ext-diff, --textconv, -O,
// --open-files-in-pager, --upload-pack, --exec, --contents) is not among them.
var gitCommands = func() map[string]*Program {
	diff := "-p,-u,--patch -s,--no-patch -U,--unified[=text] --raw --patch-with-raw --indent-heuristic --minimal --patience --histogram " +
		"--diff-algorithm=text --stat[=text] --compact-summary --numstat --shortstat --dirstat[=text] --summary --patch-with-stat -z --name-only " +
		"--name-status --color[=text] --no-color --color-moved[=text] --word-diff[=text] --color-words[=text] --no-renames --check --full-index " +
		"--abbrev[=text] -B,--break-rewrites[=text] -M,--find-renames[=text] -C,--find-copies[=text] --find-copies-harder -D,--irreversible-delete " +
		"--diff-filter=text -S=text -G=text --pickaxe-all --pickaxe-regex -R --relative -a,--text -b,--ignore-space-change -w,--ignore-all-space " +
		"--ignore-space-at-eol --ignore-cr-at-eol --ignore-blank-lines --inter-hunk-context=text -W,--function-context --exit-code --quiet " +
		"--no-ext-diff --no-textconv --src-prefix=text --dst-prefix=text --no-prefix --ignore-submodules[=text] -m -c --cc --combined-all-paths "
	log := "--follow --no-decorate --decorate[=text] --decorate-refs=text --source --log-size --max-count,-n=text --skip=text --since,--after=text " +
		"--until,--before=text --author,--committer=text --grep=text --all-match --invert-grep -i,--regexp-ignore-case -E,--extended-regexp " +
		"-F,--fixed-strings -P,--perl-regexp --merges --no-merges --first-parent --all --branches[=text] --tags[=text] --remotes[=text] --glob=text " +
		"--exclude=text --reflog --left-right --cherry-pick --cherry-mark --cherry --walk-reflogs,-g --boundary --simplify-by-decoration " +
		"--full-history --date-order --author-date-order --topo-order --reverse --no-walk --do-walk --pretty,--format[=text] --abbrev-commit " +
		"--no-abbrev-commit --oneline --date=text --relative-date --parents --children --graph --show-linear-break[=text] --clear-decorations -L=text -q "
	numbered := func(p *Program) *Program { p.Number = true; return p }
	program := func(name, operands string, options ...string) *Program {
		return &Program{Name: name, Options: opts(options...), Operands: args(operands)}
	}
	list := []*Program{
		program("archive", "text...", "--format=const(tar|zip) --prefix=text -l,--list -v,--verbose"),
		program("status", "text...", "-s,--short -b,--branch --show-stash --porcelain[=text] --long -u,--untracked-files[=text] --ignore-submodules[=text] --ignored[=text] -z --column[=text] --no-column --ahead-behind --no-ahead-behind --renames --no-renames --find-renames[=text]"),
		program("diff", "text...", diff, "--cached,--staged --merge-base -1,--base -2,--ours -3,--theirs -0"),
		numbered(program("log", "text...", strings.ReplaceAll(diff+log, " -q ", " "))),
		numbered(program("show", "text...", strings.ReplaceAll(diff+log, " -q ", " "))),
		numbered(program("whatchanged", "text...", strings.ReplaceAll(diff+log, " -q ", " "))),
		numbered(program("rev-list", "text...", log+"--count --objects --no-object-names --left-only --right-only --timestamp --quiet")),
		program("shortlog", "text...", "-n,--numbered -s,--summary -e,--email --format=text --date=text --since,--after=text --until,--before=text --no-merges --merges --all --group=text -c,--committer --author=text"),
		program("ls-files", "text...", "-c,--cached -d,--deleted -m,--modified -o,--others -i,--ignored -s,--stage -k,--killed -u,--unmerged -z -x,--exclude=text --exclude-standard --error-unmatch --full-name --abbrev[=text] -t -v --eol --deduplicate --directory --no-empty-directory"),
		program("ls-tree", "text...", "-d -r -t -l,--long -z --name-only --name-status --object-only --full-name --full-tree --abbrev[=text] --format=text"),
		program("cat-file", "text...", "-t -s -p -e"),
		program("rev-parse", "text...", "--abbrev-ref[=text] --short[=text] --verify -q,--quiet --show-toplevel --git-dir --absolute-git-dir --git-common-dir --is-inside-work-tree --is-inside-git-dir --is-bare-repository --show-prefix --show-cdup --all --branches[=text] --tags[=text] --symbolic --symbolic-full-name --is-shallow-repository"),
		program("describe", "text...", "--all --tags --contains --abbrev[=text] --candidates=text --exact-match --long --match=text --exclude=text --always --first-parent"),
		program("blame", "text...", "-b --root --show-stats -L=text -l -t -p,--porcelain --line-porcelain -M[=text] -C[=text] -c -s -e,--show-email -w --date=text --abbrev[=text] --since=text --reverse --first-parent -f,--show-name -n,--show-number --color-lines --color-by-age"),
		program("annotate", "text...", "-L=text -l -t -s -e -w --date=text"),
		program("grep", "text...", "-n,--line-number -i,--ignore-case -w,--word-regexp -v,--invert-match -h -H --full-name -E,--extended-regexp -G,--basic-regexp -P,--perl-regexp -F,--fixed-strings -l,--files-with-matches,--name-only -L,--files-without-match -c,--count --color[=text] --no-color --break --heading -p,--show-function -A,--after-context=text -B,--before-context=text -C,--context=text -W,--function-context -e=text --and --or --not --all-match -q,--quiet --cached -I -a,--text -z,--null -o,--only-matching --column -m,--max-count=text --max-depth=text -r,--recursive --untracked"),
		program("for-each-ref", "text...", "--count=text --sort=text --format=text --points-at=text --merged[=text] --no-merged[=text] --contains[=text] --no-contains[=text] --ignore-case"),
		program("show-ref", "text...", "--head --heads --branches --tags -d,--dereference -s,--hash[=text] --verify --abbrev[=text] -q,--quiet --exists"),
		program("merge-base", "text...", "-a,--all --octopus --is-ancestor --fork-point --independent"),
		program("name-rev", "text...", "--tags --refs=text --exclude=text --all --name-only --no-undefined --always"),
		program("cherry", "text...", "-v --abbrev[=text]"),
		program("count-objects", "", "-v,--verbose -H,--human-readable"),
		program("diff-tree", "text...", diff, "-r -t --root --stdin --no-commit-id -v --pretty[=text] --always"),
		program("diff-index", "text...", diff, "--cached"),
		program("diff-files", "text...", diff),
		program("check-ignore", "text...", "-q,--quiet -v,--verbose -n,--non-matching --no-index"),
		program("check-attr", "text...", "-a,--all --cached"),
		program("fsck", "", "--full --no-full --strict --no-dangling --no-progress --connectivity-only --unreachable --no-reflogs --verbose"),
		program("version", "", "--build-options"),
		program("var", "text", "-l"),
	}
	m := map[string]*Program{}
	for _, p := range list {
		m[p.Name] = p
	}
	return m
}()

// gitSpecial are the subcommands that read in some forms only.
var gitSpecial = map[string]*Program{
	"branch":       {Name: "branch", Options: opts("-a,--all -r,--remotes -v,-vv,--verbose --show-current --sort=text --format=text --merged[=text]!list --no-merged[=text]!list --contains[=text]!list --no-contains[=text]!list --points-at=text!list -i,--ignore-case --color[=text] --no-color --column[=text] --no-column --abbrev[=text] --no-abbrev -l,--list!list")},
	"tag":          {Name: "tag", Options: opts("-n[=text] --sort=text --format=text --merged[=text]!list --no-merged[=text]!list --contains[=text]!list --no-contains[=text]!list --points-at=text!list -i,--ignore-case --color[=text] --column[=text] --no-column -l,--list!list")},
	"remote":       {Name: "remote", Options: opts("-v,--verbose")},
	"stash":        {Name: "stash", Options: opts("")},
	"reflog":       {Name: "reflog", Options: opts("-n,--max-count=text --date=text --all --oneline --format,--pretty[=text] --no-abbrev --abbrev-commit"), Number: true},
	"worktree":     {Name: "worktree", Options: opts("--porcelain -v,--verbose -z")},
	"config":       {Name: "config", Options: opts("-l,--list!list --get!get --get-all!get --get-regexp!get --local --global --system --worktree --show-origin --show-scope --name-only -z,--null --type=text --bool --int --path --default=text --includes --no-includes")},
	"bisect":       {Name: "bisect"},
	"symbolic-ref": {Name: "symbolic-ref", Options: opts("-q,--quiet --short")},
}

// gitTop are git's own options before the subcommand.
var gitTop = &Program{Name: "git", Options: opts("-C=text -c=const(core.hooksPath=/dev/null|core.fsmonitor=false|diff.autoRefreshIndex=false|gpg.program=false|gpg.openpgp.program=false|gpg.x509.program=false|gpg.ssh.program=false) --no-pager -P --no-optional-locks --version --literal-pathspecs --glob-pathspecs --noglob-pathspecs --icase-pathspecs --no-replace-objects"), First: true}

func (t *Table) addGit() error {
	all := []*Program{gitTop}
	for _, p := range gitCommands {
		all = append(all, p)
	}
	for _, p := range gitSpecial {
		all = append(all, p)
	}
	for _, p := range all {
		if t.options[p] != nil {
			continue
		}
		if err := t.add(p); err != nil {
			return err
		}
	}
	return nil
}

// git understands git's reading verbs. The repository's settings can name
// programs (fsmonitor, external diff, text conversion, filters, pagers): the
// host is asked for their names, and every one must be known to be harmless.
func (c *call) git(p *Program, from int) {
	in, ok := c.parse(gitTop, from)
	if !ok {
		return
	}
	c.effect(0)
	where := lit(".")
	for _, g := range in.given {
		if g.name == "-C" {
			if where.text != "." || g.value.form != static && g.value.form != homely && g.value.form != each {
				c.fail("-C", "one known directory is understood", "use cd, or one -C")
				return
			}
			where = g.value
		}
	}
	if len(in.operands) == 0 {
		if _, version := in.has("--version"); !version {
			c.fail("", "a subcommand is needed", "")
		}
		return
	}
	i := in.operands[0]
	name := c.args[i].text
	if c.args[i].form != static {
		c.fail(c.args[i].source(), "the subcommand is known only when it runs", "")
		return
	}
	if name == "version" {
		return
	}
	c.gitCommand(name, i)
	if name == "config" || name == "var" {
		// It prints the account's own settings, too.
		for _, file := range []string{"/.gitconfig", "/.config/git/config"} {
			c.use(Read, &word{form: homely, text: file}, nil, "", true)
		}
	}
	c.a.gitAsk(&where, c.s)
	c.gitAdd(from, i, name)
}

// gitAsk asks for the repository.
func (a *analysis) gitAsk(where *word, s *state) {
	first := len(a.asked)
	a.place(where, s, hostpath.Question{Use: hostpath.Repository, Follow: true}, "git", true)
	for j := first; j < len(a.asked); j++ {
		a.asked[j].settings = true
	}
}

// gitAdd writes the words that pin git's behaviour.
func (c *call) gitAdd(from, command int, name string) {
	add := gitAdd
	if name == "archive" {
		add = slices.Concat(gitAdd, gitUnverified)
	}
	var head []word
	for i := from; i < command; i++ {
		if c.args[i].is("-C") { // what follows is a name
			head = append(head, c.args[i:min(i+2, command)]...)
			i++
			continue
		}
		if w := c.args[i]; w.form != static || !slices.Contains(gitAdd, w.text) && !slices.Contains(gitUnverified, w.text) && w.text != "-P" {
			head = append(head, w)
		}
	}
	rest := slices.Clone(c.args[command+1:])
	if slices.Contains([]string{"diff", "log", "show", "whatchanged", "diff-tree", "diff-index", "diff-files"}, name) {
		kept := rest[:0:0]
		ended := false
		for _, w := range rest {
			ended = ended || w.is("--")
			if ended || !w.is("--no-ext-diff") && !w.is("--no-textconv") {
				kept = append(kept, w)
			}
		}
		rest = append(lits("--no-ext-diff", "--no-textconv"), kept...)
	}
	if slices.Contains([]string{"status", "diff", "diff-index", "diff-files"}, name) {
		// For a submodule git runs itself there, under the submodule's settings.
		kept := lits("--ignore-submodules=all")
		for i := range rest {
			if !strings.HasPrefix(rest[i].prefix(), "--ignore-submodules") {
				kept = append(kept, rest[i])
			}
		}
		rest = kept
	}
	c.args = slices.Concat(c.args[:from], lits(add...), head, lits(name), rest)
}

// gitCommand understands a subcommand.
func (c *call) gitCommand(name string, i int) {
	before := c.name
	c.name += " " + name
	defer func() { c.name = before }()
	if p := gitCommands[name]; p != nil {
		in, ok := c.parse(p, i+1)
		if !ok {
			return
		}
		for _, g := range in.given {
			if g.option.Value != "" && !g.attached && g.value.form != static || g.value.form == each {
				c.fail(g.name, "its value is known only when it runs", "write it out, as one word")
				return
			}
		}
		if !c.gitUnsigned(in) {
			return
		}
		c.gitOperands(p, in)
		return
	}
	p := gitSpecial[name]
	if p == nil {
		c.fail("", "the subcommand is not in the table of those that read", "")
		return
	}
	in, ok := c.parse(p, i+1)
	if !ok {
		return
	}
	if !c.gitUnsigned(in) {
		return
	}
	words := make([]string, len(in.operands))
	for j, k := range in.operands {
		if c.args[k].form != static {
			c.fail(c.args[k].source(), "the argument must be written out", "")
			return
		}
		words[j] = c.args[k].text
	}
	if !gitReads(name, in, words) {
		c.fail(strings.Join(words, " "), "this form of it may write", "")
	}
}

// gitPlaceholder takes away what may stand between the percent sign and the name of
// a placeholder (git-log(1), pretty formats).
var gitPlaceholder = strings.NewReplacer("%+", "%", "%-", "%", "% ", "%")

// gitUnsigned: no value asks git to check signatures.
func (c *call) gitUnsigned(in *input) bool {
	for _, g := range in.given {
		text := gitPlaceholder.Replace(g.value.source())
		if g.value.form == each || strings.Contains(text, "%G") || strings.Contains(text, "signature") && (g.name == "--sort" || strings.Contains(text, "%(")) {
			c.fail(g.name, "signatures are checked by another program", "")
			return false
		}
	}
	return true
}

// gitOperands understands revisions and paths: data, for what git reads is the
// repository, which is asked for as a whole. Outside of it git reads only with
// --no-index, which is not among the options; but diff with two paths does so
// by itself where there is no repository, and that is refused by the question.
func (c *call) gitOperands(p *Program, in *input) {
	for _, k := range in.operands {
		w := &c.args[k]
		if !c.text(w, w.source()) {
			return
		}
		if (p.Name == "diff" || p.Name == "blame" || p.Name == "annotate") && w.form != dynamic && outside(w) {
			c.fail(w.source(), "outside of the repository git compares any two files", "use diff")
			return
		}
		if w.form == dynamic {
			c.fail(w.source(), "it is known only when it runs", "write it out")
			return
		}
	}
}

// outside: a path that may lie outside of the work tree.
func outside(w *word) bool {
	switch w.form {
	case homely:
		return true
	case each:
		for i := range w.alternatives {
			if outside(&w.alternatives[i]) {
				return true
			}
		}
		return false
	}
	return strings.HasPrefix(w.text, "/") || strings.Contains("/"+w.text+"/", "/../")
}

// gitReads reports whether a form of a subcommand only reads.
func gitReads(name string, in *input, words []string) bool {
	first := ""
	if len(words) > 0 {
		first = words[0]
	}
	switch name {
	case "branch", "tag":
		return len(words) == 0 || in.mode("list")
	case "remote":
		return len(words) == 0 || first == "get-url" && len(words) == 2
	case "stash":
		return first == "list" && len(words) == 1 || first == "show" && len(words) <= 2
	case "reflog":
		return first == "" || first == "show" || !slices.Contains([]string{"expire", "delete", "exists", "drop", "write", "list"}, first) && len(words) == 1
	case "worktree":
		return first == "list" && len(words) == 1
	case "config":
		// Since git 2.46 a word without a dot can be a verb, as in config edit.
		return len(words) == 1 && len(in.modes) == 0 && strings.Contains(words[0], ".") || in.mode("list") && len(words) == 0 || in.mode("get") && len(words) >= 1 && len(words) <= 2
	case "symbolic-ref":
		return len(words) == 1
	}
	return false
}

// settingsAllowed are the settings, by section or by whole name, that name no
// other repository and no file to write, and no program that a reading verb runs
// when it is given gitAdd (git-config(1)): editors, aliases, pagers and what
// speaks to other hosts are not run.
var settingsAllowed = set("user.name user.email init.defaultbranch core.repositoryformatversion core.filemode core.bare core.logallrefupdates " +
	"core.ignorecase core.precomposeunicode core.symlinks core.autocrlf core.eol core.safecrlf core.trustctime core.checkstat core.quotepath " +
	"core.abbrev core.compression core.loosecompression core.bigfilethreshold core.packedgitlimit core.packedgitwindowsize core.deltabasecachelimit " +
	"core.untrackedcache core.preloadindex core.multipackindex core.commitgraph core.sharedrepository core.whitespace core.fscache core.longpaths " +
	"core.protecthfs core.protectntfs core.splitindex core.hidedotfiles core.sparsecheckout core.sparsecheckoutcone core.warnambiguousrefs " +
	"diff.algorithm diff.renames diff.renamelimit diff.mnemonicprefix diff.noprefix diff.colormoved diff.statgraphwidth diff.context diff.indentheuristic " +
	"log.date log.decorate log.abbrevcommit log.follow status.short status.branch status.showuntrackedfiles status.submodulesummary " +
	"extensions.objectformat extensions.worktreeconfig extensions.refstorage http.postbuffer http.version push.default push.autosetupremote " +
	"push.followtags pull.rebase pull.ff fetch.prune fetch.prunetags fetch.parallel rebase.autostash rebase.autosquash merge.conflictstyle merge.ff " +
	"rerere.enabled commit.verbose tag.sort branch.sort branch.autosetuprebase column.ui color.ui safe.directory index.version submodule.recurse " +
	"submodule.active core.editor core.pager core.sshcommand core.askpass sequence.editor merge.tool diff.tool diff.guitool commit.gpgsign tag.gpgsign " +
	"commit.template commit.status feature.manyfiles pack.threads pack.windowmemory gc.auto maintenance.auto maintenance.strategy help.autocorrect")

var settingsSections = set("user advice color branch gc pack index receive transfer alias pager credential")

// settingsSub are the last parts that are harmless in sections with a name of
// their own, as remote "origin".
var settingsSub = map[string]map[string]bool{
	"remote":     set("url fetch pushurl push tagopt prune mirror skipdefaultupdate skipfetchall"),
	"branch":     set("remote merge rebase pushremote description"),
	"submodule":  set("url active branch fetchrecursesubmodules ignore"),
	"url":        set("insteadof pushinsteadof"),
	"credential": set("helper username usehttppath provider"),
	"difftool":   set("cmd path trustexitcode prompt"),
	"mergetool":  set("cmd path trustexitcode keepbackup"),
	"color":      set("branch diff status grep decorate"),
}

// checkSettings finds the settings that may name a program.
func checkSettings(names []string) []Reason {
	for _, n := range names {
		name := strings.ToLower(n)
		section, rest, _ := strings.Cut(name, ".")
		last := rest[strings.LastIndexByte(rest, '.')+1:]
		switch {
		case settingsAllowed[name], settingsSections[section] && last == rest:
		case last != rest && settingsSub[section][last]:
		default:
			return []Reason{{"git setting " + short(n), "the repository's or the account's settings may name a program, or another place to read", "ask for the setting to be removed"}}
		}
	}
	return nil
}
