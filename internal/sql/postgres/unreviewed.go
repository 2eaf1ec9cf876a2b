package postgres

import (
	"cmp"
	"slices"
	"strings"
)

// Unreviewed is an object of the target that statements can run and that nobody
// reviewed.
type Unreviewed struct {
	// Name is what a review names: a function's signature, "rule NAME on
	// schema.table" or "table schema.name".
	Name string
	// Kind is "function", "rule" or "foreign table".
	Kind string
	// Why says what does not work, or is unknown, until it is reviewed.
	Why string
}

// Unreviewed lists what nobody reviewed, and why it matters, sorted by name.
// Functions of extensions are listed by their extension, once.
func (in *Inspector) Unreviewed() []Unreviewed {
	users := in.functionUsers()
	var out []Unreviewed
	extensions := map[string]bool{}
	for _, f := range in.cat.funcByOID {
		if _, ok := in.reviewed(f); ok {
			continue
		}
		if f.extension != "" {
			if !extensions[f.extension] {
				extensions[f.extension] = true
				out = append(out, Unreviewed{"extension " + f.extension, "function", "every call of its functions is unknown"})
			}
			continue
		}
		why := "every call of a function named " + f.name + " is unknown"
		if u := users[f.oid]; len(u) > 0 {
			slices.Sort(u)
			why += "; so is " + strings.Join(slices.Compact(u), ", ")
		}
		out = append(out, Unreviewed{f.signature(), "function", why})
	}
	for _, rel := range in.cat.relations {
		for _, r := range rel.extras().rules {
			if name := "rule " + r.name + " on " + rel.Name(); in.functions[name] == 0 {
				out = append(out, Unreviewed{name, "rule", "writing to " + rel.Name() + " is unknown"})
			}
		}
		if name := "table " + rel.Name(); rel.kind == 'f' && in.functions[name] == 0 {
			out = append(out, Unreviewed{name, "foreign table", "reading and writing " + rel.Name() + " is unknown"})
		}
	}
	slices.SortFunc(out, func(x, y Unreviewed) int { return cmp.Compare(x.Name, y.Name) })
	return out
}

// functionUsers says what runs a function without naming it in a statement.
func (in *Inspector) functionUsers() map[oid][]string {
	users := map[oid][]string{}
	add := func(o oid, what string) {
		if o >= firstUserOID {
			users[o] = append(users[o], what)
		}
	}
	for _, rel := range in.cat.relations {
		for _, t := range rel.extras().triggers {
			add(t.function, "writing to "+rel.Name()+" (trigger "+t.name+")")
		}
	}
	for _, list := range in.cat.operators {
		for _, o := range list {
			add(o.function, "the operator "+o.name)
		}
	}
	for _, list := range in.cat.casts {
		for _, c := range list {
			add(c.function, "a cast")
		}
	}
	for _, t := range in.cat.types {
		for _, f := range t.functions {
			add(f, "the type "+t.schema+"."+t.name)
		}
	}
	return users
}
