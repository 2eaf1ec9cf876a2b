package shell

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// attached are the short options with a value that may be left out, by program: their
// manuals say that what follows in the same word is the value. A letter that takes none
// would make options of it, which nobody looked at.
var attached = map[string]string{
	"date": "-I", "dmesg": "-L", "gzip": "-T", "iostat": "-p", "journalctl": "-b -n", "lsblk": "-T",
	"lscpu": "-C -e -p", "lsns": "-T", "lsof": "+L -F -T -i -s", "od": "-w", "pr": "-S -e -i -n -s", "top": "-w",
}

func TestShortOptionsWithAnOptionalValueTakeItInTheSameWord(t *testing.T) {
	seen := map[*Program]bool{}
	for _, p := range Programs().programs {
		if seen[p] {
			continue
		}
		seen[p] = true
		for _, o := range p.Options {
			for _, n := range o.Names {
				if o.Optional && len(n) == 2 && !slices.Contains(strings.Fields(attached[p.Name]), n) {
					t.Errorf("%s %s: does it take a value in the same word?", p.Name, n)
				}
			}
		}
	}
}

// A subcommand of git reads its options as the others do: an option that takes the next
// word for its value in one takes it in all; of --format, those that walk revisions take
// none but by an equals sign, and say so.
func TestGitReadsAnOptionOneWay(t *testing.T) {
	optional := map[string]bool{}
	all := slices.Concat(slices.Collect(maps.Values(gitCommands)), slices.Collect(maps.Values(gitSpecial)))
	for _, p := range all {
		for _, o := range p.Options {
			for _, n := range o.Names {
				optional[n] = optional[n] || o.Optional && strings.HasPrefix(n, "--") && n != "--format"
			}
		}
	}
	for _, p := range all {
		for _, o := range p.Options {
			for _, n := range o.Names {
				if o.Value != "" && !o.Optional && optional[n] {
					t.Errorf("git %s %s: elsewhere its value may be left out", p.Name, n)
				}
			}
		}
	}
}
