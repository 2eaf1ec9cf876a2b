package shell

import (
	"slices"
	"strings"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// tar understands listing, extracting to standard output and making archives. The
// old form without a dash is the new one with a dash (GNU tar manual, section
// 3.3).
func (c *call) tar(p *Program, from int) {
	if len(c.args) > from && c.args[from].form == static && c.args[from].text != "" && c.args[from].text[0] != '-' {
		bundle := c.args[from].text
		if strings.Trim(bundle, "tcxvzjJOf") != "" || strings.Count(bundle, "f") > 1 || strings.Contains(bundle, "f") && !strings.HasSuffix(bundle, "f") {
			c.fail(bundle, "these letters are not understood", "use options with dashes")
			return
		}
		c.args[from] = lit("-" + bundle)
	}
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	if when, given := in.has("--mtime"); given && (when.form != static || strings.HasPrefix(when.text, ".") || strings.HasPrefix(when.text, "/")) {
		// The name of a file, whose time is taken.
		if !c.use(Stat, &when, nil, "--mtime", true) {
			return
		}
	}
	archive, named := in.has("-f")
	here, moved := in.has("-C")
	directories := 0
	for _, g := range in.given {
		if slices.Contains(g.option.Names, "-C") {
			directories++
		}
	}
	if directories > 1 {
		c.fail("-C", "each of them is for the names behind it", "use one")
		return
	}
	if moved && (in.mode("list") || in.mode("extract") && !in.mode("stdout")) && here.form == dynamic {
		c.fail("-C", "the directory is known only when it runs", "")
		return
	}
	count := 0
	for _, m := range []string{"list", "extract", "create"} {
		if in.mode(m) {
			count++
		}
	}
	if count != 1 {
		c.fail("", "exactly one of -t, -x and -c is understood", "")
		return
	}
	if !named && !in.mode("create") || named && archive.is("-") {
		c.stdin()
	}
	if named && archive.form == static && strings.Contains(archive.text, ":") {
		c.fail(archive.text, "an archive with a colon in its name is another host's", "")
		return
	}
	if named && archive.form != static && !c.args[from].is("--force-local") {
		// A name with a colon would be another host's archive.
		defer func() { c.args = slices.Insert(slices.Clone(c.args), from, lit("--force-local")) }()
	}
	switch {
	case in.mode("create"):
		c.tarCreate(in, archive, named, moved)
		return
	case named && !archive.is("-"):
		c.use(Read, &archive, nil, "-f", true)
	}
	c.effect(0)
	for _, i := range in.operands {
		c.text(&c.args[i], c.args[i].source())
	}
	if in.mode("extract") && !in.mode("stdout") {
		c.effect(gate.EffectWrite)
		if !moved {
			here = lit(".")
		}
		c.use(Remove, &here, nil, "-C", true)
		// A member's name may go through links that lie below, to other places.
		c.use(Fill, &here, nil, "-C", true)
		c.places(0, 0)
	}
}

// tarCreate understands making an archive: everything below the operands is read.
func (c *call) tarCreate(in *input, archive word, named, moved bool) {
	c.effect(0)
	if moved {
		c.fail("-C", "it changes where the names that follow are", "use cd")
		return
	}
	if named && !archive.is("-") {
		c.use(Write, &archive, nil, "-f", true)
	}
	kind := Recurse
	if in.mode("follow") {
		kind = Follow
	}
	for _, i := range in.operands {
		if c.args[i].begins("@") {
			c.fail(c.args[i].source(), "some tars take it for an archive to add", "begin it with ./")
			return
		}
		if !c.use(kind, &c.args[i], nil, "", i >= in.ended) {
			return
		}
	}
}

// compress understands gzip and its like: to standard output they read; otherwise
// they put another file in the place of each.
func (c *call) compress(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	c.effect(p.Effects)
	// Some of them read options behind the files, others take them for files.
	safe := len(in.operands) > 0 && in.operands[0] > from && c.args[in.operands[0]-1].is("--")
	// Of -t, -l and -d some do what the last one says.
	_, stdout := in.has("-c")
	_, unpacks := in.has("-d")
	reads := stdout || (in.mode("stdout") || in.mode("test")) && !unpacks || strings.Contains(c.name, "cat")
	files := 0
	for _, i := range in.operands {
		w := &c.args[i]
		if w.is("-") {
			continue
		}
		files++
		if !safe && strings.HasPrefix(w.prefix(), "-") {
			c.fail(w.source(), "behind a file it is an option to some and a file to others", "write options first, or -- before the files")
			return
		}
		if w.form == dynamic {
			c.fail(w.source(), "the path is known only when it runs", "write the path out")
			return
		}
		first := len(c.a.asked)
		if !c.use(Read, w, nil, "", safe) {
			return
		}
		c.a.present(first)
		if !reads && !c.use(Delete, w, nil, "", safe) {
			return
		}
	}
	if files > 0 && !reads {
		c.effect(gate.EffectWrite)
	}
	if files < len(in.operands) || files == 0 {
		c.stdin()
	}
}

// present: the paths that are asked about from an index on must be there. gzip
// tries other endings for a name that is not.
func (a *analysis) present(first int) {
	for i := range a.asked[first:] {
		a.asked[first+i].present = true
	}
}

// zgrep understands zgrep, which reads through gzip.
func (c *call) zgrep(p *Program, from int) {
	first := len(c.a.asked)
	c.standard(p, from)
	c.a.present(first)
}

// unzip understands listing and printing; anything else extracts.
func (c *call) unzip(p *Program, from int) {
	in, ok := c.parse(p, from)
	if !ok {
		return
	}
	if !in.mode("list") && c.name != "zipinfo" {
		c.effect(gate.EffectWrite)
		c.fail("", "without -l, -p or -t it writes files", "use unzip -l or unzip -p")
		return
	}
	for _, i := range in.operands[:min(1, len(in.operands))] {
		if w := &c.args[i]; w.some(func(one *word) bool { return one.form != pattern && strings.ContainsAny(one.text, "*?[\\") }) {
			c.fail(w.source(), "unzip expands the pattern itself", "write the name out")
			return
		}
	}
	first := len(c.a.asked)
	c.operands(p, in)
	c.a.present(first)
	c.effect(0)
}
