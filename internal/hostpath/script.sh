PATH=/usr/bin:/bin:/usr/sbin:/sbin
export PATH
unset CDPATH
set -f
IFS=
nl="
"
need= tried= start=$PWD
p() { printf "%s\0" "$@"; }
# dir NAME: D is the real path of a directory, by the kernel. To cd a dash alone is
# where it was before.
dir() {
	case $1 in -) set -- ./- ;; esac
	D=$(cd -P -- "$1" 2>/dev/null && pwd -P && printf .) || return 1
	D=${D%.}
	D=${D%"$nl"}
}
# target NAME: R is where the symbolic links of a name lead.
target() {
	R=$(readlink -f -- "$1" 2>/dev/null && printf .) || R=
	R=${R%.}
	R=${R%"$nl"}
}
# parts NAME: d is its directory, b its last component; b is empty for a name
# that ends in a slash or a dot component.
parts() {
	case $1 in
	*/ | . | .. | */. | */..) d=$1 b= ;;
	/*) d=${1%/*}/ b=${1##*/} ;;
	*/*) d=${1%/*} b=${1##*/} ;;
	*) d=. b=$1 ;;
	esac
}
# again: a file with several links asks for the links of labelled files.
again() {
	case $1 in
	*:1:8??? | "") ;;
	*:8???) need=1 ;;
	esac
}
# place NAME: where it is and what it is; R and F are left for below.
place() {
	parts "$1"
	R= F=
	if [ -z "$b" ] && dir "$d"; then
		R=$D F=$(stat -c %d:%i:%h:%f -- "$D" 2>/dev/null) || F=
		p P "$1" "$D" "" "$F" "" "" ""
		return
	fi
	S=
	if [ -n "$b" ] && dir "$d"; then
		S=$(stat -c %d:%i:%h:%f -- "$d/$b" 2>/dev/null) || S=
	fi
	case $S in
	"") absent "$1" ;;
	*:a???)
		target "$d/$b"
		F=$(stat -L -c %d:%i:%h:%f -- "$d/$b" 2>/dev/null) || F=
		T=
		[ -z "$R" ] || T=$(stat -c %d:%i:%h:%f -- "$R" 2>/dev/null) || T=
		p P "$1" "$D" "$b" "$S" "$R" "$F" "$T"
		again "$F"
		;;
	*)
		p P "$1" "$D" "$b" "$S" "" "" ""
		R=${D%/}/$b F=$S
		again "$S"
		;;
	esac
}
# absent NAME: the nearest directory that is there, and the rest of the name.
absent() {
	a=$1 r=
	while :; do
		case $a in
		/) ;;
		*/) a=${a%/} && continue ;;
		/*/*) r=/${a##*/}$r a=${a%/*} ;;
		/*) r=/${a##*/}$r a=/ ;;
		*/*) r=/${a##*/}$r a=${a%/*} ;;
		*) r=/$a$r a=. ;;
		esac
		dir "$a" && break
		case $a in
		/ | .) p X "directory cannot be found" && return ;;
		esac
	done
	p A "$1" "$D" "$r"
}
# counts: whether find can tell link counts here; it is tried once.
counts() {
	[ -n "$tried" ] || tried=$(find / -prune -links +0 2>/dev/null || true)
	[ -n "$tried" ]
}
# below FOLLOW: what lies below R and leads elsewhere.
below() {
	case $F in
	*:4???) ;;
	*) return ;;
	esac
	[ "$marked$1" != 00 ] || return
	case $R/ in
	// | /proc/* | /sys/* | /dev/*)
		p X "everything below it is too much to know"
		return
		;;
	esac
	if [ "$marked" != 0 ]; then
		if ! counts; then
			p X "find cannot tell link counts"
			return
		fi
		H=$(find "$R" -type f -links +1 -exec stat -c %d:%i {} + 2>/dev/null | head -n 4097)
		[ -z "$H" ] || need=1
		p H "$H"
	fi
	[ "$1" = 1 ] || return
	p L
	find "$R" -type l -exec sh -c "
		for f do
			k=f
			[ ! -d \"\$f\" ] || k=d
			r=\$(readlink -f -- \"\$f\" 2>/dev/null && printf .) || r=
			printf \"%s%s\\0\" \$k \"\$r\"
		done" sh {} + 2>/dev/null | head -c 262144
	p ""
}
# repository NAME: what git would read there, and the names of its settings.
repository() {
	if ! command -v git >/dev/null 2>&1; then
		p X "git is not there"
		return
	fi
	t=$(git -C "$1" rev-parse --show-toplevel 2>/dev/null) || t=
	g=$(git -C "$1" rev-parse --absolute-git-dir 2>/dev/null) || g=
	c=$(cd -- "$1" 2>/dev/null && c=$(git rev-parse --git-common-dir 2>/dev/null) && cd -P -- "$c" && pwd -P) || c=
	h=0
	[ ! -e "$c/objects/info/alternates" ] || h=1
	p G "$t" "$g" "$c" $h
	[ -z "$c" ] || git -C "$1" config --null --name-only --list 2>/dev/null | head -c 65536
	p ""
	l=0
	[ "$marked" = 0 ] || l=1
	[ -z "$c" ] || { place "$c" && below $l; }
	[ -z "$g" ] || [ "$c" = "$g" ] || { place "$g" && below $l; }
	[ -z "$t" ] || { place "$t" && below 0; }
}
# listed NAME: the files that a list of checksums names, in the one form that sha256sum
# and the like write and all of them read alike.
listed() {
	[ -f "$1" ] || return 0
	t=$(head -c 16385 -- "$1" 2>/dev/null && printf .) || { p X "the list cannot be read" && return; }
	t=${t%.}
	n=$(head -c 16385 -- "$1" 2>/dev/null | wc -c) m=$(printf %s "$t" | wc -c)
	if [ "$((n))" -ne "$((m))" ] || [ "$((n))" -gt 16384 ]; then
		p X "the list is over 16 KiB, or no text"
		return
	fi
	while [ -n "$t" ]; do
		s=${t%%"$nl"*}
		case $t in *"$nl"*) t=${t#*"$nl"} ;; *) t= ;; esac
		h=${s%% *}
		f=${s#"$h"}
		case $h in "" | *[!0-9a-fA-F]*) f= ;; esac
		case $f in
		*[[:cntrl:]]* | *\\* | ??-) f= ;;
		??*"  "*) f= ;; # where busybox may begin the name
		"  "?* | " *"?*) f=${f#??} ;;
		*) f= ;;
		esac
		if [ -z "$f" ]; then
			p X "a line of the list is no checksum and the name of a file"
			return
		fi
		place "$f"
	done
}
# labelled INDEX PREFIX REST: the places of one labelled pattern, as records or,
# with need, as the links of files below. Its components are expanded one by
# one, because a star of a label also covers names that begin with a dot.
labelled() {
	if [ -z "$3" ] && [ -n "$need" ]; then
		[ -e "$2" ] || return 0
		find -H "$2" -type f -links +1 -exec stat -c %d:%i {} + 2>/dev/null || echo partly
	elif [ -z "$3" ]; then
		[ -e "$2" ] || [ -L "$2" ] || return 0
		! dir "$2" || p M "$1" "$D"
		target "$2"
		p M "$1" "$R"
		parts "$2"
		! dir "$d" || p M "$1" "${D%/}/$b"
	else
		case ${3%%/*} in
		*[*?[]*) ;;
		*)
			case $3 in
			*/*) labelled "$1" "$2/${3%%/*}" "${3#*/}" ;;
			*) labelled "$1" "$2/$3" "" ;;
			esac
			return
			;;
		esac
		(
			cd -P -- "$2/" 2>/dev/null || exit 0
			set +f
			r=
			case $3 in */*) r=${3#*/} ;; esac
			w=${3%%/*}
			set -- "$1" "$2" "$r"
			for c in $w .$w; do
				case $c in . | ..) continue ;; esac
				[ ! -e "$c" ] && [ ! -L "$c" ] || (set -f && labelled "$1" "$2/$c" "$3")
			done
		)
	fi
}
# labels N PATTERN...: all labelled places.
labels() {
	n=$1 m=0
	while [ $m -lt "$n" ]; do
		shift
		case $1 in
		"~/"*) labelled $m "$HOME" "${1#??}" ;;
		*) labelled $m "" "${1#/}" ;;
		esac
		m=$((m + 1))
	done
}
# alike DIRECTORY: whether all shells take its dot-dots alike. Some take them away by
# the text alone, others only behind what is a directory.
alike() {
	case $1/ in
	*/../* | ../*) ;;
	*) return 0 ;;
	esac
	l=${PWD%/} r=$1/
	case $1 in /*) l= ;; esac
	while [ -n "$r" ]; do
		case ${r%%/*} in
		"" | .) ;;
		..) [ -d "$l/" ] || return 1 && l=${l%/*} ;;
		*) l=$l/${r%%/*} ;;
		esac
		r=${r#*/}
	done
	# Where that does not lead to a directory, bash goes by the links instead.
	[ -d "$l/" ] || [ ! -d "$1/" ]
}
# question KIND FOLLOW PREFIX STEPS (FORM DIRECTORY)... NAME
question() {
	k=$1 w=$2 h=$3 n=$4
	shift 4
	cd -- "$start" || return
	p Q
	while [ "$n" -gt 0 ]; do
		d=$2
		case $1 in *h*) d=$HOME/$2 d=${d%/} ;; esac
		o=
		case $1 in
		*p*) o=-P ;;
		*) alike "$d" || { p X "a dot-dot in a change of directory stands behind what is no directory, or leads elsewhere by a link" && return; } ;;
		esac
		if cd $o -- "${d:-/}" 2>/dev/null; then r=y; else r=n; fi
		case $1 in *x*) [ $r = n ] ;; *) [ $r = y ] ;; esac || { p I && return; }
		shift 2
		n=$((n - 1))
	done
	x=$1
	[ "$h" = - ] || { x=$HOME/$1 && [ -n "$1" ] || x=$HOME; }
	case $k in
	g)
		case $HOME in *[*?[]*) p X "the home directory has a pattern in its name" && return ;; esac
		set +f
		set -- $x
		set -f
		[ -e "$1" ] || [ -L "$1" ] || { p N && return; }
		[ $# -le 2000 ] || { p X "too many names" && return; }
		for x do
			place "$x"
			[ "$w" = - ] || below "$w"
		done
		;;
	r) repository "$x" ;;
	l) place "$x" && listed "$x" ;;
	*)
		place "$x"
		[ "$w" = - ] || below "$w"
		;;
	esac
}
p SALLYPORT1
for t in stat readlink find cat head wc; do
	command -v $t >/dev/null 2>&1 || { p "$t is not there" && exit 0; }
done
dir . || { p "the first directory cannot be found" && exit 0; }
p ok "$HOME" "$D"
marked=$1
if [ "$marked" != 0 ]; then
	cat /proc/self/mountinfo 2>/dev/null
	p ""
	labels "$@"
fi
questions() {
	shift $(($1 + 1))
	while [ $# -gt 0 ]; do
		steps=$4
		question "$@"
		shift $((5 + 2 * steps))
	done
}
questions "$@"
if [ -n "$need" ]; then
	p K
	labels "$@"
	p ""
fi
p END
