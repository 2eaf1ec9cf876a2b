package hostpath

import (
	"regexp"
	"strings"
)

// processDirectory are names that lead through the directory of a process, which is
// another one for the program than for the script where something runs the program in a
// directory of its own.
var processDirectory = regexp.MustCompile(`(^|/)proc/+([^/]+/+)*cwd(/|$)`)

const whyProcessDirectory = "where the directory of a process is, only the process itself can tell"

// special says why a place that is no ordinary file must not be used so; empty if
// it may.
func special(real string, kind Kind, use Use) string {
	switch {
	case within(real, "/proc"):
		return process(real, use)
	case real == "/dev/null", real == "/dev/zero" && use == Read, real == "/dev/full" && use == Read,
		real == "/dev/urandom" && use == Read, real == "/dev/random" && use == Read:
		return ""
	case kind == Device:
		return "it is a device"
	case kind == Pipe, kind == Socket:
		return "it is a pipe or socket"
	case within(real, "/dev") && use != List && use != Walk && use != Enter && kind != Missing:
		return "it lies in /dev"
	case use == Recurse && (real == "/" || within(real, "/sys")):
		return "everything below it includes what is no ordinary file, as the environments of processes"
	}
	return ""
}

// perProcess are the files of a process that tell what ps tells, or less. The
// others show its memory, its environment, or files by another way
// (proc_pid(5)).
var perProcess = map[string]bool{
	"status": true, "stat": true, "statm": true, "comm": true, "cmdline": true, "limits": true, "io": true,
	"cgroup": true, "loginuid": true, "oom_score": true, "oom_score_adj": true, "sched": true, "schedstat": true,
	"wchan": true, "sessionid": true, "uid_map": true, "gid_map": true, "mounts": true, "mountinfo": true,
	"mountstats": true, "cpuset": true, "personality": true, "timers": true,
}

// system are the files of /proc that do not belong to a process and hold nothing
// but figures (proc(5)).
var system = map[string]bool{
	"cpuinfo": true, "meminfo": true, "loadavg": true, "uptime": true, "version": true, "stat": true, "vmstat": true,
	"filesystems": true, "partitions": true, "diskstats": true, "swaps": true, "modules": true, "devices": true,
	"interrupts": true, "softirqs": true, "buddyinfo": true, "pagetypeinfo": true, "zoneinfo": true, "slabinfo": true,
	"misc": true, "mounts": true, "crypto": true, "mdstat": true, "cgroups": true, "cmdline": true, "locks": true, "consoles": true,
	"execdomains": true, "fb": true, "iomem": true, "ioports": true, "schedstat": true, "timer_list": true,
	"version_signature": true, "pressure": true, "mtrr": true, "dma": true, "key-users": true,
}

// process judges a path in /proc.
func process(real string, use Use) string {
	const why = "this part of /proc shows memory, environments or files by another way"
	parts := strings.Split(strings.TrimPrefix(real, "/proc"), "/")[1:]
	switch {
	case use == Enter:
		return "commands do not start in /proc"
	case len(parts) == 0:
		if use == List {
			return ""
		}
		return why
	case use != Read && use != List:
		return why
	case parts[0] == "sys" && len(parts) > 1 && use == Read, parts[0] == "pressure":
		return ""
	case digits(parts[0]) && len(parts) == 1 && use == List:
		return ""
	case digits(parts[0]):
		if len(parts) == 2 && (perProcess[parts[1]] || parts[1] == "net") || len(parts) == 3 && parts[1] == "net" {
			return ""
		}
		return why
	case len(parts) == 1 && system[parts[0]]:
		return ""
	}
	return why
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
