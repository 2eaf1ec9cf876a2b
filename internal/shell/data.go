package shell

import (
	"cmp"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// selectSafe reports why SQL for sqlite3 may do more than select; nil if it
// cannot. The database is opened with -readonly and -safe, which refuses files,
// commands and extensions; this scan keeps to one plain SELECT before that
// (sqlite.org/cli.html, section 1.3 and "safe mode").
func selectSafe(sql string) error {
	text := strings.TrimSpace(sql)
	text = strings.TrimSpace(strings.TrimSuffix(text, ";"))
	switch head := strings.ToLower(text); {
	case sqliteShows(text):
		return nil
	case strings.HasPrefix(head, "."):
		return errors.New("dot commands reach beyond the database")
	case !strings.HasPrefix(head, "select ") && !strings.HasPrefix(head, "with ") && !strings.HasPrefix(head, "select\n") && !strings.HasPrefix(head, "explain query plan select "):
		return errors.New("only SELECT is understood")
	}
	words, err := sqlWords(text)
	if err != nil {
		return err
	}
	for _, w := range words {
		if sqliteRefused[w] {
			return errors.New(w + " reaches beyond the tables, or writes")
		}
	}
	return nil
}

// sqliteShows are the dot commands that print the schema of the database.
func sqliteShows(text string) bool {
	f := strings.Fields(text)
	return (len(f) == 1 || len(f) == 2 && isName(f[1])) && slices.Contains([]string{".tables", ".schema", ".indexes"}, f[0])
}

var sqliteRefused = set("attach detach pragma insert update delete replace create drop alter vacuum reindex analyze begin commit rollback savepoint release " +
	"load_extension readfile writefile edit fsdir lsmode fts3_tokenizer zipfile sqlar_compress sqlar_uncompress pragma_database_list into dbstat " +
	"shell_add_schema shell_module_schema shell_putsnl usleep sha3_query sha1_query eval generate_series sqlite_dbdata sqlite_dbptr bytecode")

// sqlWords are the words of a statement outside of strings, in small letters.
func sqlWords(text string) ([]string, error) {
	var words []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\'' || c == '"' || c == '`':
			end := strings.IndexByte(text[i+1:], c)
			if end < 0 {
				return nil, errors.New("a string is not closed")
			}
			if c != '\'' {
				words = append(words, strings.ToLower(text[i+1:i+1+end]))
			}
			i += end + 2
		case c == ';':
			return nil, errors.New("only one statement is understood")
		case strings.HasPrefix(text[i:], "--") || strings.HasPrefix(text[i:], "/*") || c == '[':
			return nil, errors.New("comments and names in brackets are not understood")
		case isNameRune(rune(c)):
			from := i
			for i < len(text) && isNameRune(rune(text[i])) {
				i++
			}
			words = append(words, strings.ToLower(text[from:i]))
		case c == '\n' && strings.HasPrefix(strings.TrimLeft(text[i:], "\n \t"), "."):
			return nil, errors.New("a line begins with a dot")
		default:
			i++
		}
	}
	return words, nil
}

// sqlite understands sqlite3 on a database that it opens for reading only.
func (c *call) sqlite(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(0)
	if _, version := in.has("-version"); version && len(in.operands) == 0 {
		return
	}
	if len(in.operands) != 2 {
		c.fail("", "a database and one SELECT are needed", "")
		return
	}
	database, sql := &c.args[in.operands[0]], &c.args[in.operands[1]]
	if database.some(func(one *word) bool {
		return one.form == static && (one.text == "" || strings.ContainsAny(one.text, ":?"))
	}) {
		c.fail(database.source(), "the database must be a plain path", "")
		return
	}
	if !c.use(Read, database, nil, "", false) || !c.constant(sql, nil, "the statement") {
		return
	}
	if err := selectSafe(sql.text); err != nil {
		c.fail("statement", err.Error(), "")
		return
	}
	var rest []word
	for i := range c.args {
		if i < from || !c.args[i].is("-readonly") && !c.args[i].is("-safe") && !c.args[i].is("-init") && !(i > from && c.args[i-1].is("-init")) {
			rest = append(rest, c.args[i])
		}
	}
	c.args = slices.Concat(rest[:from], lits("-init", "/dev/null", "-readonly", "-safe"), rest[from:])
}

// psql understands psql with its statement on the command line: the statement is
// for the judge of SQL.
func (c *call) psql(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	st := Statement{Program: "psql", Port: "5432"}
	get := func(name string, into *string) bool {
		w, given := in.has(name)
		if given && w.form != static {
			c.fail(name, "it must be written out", "")
			return false
		}
		if given {
			*into = w.text
		}
		return true
	}
	if !get("-h", &st.Host) || !get("-p", &st.Port) || !get("-U", &st.User) || !get("-d", &st.Database) || !get("-c", &st.Text) {
		return
	}
	for n, i := range in.operands {
		w := &c.args[i]
		if w.form != static || n > 1 {
			c.fail(w.source(), "it must be written out", "")
			return
		}
		_, d := in.has("-d")
		_, u := in.has("-U")
		if u && (d || n > 0) || d && n > 0 {
			c.fail(w.source(), "it is given twice", "leave it out")
			return
		}
		if n == 0 && !d {
			st.Database = w.text
		} else {
			st.User = w.text
		}
	}
	count := 0
	for _, g := range in.given {
		if slices.Contains(g.option.Names, "-c") {
			count++
		}
	}
	switch {
	case count != 1:
		c.fail("", "exactly one -c is understood", "")
		return
	case strings.Contains(st.Database, "=") || strings.Contains(st.Database, "://") || strings.HasPrefix(st.Host, "/"):
		c.fail(st.Database, "connection strings are not understood", "use -h, -p, -U and -d")
		return
	case strings.Contains(st.Text, `\`):
		c.fail("-c", "backslash commands run programs and read files", "use SQL")
		return
	}
	c.effect(0)
	host := st.Host
	if host == "" {
		host = "localhost"
	}
	c.a.host("POSTGRESQL " + host + ":" + st.Port)
	c.a.sql = append(c.a.sql, st)
	c.add(p, from)
}

// host notes a connection.
func (a *analysis) host(h string) {
	if !slices.Contains(a.hosts, h) {
		a.hosts = append(a.hosts, h)
	}
}

// curl understands GET and HEAD. A connection is an effect of its own: a policy
// that only reads the host does not allow it.
func (c *call) curl(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	if _, version := in.has("--version"); version && len(in.operands) == 0 {
		c.effect(0)
		return
	}
	method := "GET"
	if _, head := in.has("-I"); head {
		method = "HEAD"
	}
	if m, given := in.has("-X"); given {
		method = m.text
	}
	if len(in.operands) == 0 {
		c.fail("", "a URL is needed", "")
		return
	}
	for _, i := range in.operands {
		w := &c.args[i]
		if w.form == pattern {
			// A question mark in a URL is no pattern unless a file is so named.
			c.literally(w)
			*w = lit(w.text)
		}
		if w.form == static && bareURL.MatchString(w.text) && !schemeOf.MatchString(w.text) {
			*w = lit("http://" + w.text) // what curl takes it for
		}
		texts := w.texts()
		if texts == nil {
			c.fail(w.source(), "the URL is known only when it runs", "write it out")
			return
		}
		for _, text := range texts {
			host, err := urlHost(text)
			if err != nil {
				c.fail(text, err.Error(), "")
				return
			}
			c.a.host(method + " " + host)
		}
	}
	c.effect(gate.EffectTunnel)
	c.add(p, from)
}

// bareURL is a URL of HTTP without its scheme; schemeOf are the names of hosts from which
// curl would take another one.
var (
	bareURL  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?([/?][^#]*)?$`)
	schemeOf = regexp.MustCompile(`(?i)^(ftp|dict|ldap|imap|smtp|pop3)\.`)
)

// urlHost is the host and port of a URL that is fetched over HTTP.
func urlHost(text string) (string, error) {
	if strings.ContainsAny(text, "{}[]\\ ") {
		return "", errors.New("curl would make several URLs of it")
	}
	if !strings.Contains(text, "://") {
		return "", errors.New("begin it with http:// or https://")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return "", errors.New("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("only http and https are understood")
	case u.User != nil:
		return "", errors.New("it has a user in it")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", errors.New("its port is no port")
	}
	return u.Hostname() + ":" + port, nil
}

// date understands date: an operand that is no format sets the clock.
func (c *call) date(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(0)
	for _, i := range in.operands {
		w := &c.args[i]
		if !strings.HasPrefix(w.prefix(), "+") {
			c.effect(gate.EffectAdmin)
			c.fail(w.source(), "it would set the clock", "use -d, or a format that begins with +")
			return
		}
		if !c.text(w, w.source()) {
			return
		}
	}
}

// dd understands if=, of= and numbers.
func (c *call) dd(p *Program, from int) {
	c.effect(0)
	reads := true
	for i := from; i < len(c.args); i++ {
		w := &c.args[i]
		name, value, has := strings.Cut(w.text, "=")
		if w.form != static || !has {
			c.fail(w.source(), "the operand is not understood", "")
			return
		}
		path := lit(value)
		switch name {
		case "if":
			reads = false
			c.use(Read, &path, nil, "", true)
		case "of":
			c.use(Write, &path, nil, "", true)
		case "bs", "count", "skip", "seek", "ibs", "obs", "conv", "status", "iflag", "oflag":
		default:
			c.fail(name, "the operand is not understood", "")
			return
		}
	}
	if reads {
		c.stdin()
	}
}

// ip understands the verbs of ip that show.
func (c *call) ip(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(0)
	var words []string
	for _, i := range in.operands {
		w := &c.args[i]
		if w.form != static {
			c.fail(w.source(), "the argument must be written out", "")
			return
		}
		words = append(words, w.text)
	}
	if len(words) > 0 && words[0] == "netns" {
		if len(words) > 2 || len(words) == 2 && words[1] != "list" && words[1] != "show" {
			c.fail(strings.Join(words, " "), "only netns list is understood", "")
		}
		return
	}
	objects := set("address addr a link l route r rule neighbour neighbor neigh n maddress maddr netconf tunnel")
	switch {
	case len(words) > 1 && words[0][:1] == "l" && words[1] == "s":
		c.fail("link s", "it is short for link set", "write show out")
	case len(words) == 0:
		c.fail("", "an object is needed", "")
	case !objects[words[0]]:
		c.fail(words[0], "the object is not in the table of those that are understood", "")
	case len(words) > 1 && !slices.Contains([]string{"show", "list", "lst", "ls", "sh", "s", "get"}, words[1]) || len(words) > 1 && words[1] == "get" && words[0][0] != 'r':
		c.fail(strings.Join(words, " "), "only show, list and route get are understood", "")
	}
}

// query understands programs that read only if an option of theirs says so.
func (c *call) query(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	if c.name == "rpm" && slices.ContainsFunc(in.operands, func(i int) bool { return c.args[i].form == dynamic || strings.Contains(c.args[i].source(), "%") }) {
		c.fail("", "rpm expands macros in names, and macros run programs", "write the name out")
		return
	}
	if !in.mode("query") {
		c.fail("", "only the options that ask are understood", "")
		return
	}
	if _, file := in.has("-f"); c.name == "rpm" {
		// It says whether a file that no package owns is there.
		for _, i := range in.operands {
			w := &c.args[i]
			if (file || w.form != static || strings.Contains(w.text, "/")) && !c.use(Entry, w, nil, "", i >= in.ended) {
				return
			}
		}
	}
	c.operands(p, in)
	c.effect(0)
	c.add(p, from)
}

// version understands programs that are asked for nothing but their version.
func (c *call) version(p *Program, from int) {
	c.effect(0)
	allowed := []string{"--version"}
	switch c.name {
	case "python3", "python", "ssh", "tmux", "nginx":
		allowed = []string{"--version", "-V"}
		if c.name == "nginx" {
			allowed = append(allowed, "-v")
		}
		if c.name == "python3" && c.own && len(c.args) > from && c.jsonTool(&p.Commands[0], from) {
			return
		}
	case "node", "ruby", "php", "perl", "haproxy", "apache2", "httpd":
		allowed = []string{"--version", "-v"}
	case "go":
		allowed = []string{"version"}
	case "java":
		allowed = []string{"-version", "--version", "--help"}
		// It would leave a file for jps in /tmp.
		if len(c.args) > from && c.args[from].is("-XX:-UsePerfData") {
			from++
		} else if c.own {
			c.args = slices.Concat(c.args[:from], lits("-XX:-UsePerfData"), c.args[from:])
			from++
		} else {
			allowed = nil
		}
	}
	if helpful[c.name] {
		allowed = append(allowed, "--help")
	}
	if len(c.args) != from+1 || c.args[from].form != static || !slices.Contains(allowed, c.args[from].text) {
		c.a.fail(c.name, "the program runs code of its own kind, or is not in the table of programs that are understood", cmp.Or(instead[c.name], "only its --version is"))
	}
}

// helpful are programs that print and end when they are asked for help.
var helpful = set("python3 python perl node gcc php bash mysql mariadb rsync vim make cmake strace man ldd nano emacs zsh gdb patch gpg postgres redis-server mongod dockerd containerd kubelet")

// jsonTool understands python3 -m json.tool. With -I no module of the directory that it
// runs in is taken for one of Python's own; that there is one is refused all the same.
func (c *call) jsonTool(p *Program, from int) bool {
	i := from
	if c.args[i].is("-I") {
		i++
	}
	if len(c.args) < i+2 || !c.args[i].is("-m") || !c.args[i+1].is("json.tool") {
		return false
	}
	for _, own := range []string{"jso[n]", "json.p[y]*"} {
		c.literally(&word{form: pattern, text: own, glob: own})
	}
	c.standard(p, i+2)
	c.args = slices.Concat(c.args[:from], lits("-I"), c.args[i:])
	return true
}

// journal understands programs whose entry says all, but that read nothing
// without an option: crontab -l, journalctl.
func (c *call) journal(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	if c.name == "crontab" {
		if _, list := in.has("-l"); !list || len(in.operands) > 0 {
			c.fail("", "only crontab -l is understood", "")
		}
		c.effect(0)
		return
	}
	for _, i := range in.operands {
		// An operand that is a path names the program whose entries are shown: it is
		// looked for, and if it is a script, its first line is read.
		w := &c.args[i]
		if w.begins("/") || w.form == dynamic && w.prefix() == "" {
			if !c.use(Read, w, nil, "", true) {
				return
			}
			continue
		}
		if !c.text(w, w.source()) {
			return
		}
	}
	c.effect(0)
	c.add(p, from)
}

// kube understands kubectl. A configuration that the line names could name
// programs, and is not among the options. What config view prints stands in the
// account's own, unless its environment names another.
func (c *call) kube(p *Program, from int) {
	has := func(text string) bool { return slices.ContainsFunc(c.args, func(w word) bool { return w.is(text) }) }
	if has("config") && has("view") {
		c.use(Read, &word{form: homely, text: "/.kube/config"}, nil, "", true)
	}
	c.standard(p, from)
}

func splitNames(names string) []string { return strings.Fields(names) }
