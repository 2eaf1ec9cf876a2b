package shell

import "github.com/sallyport-gateway/sallyport/internal/gate"

// writingPrograms change files or the machine. They are here so that rules can
// allow or hold them; their effects are what they do.
func writingPrograms() []Program {
	return []Program{
		{Name: "tee", Options: opts(usual, "-a,--append -i,--ignore-interrupts -p"), Operands: args("write..."), Stdin: true},
		{Name: "touch", Options: opts(usual, "-a -c,--no-create -d,--date=date -h,--no-dereference -m -r,--reference=stat -t=text --time=text"), Operands: args("write..."), Effects: gate.EffectWrite},
		{Name: "mkdir", Options: opts(usual, "-m,--mode=text -p,--parents -v,--verbose"), Operands: args("create..."), Effects: gate.EffectWrite},
		{Name: "rmdir", Options: opts(usual, "-p,--parents -v,--verbose --ignore-fail-on-non-empty"), Operands: args("delete..."), Effects: gate.EffectDelete},
		{Name: "rm", Options: opts(usual, "-f,--force -i -I --interactive[=text] -r,-R,--recursive!recurse -d,--dir -v,--verbose --one-file-system --preserve-root[=text]"), Operands: args("delete..."), Effects: gate.EffectDelete},
		{Name: "unlink", Options: opts(usual), Operands: args("delete"), Effects: gate.EffectDelete},
		{Name: "truncate", Options: opts(usual, "-c,--no-create -o,--io-blocks -r,--reference=stat -s,--size=text"), Operands: args("write..."), Effects: gate.EffectWrite},
		{Name: "chmod", Options: opts(usual, "-c,--changes -f,--silent,--quiet -v,--verbose -R,--recursive!recurse --reference=stat"), Operands: args("text alter..."), Effects: gate.EffectWrite},
		{Name: "chown", Aliases: []string{"chgrp"}, Options: opts(usual, "-c,--changes -f,--silent,--quiet -v,--verbose -h,--no-dereference -R,--recursive!recurse --from=text"), Operands: args("text alter..."), Effects: gate.EffectWrite | gate.EffectAdmin},
		{Name: "cp", Options: opts(usual, "-a,--archive!recurse -f,--force -i,--interactive -n,--no-clobber -p --preserve[=text] -r,-R,--recursive!recurse -L,--dereference!follow -P,--no-dereference -d -u,--update -v,--verbose -t,--target-directory=text -T,--no-target-directory -x,--one-file-system"), Special: "copy", Effects: gate.EffectWrite},
		{Name: "mv", Options: opts(usual, "-f,--force -i,--interactive -n,--no-clobber -u,--update -v,--verbose -t,--target-directory=text -T,--no-target-directory"), Special: "copy", Effects: gate.EffectWrite | gate.EffectDelete},
		{Name: "ln", Options: opts(usual, "-s,--symbolic -f,--force -n,--no-dereference -v,--verbose -r,--relative -T,--no-target-directory -t,--target-directory=text"), Special: "copy", Effects: gate.EffectWrite},
		{Name: "install", Options: opts(usual, "-D -m,--mode=text -o,--owner=text -g,--group=text -v,--verbose -t,--target-directory=text -T,--no-target-directory -p"), Special: "copy", Effects: gate.EffectWrite},
		{Name: "dd", Options: opts(usual), Special: "dd"},
		{Name: "kill", Aliases: []string{"pkill", "killall"}, Options: opts("-s,--signal=text -l -f -u=text -x -9 -15 -1 -2 -3 -TERM -KILL -HUP -INT -QUIT -USR1 -USR2"), Words: true, Operands: args("text..."), Special: "kill", Effects: gate.EffectAdmin},
		{Name: "reboot", Aliases: []string{"poweroff", "halt", "shutdown"}, Options: opts("-r -h -f -P -H -c --now"), Operands: args("text..."), Effects: gate.EffectAdmin},
	}
}
