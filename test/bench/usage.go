package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of utime and stime: USER_HZ is 100 on every Linux
// platform that Go supports (proc(5), sysconf(3)).
const clockTick = time.Second / 100

// usage is what a process and its descendants have used and hold.
type usage struct {
	cpu       time.Duration
	rss, peak int64 // bytes
	// pss is the proportional share: pages that several processes share count once.
	pss int64
}

// usageOf adds up the process and its living descendants. For pid 0 it is zero.
func usageOf(pid int) (usage, error) {
	var total usage
	if pid == 0 {
		return total, nil
	}
	pids, err := family(pid)
	if err != nil {
		return total, err
	}
	for _, p := range pids {
		cpu, _, err := stat(p)
		if err != nil {
			return total, err
		}
		total.cpu += cpu
		status, err := fields(filepath.Join("/proc", strconv.Itoa(p), "status"))
		if err != nil {
			return total, err
		}
		total.rss += status["VmRSS"]
		total.peak += status["VmHWM"]
		rollup, err := fields(filepath.Join("/proc", strconv.Itoa(p), "smaps_rollup"))
		if err != nil {
			return total, err
		}
		total.pss += rollup["Pss"]
	}
	return total, nil
}

// family is a process and its descendants.
func family(pid int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if _, parent, err := stat(p); err == nil { // it may have ended meanwhile
			children[parent] = append(children[parent], p)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// stat reads the CPU time (with that of ended children) and the parent from
// /proc/PID/stat. See proc(5).
func stat(pid int) (cpu time.Duration, parent int, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, 0, err
	}
	// The second field is the name in parentheses and may hold anything.
	after := bytes.LastIndexByte(text, ')')
	f := strings.Fields(string(text[after+1:]))
	if after < 0 || len(f) < 15 {
		return 0, 0, fmt.Errorf("/proc/%d/stat is too short", pid)
	}
	if parent, err = strconv.Atoi(f[1]); err != nil {
		return 0, 0, err
	}
	for _, i := range []int{11, 12, 13, 14} { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return 0, 0, err
		}
		cpu += time.Duration(ticks) * clockTick
	}
	return cpu, parent, nil
}

// fields reads lines such as "VmRSS:    1234 kB" in bytes.
func fields(path string) (map[string]int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(line, ":")
		if number, isKB := strings.CutSuffix(strings.TrimSpace(value), " kB"); ok && isKB {
			if n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64); err == nil {
				all[name] = n * 1024
			}
		}
	}
	return all, nil
}
