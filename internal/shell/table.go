package shell

import (
	"fmt"
	"sync"
)

// reviewed is made once, when the first line is analysed: a gateway without hosts has no
// need of it. The table is the same for everybody, and does not change.
var reviewed = sync.OnceValues(func() (*Table, error) {
	return NewTable(textPrograms(), filePrograms(), systemPrograms(), servicePrograms(), packagePrograms(), writingPrograms(), networkPrograms(), netPrograms(), serverPrograms())
})

// Programs is the reviewed table.
func Programs() *Table {
	t, err := reviewed()
	if err != nil {
		// The table is data in this package, and a test makes it.
		panic(fmt.Sprintf("table of programs: %v", err))
	}
	return t
}

// The options that most GNU programs have.
const usual = "--help --version "

// textPrograms read files or standard input and print.
func textPrograms() []Program {
	return []Program{
		{Name: "cat", Options: opts(usual, "-A,--show-all -b,--number-nonblank -e -E,--show-ends -n,--number -s,--squeeze-blank -t -T,--show-tabs -u -v,--show-nonprinting"), Operands: args("read..."), Stdin: true},
		{Name: "less", Options: opts("-e -E -f -F -g -G -i -I -J -K -L -m -M -n -N -q -Q -r -R -S -u -U -w -X"), Operands: args("read..."), Stdin: true, Special: "pager"},
		{Name: "more", Operands: args("read..."), Stdin: true, Special: "pager"},
		{Name: "zless", Options: opts("-e -E -F -i -I -N -q -r -R -S -X"), Operands: args("read..."), Special: "pager"},
		{Name: "tac", Options: opts(usual, "-b,--before -r,--regex -s,--separator=text"), Operands: args("read..."), Stdin: true},
		{Name: "rev", Options: opts(usual), Operands: args("read..."), Stdin: true},
		{Name: "head", Options: opts(usual, "-c,--bytes=text -n,--lines=text -q,--quiet,--silent -v,--verbose -z,--zero-terminated"), Number: true, Operands: args("read..."), Stdin: true},
		{Name: "tail", Options: opts(usual, "-c,--bytes=text -n,--lines=text -f -F --follow[=const(name|descriptor)] -q,--quiet,--silent -v,--verbose -z,--zero-terminated -s,--sleep-interval=text --pid=text --retry"), Number: true, Operands: args("read..."), Stdin: true},
		{Name: "wc", Options: opts(usual, "-c,--bytes -m,--chars -l,--lines -L,--max-line-length -w,--words --total=text"), Operands: args("read..."), Stdin: true},
		{Name: "nl", Options: opts(usual, "-b,--body-numbering=text -d,--section-delimiter=text -f,--footer-numbering=text -h,--header-numbering=text -i,--line-increment=text -l,--join-blank-lines=text -n,--number-format=text -p,--no-renumber -s,--number-separator=text -v,--starting-line-number=text -w,--number-width=text"), Operands: args("read..."), Stdin: true},
		{Name: "sort", Options: opts(usual, "-b,--ignore-leading-blanks -d,--dictionary-order -f,--ignore-case -g,--general-numeric-sort -i,--ignore-nonprinting -M,--month-sort -h,--human-numeric-sort -n,--numeric-sort -R,--random-sort -r,--reverse --sort=text -V,--version-sort --batch-size=text -c --check[=text] -C -k,--key=text -m,--merge -s,--stable -t,--field-separator=text -u,--unique -z,--zero-terminated --parallel=text -S,--buffer-size=text -o,--output=write --compress-program=never -T,--temporary-directory=never --files0-from=never --random-source=never --debug"), Operands: args("read..."), Stdin: true},
		{Name: "shuf", Options: opts(usual, "-i,--input-range=text -n,--head-count=text -o,--output=write -r,--repeat -z,--zero-terminated --random-source=never"), Operands: args("read"), Stdin: true},
		{Name: "uniq", Options: opts(usual, "-c,--count -d,--repeated -D --all-repeated[=text] -f,--skip-fields=text --group[=text] -i,--ignore-case -s,--skip-chars=text -u,--unique -z,--zero-terminated -w,--check-chars=text"), Operands: args("read write"), Stdin: true, Special: "uniq"},
		{Name: "cut", Options: opts(usual, "-b,--bytes=text -c,--characters=text -d,--delimiter=text -f,--fields=text -n --complement -s,--only-delimited -z,--zero-terminated --output-delimiter=text"), Operands: args("read..."), Stdin: true},
		{Name: "tr", Options: opts(usual, "-c,-C,--complement -d,--delete -s,--squeeze-repeats -t,--truncate-set1"), Operands: args("text text"), Special: "tr"},
		{Name: "fold", Options: opts(usual, "-b,--bytes -s,--spaces -w,--width=text"), Operands: args("read..."), Number: true, Stdin: true},
		{Name: "fmt", Options: opts(usual, "-c,--crown-margin -p,--prefix=text -s,--split-only -t,--tagged-paragraph -u,--uniform-spacing -w,--width=text -g,--goal=text"), Operands: args("read..."), Number: true, Stdin: true},
		{Name: "pr", Options: opts(usual, "-a -b -c -d -D=text -e[=text] -F -f -h=text -i[=text] -J -l=text -m -n[=text] -N=text -o=text -r -s[=text] -S[=text] -t -T -v -w=text -W=text"), Operands: args("read..."), Number: true, Stdin: true},
		{Name: "paste", Options: opts(usual, "-d,--delimiters=text -s,--serial -z,--zero-terminated"), Operands: args("read..."), Stdin: true},
		{Name: "join", Options: opts(usual, "-a=text -e=text -i,--ignore-case -j=text -o=text -t=text -v=text -1=text -2=text --check-order --nocheck-order --header -z,--zero-terminated"), Operands: args("read read"), Stdin: true},
		{Name: "comm", Options: opts(usual, "-1 -2 -3 --check-order --nocheck-order --output-delimiter=text --total -z,--zero-terminated"), Operands: args("read read"), Stdin: true},
		{Name: "expand", Aliases: []string{"unexpand"}, Options: opts(usual, "-i,--initial -t,--tabs=text -a,--all --first-only"), Operands: args("read..."), Stdin: true},
		{Name: "diff", Options: opts(usual, "--normal -q,--brief -s,--report-identical-files -c -C=text --context[=text] -u -U=text --unified[=text] -e,--ed -n,--rcs -y,--side-by-side -W,--width=text --left-column --suppress-common-lines -p,--show-c-function -F,--show-function-line=text --label=text -t,--expand-tabs -T,--initial-tab --tabsize=text -r,--recursive --no-dereference -N,--new-file --unidirectional-new-file --ignore-file-name-case -x,--exclude=text -i,--ignore-case -E,--ignore-tab-expansion -Z,--ignore-trailing-space -b,--ignore-space-change -w,--ignore-all-space -B,--ignore-blank-lines -I,--ignore-matching-lines=text -a,--text --strip-trailing-cr -d,--minimal --horizon-lines=text --speed-large-files --color[=text]"), Operands: args("follow follow"), Stdin: true},
		{Name: "diff3", Options: opts(usual, "-A,--show-all -e,--ed -E,--show-overlap -m,--merge -x,--overlap-only -X -3,--easy-only -i -a,--text -L,--label=text"), Operands: args("read read read"), Stdin: true},
		{Name: "cmp", Options: opts(usual, "-b,--print-bytes -i,--ignore-initial=text -l,--verbose -n,--bytes=text -s,--quiet,--silent"), Operands: args("read read text text"), Stdin: true},
		{Name: "md5sum", Aliases: []string{"sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum", "b2sum"}, Options: opts(usual, "-b,--binary -c,--check!check --tag -t,--text -z,--zero --ignore-missing --quiet --status --strict -w,--warn -l,--length=text"), Operands: args("read..."), Stdin: true, Special: "sums"},
		{Name: "cksum", Aliases: []string{"sum"}, Options: opts(usual, "-a,--algorithm=text -r -s --sysv --untagged --tag"), Operands: args("read..."), Stdin: true},
		{Name: "base64", Aliases: []string{"base32"}, Options: opts(usual, "-d,--decode -i,--ignore-garbage -w,--wrap=text"), Operands: args("read"), Stdin: true},
		{Name: "od", Options: opts(usual, "-A,--address-radix=text -j,--skip-bytes=text -N,--read-bytes=text -S=text --strings[=text] -t,--format=text -v,--output-duplicates -w,--width[=text] -a -b -c -d -f -i -l -o -s -x"), Operands: args("read..."), Stdin: true},
		{Name: "xxd", First: true, Options: opts("-a -b -c,-cols=text -C -e -g=text -h -i -l,-len=text -n=text -o=text -p,-ps,-plain -s=text -u -v"), Words: true, Operands: args("read"), Stdin: true},
		{Name: "hexdump", Aliases: []string{"hd"}, Options: opts(usual, "-b -c -C,--canonical -d -e=text -n,--length=text -o -s,--skip=text -v,--no-squeezing -x"), Operands: args("read..."), Stdin: true},
		{Name: "strings", Options: opts(usual, "-a,--all -d,--data -f,--print-file-name -n,--bytes=text -t,--radix=text -e,--encoding=text -o -w,--include-all-whitespace -s=text"), Operands: args("read..."), Number: true, Stdin: true, Response: true},
		{Name: "column", Options: opts(usual, "-t,--table -s,--separator=text -o,--output-separator=text -c,--output-width=text -N,--table-columns=text -R,--table-right=text -x,--fillrows -L --table-name=text -J,--json -H,--table-hide=text -d,--table-noheadings -e"), Operands: args("read..."), Stdin: true},
		{Name: "iconv", Options: opts(usual, "-f,--from-code=charset -t,--to-code=charset -c -s -l,--list"), Operands: args("read..."), Stdin: true},
		{Name: "bc", Options: opts("-l,--mathlib -q,--quiet -s,--standard -w,--warn -v,--version -h,--help"), Operands: args("read..."), Stdin: true},
		{Name: "readelf", Options: opts(usual, "-a,--all -h,--file-header -l,--program-headers -S,--section-headers -s,--syms,--symbols -d,--dynamic -n,--notes -r,--relocs -V,--version-info -W,--wide -e,--headers -A"), Operands: args("read..."), Response: true},
		{Name: "objdump", Options: opts("--help", "-p,--private-headers -h,--section-headers -f,--file-headers -t,--syms -T,--dynamic-syms -x,--all-headers -r,--reloc -R,--dynamic-reloc -s,--full-contents -d,--disassemble -C -w,--wide -j,--section=text -v,--version"), Operands: args("read..."), Default: "a.out", Response: true},
		{Name: "nm", Options: opts(usual, "-a -A -C -D -g -n -p -r -S -u -t=text"), Operands: args("read..."), Default: "a.out", Response: true},
		{Name: "size", Options: opts(usual, "-A -B -d -o -x -t,--totals"), Operands: args("read..."), Default: "a.out", Response: true},
		{Name: "tsort", Options: opts(usual), Operands: args("read"), Stdin: true},
		{Name: "numfmt", Options: opts(usual, "-d,--delimiter=text --field=text --format=text --from=text --from-unit=text --grouping --header[=text] --invalid=text --padding=text --round=text --suffix=text --to=text --to-unit=text -z"), Operands: args("text..."), Stdin: true},
		{Name: "grep", Aliases: []string{"egrep", "fgrep"}, Options: opts(usual, "-E,--extended-regexp -F,--fixed-strings -G,--basic-regexp -P,--perl-regexp -e,--regexp=text!none -f,--file=read!none -i,-y,--ignore-case --no-ignore-case -v,--invert-match -w,--word-regexp -x,--line-regexp -c,--count --color,--colour[=text] -L,--files-without-match -l,--files-with-matches -m,--max-count=text -o,--only-matching -q,--quiet,--silent -s,--no-messages -b,--byte-offset -H,--with-filename -h,--no-filename --label=text -n,--line-number -T,--initial-tab -Z,--null -A,--after-context=text -B,--before-context=text -C,--context=text --group-separator=text --no-group-separator -a,--text --binary-files=text -D,--devices=text -d,--directories=const(read|skip) --exclude=text --exclude-dir=text --include=text -I -r,--recursive!recurse -R,--dereference-recursive!recurse+follow --line-buffered -U,--binary -z,--null-data"), Number: true, Operands: args("text read..."), Default: ".", Stdin: true, Dashes: true},
		{Name: "zgrep", Aliases: []string{"zegrep", "zfgrep"}, Options: opts("-E -F -e=text!none -i -v -w -x -c -l -L -m=text -o -q -s -H -h -n -A=text -B=text -C=text -a"), Operands: args("text read..."), Stdin: true, Special: "zgrep"},
		{Name: "rg", Add: []string{"--no-config"}, Options: opts(usual, "--no-config -e,--regexp=text!none -i,--ignore-case -S,--smart-case -s,--case-sensitive -v,--invert-match -w,--word-regexp -x,--line-regexp -c,--count --count-matches -l,--files-with-matches --files-without-match -m,--max-count=text -o,--only-matching -q,--quiet -n,--line-number -N,--no-line-number -H,--with-filename -I,--no-filename --heading --no-heading -A,--after-context=text -B,--before-context=text -C,--context=text -g,--glob=text --iglob=text -t,--type=text -T,--type-not=text -u,--unrestricted -uu -uuu --no-ignore --no-ignore-vcs --hidden -. -F,--fixed-strings -P,--pcre2 -U,--multiline -a,--text -0,--null --color=text --column -d,--max-depth=text --max-columns=text -M=text --sort=text --sortr=text -r,--replace=text --stats --trim --json --vimgrep -p,--pretty --no-messages -L,--follow!follow --files!none --type-list!none -j,--threads=text --passthru -b,--byte-offset --no-mmap --mmap --max-filesize=text"), Operands: args("text recurse..."), Default: ".", Stdin: false},
		{Name: "awk", Aliases: []string{"gawk", "mawk", "original-awk"}, Options: opts("--help", "-F,--field-separator=text -v,--assign=text --version -V --posix -P --re-interval"), First: true, Special: "awk"},
		{Name: "sed", Options: opts(usual, "-n,--quiet,--silent -e,--expression=const -E,-r,--regexp-extended -s,--separate -u,--unbuffered -z,--null-data --posix --debug -l,--line-length=text"), Operands: args("const read..."), Stdin: true, Special: "sed"},
		{Name: "yq", Options: opts("--help", "-r,--raw-output -V,--version"), Operands: args("const read..."), Stdin: true, Special: "yq"},
		{Name: "jq", Options: opts("-n,--null-input -r,--raw-output -R,--raw-input -s,--slurp -c,--compact-output -C,--color-output -M,--monochrome-output -S,--sort-keys -e,--exit-status -j,--join-output -a,--ascii-output --tab --indent=text --stream --seq --unbuffered --args --jsonargs --version -V -h,--help --raw-output0"), Operands: args("const read..."), Stdin: true, Special: "jq"},
		{Name: "xargs", Options: opts(usual, "-0,--null -a,--arg-file=read -d,--delimiter=text -I=const -n,--max-args=text -L,--max-lines=text -P,--max-procs=text -r,--no-run-if-empty -s,--max-chars=text -t,--verbose -x,--exit -E=text"), First: true, Special: "xargs"},
		{Name: "zcat", First: true, Aliases: []string{"gzcat"}, Options: opts("-f,--force -q,--quiet --help --version"), Operands: args("read..."), Special: "compress"},
		{Name: "bzcat", First: true, Aliases: []string{"xzcat", "zstdcat", "lzcat", "lz4cat"}, Options: opts("-f,--force -q,--quiet --help --version -k,--keep"), Operands: args("read..."), Special: "compress"},
		{Name: "gzip", First: true, Aliases: []string{"bzip2", "xz", "zstd", "gunzip", "bunzip2", "unxz", "unzstd", "lzma"}, Options: opts("-c,--stdout,--to-stdout!stdout -d,--decompress,--uncompress -f,--force -k,--keep -l,--list!stdout -n,--no-name -N,--name -q,--quiet -t,--test!test -v,--verbose -T[=lines] --help --version -V --robot"), Number: true, Operands: args("read..."), Special: "compress"},
	}
}

// filePrograms look at files and directories.
func filePrograms() []Program {
	return []Program{
		{Name: "ls", Aliases: []string{"dir", "vdir"}, Special: "ls", Options: opts(usual, "-a,--all -A,--almost-all --author -b,--escape --block-size=text -B,--ignore-backups -c -C --color[=text] -d,--directory!stat -f -F --classify[=text] --file-type --format=const(across|commas|horizontal|long|single-column|verbose|vertical) --full-time -g --group-directories-first!follow -G,--no-group -h,--human-readable --si -H,--dereference-command-line --hide=text --hyperlink[=text] --indicator-style=text -i,--inode -I,--ignore=text -k,--kibibytes -l -L,--dereference!follow -m -n,--numeric-uid-gid -N,--literal -o -p -q,--hide-control-chars --show-control-chars -Q,--quote-name --quoting-style=text -r,--reverse -R,--recursive!recurse -s,--size -S --sort=text --time=text --time-style=text -t -T,--tabsize=text -u -U -v -w,--width=text -x -X -Z,--context --zero -1"), Operands: args("list..."), Default: "."},
		// It counts links by what they lead to.
		{Name: "tree", Options: opts("-a -d -l -f -x -L=next:text -P=next:text -I=next:text --gitignore --matchdirs --ignore-case --noreport --charset=text --filelimit=text -q -N -Q -p -u -g -s -h --si --du -D --timefmt=text -F --inodes --device -v -t -c -U -r --dirsfirst --filesfirst --sort=text -i -A -S -n -C -X -J --version --help --prune"), Operands: args("follow..."), Default: "."},
		{Name: "stat", Options: opts(usual, "-L,--dereference!stat -f,--file-system!stat -c,--format=text --printf=text -t,--terse --cached=text"), Operands: args("entry...")},
		{Name: "file", Options: opts(usual, "-b,--brief -i,--mime --mime-type --mime-encoding -k,--keep-going -L,--dereference -h,--no-dereference -F,--separator=text -n,--no-buffer -N,--no-pad -r,--raw -s,--special-files -z,--uncompress -0,--print0 -E -l,--list --extension"), Operands: args("read...")},
		{Name: "namei", Options: opts(usual, "-x,--mountpoints -m,--modes -o,--owners -l,--long -n,--nosymlinks -v,--vertical"), Operands: args("stat...")},
		{Name: "getfacl", Options: opts(usual, "-a,--access -d,--default -c,--omit-header -e,--all-effective -E,--no-effective -s,--skip-base -R,--recursive!recurse -L,--logical!follow -P,--physical -t,--tabular -n,--numeric -p,--absolute-names"), Operands: args("list..."), Special: "listless"},
		{Name: "lsattr", Options: opts("-a -d!stat -l -p -v -V -R!recurse"), Operands: args("list..."), Default: "."},
		{Name: "readlink", Options: opts(usual, "-f,--canonicalize!stat -e,--canonicalize-existing!stat -m,--canonicalize-missing!stat -n,--no-newline -q,--quiet -s,--silent -v,--verbose -z,--zero"), Operands: args("entry...")},
		{Name: "realpath", Options: opts(usual, "-e,--canonicalize-existing -m,--canonicalize-missing -L,--logical -P,--physical -q,--quiet -s,--strip,--no-symlinks -z,--zero --relative-to=stat --relative-base=stat"), Operands: args("stat...")},
		{Name: "basename", Data: true, Options: opts(usual, "-a,--multiple -s,--suffix=text -z,--zero"), Operands: args("text...")},
		{Name: "dirname", Data: true, Options: opts(usual, "-z,--zero"), Operands: args("text...")},
		{Name: "du", Options: opts(usual, "-0,--null -a,--all --apparent-size -B,--block-size=text -b,--bytes -c,--total -D,--dereference-args!root -d,--max-depth=text -h,--human-readable --inodes -k -L,--dereference!follow -l,--count-links -m -P,--no-dereference -S,--separate-dirs --si -s,--summarize -t,--threshold=text --time[=text] --time-style=text --exclude=text -x,--one-file-system"), Operands: args("walk..."), Default: "."},
		{Name: "df", Options: opts(usual, "-a,--all -B,--block-size=text -h,--human-readable -H,--si -i,--inodes -k -l,--local --no-sync --output[=text] -P,--portability --total -t,--type=text -T,--print-type -x,--exclude-type=text -m"), Operands: args("stat...")},
		{Name: "find", Options: opts(usual), Special: "find"},
		// It runs ls -l in colours.
		{Name: "fd", Aliases: []string{"fdfind"}, Options: opts(usual, "-H,--hidden -I,--no-ignore -u,--unrestricted -s,--case-sensitive -i,--ignore-case -g,--glob -F,--fixed-strings -a,--absolute-path -L,--follow!follow -p,--full-path -d,--max-depth=text --min-depth=text --exact-depth=text -t,--type=text -e,--extension=text -E,--exclude=text -S,--size=text --changed-within=text --changed-before=text -l,--list-details!follow -0,--print0 -c,--color=const(auto|never) -1 --max-results=text -q,--quiet"), Operands: args("text recurse..."), Default: "."},
		{Name: "tar", Options: opts(usual, "-t,--list!list -x,--extract,--get!extract -c,--create!create -f,--file=text -z,--gzip -j,--bzip2 -J,--xz --zstd -a,--auto-compress -v,--verbose -O,--to-stdout!stdout -C,--directory=text -h,--dereference!follow --exclude=text --wildcards --no-wildcards --strip-components=text --numeric-owner --force-local --full-time -P,--absolute-names --utc --sort=text --mtime=date --owner=text --group=text --no-recursion -k,--keep-old-files -p --same-order -R -w"), Special: "tar"},
		{Name: "unzip", First: true, Endless: true, Options: opts("-l!list -p!list -Z!list -t!list -1 -v!list -q -qq -z!list -c!list -C -a"), Operands: args("read text..."), Special: "unzip"},
		{Name: "zipinfo", First: true, Endless: true, Options: opts("-1 -2 -s -m -l -v -h -t -T -z"), Operands: args("read text..."), Special: "unzip"},
		{Name: "sqlite3", Options: opts("--help", "-readonly -safe -header -noheader -csv -json -line -list -column -table -box -markdown -html -quote -tabs -batch -bail -separator=text -nullvalue=text -newline=text -init=const(/dev/null) -version,--version -ascii"), Words: true, Endless: true, Special: "sqlite"},
	}
}
