package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlanFollowsItsVariables(t *testing.T) {
	env := func(values map[string]string) func(string) string {
		return func(name string) string { return values[name] }
	}
	p, err := parse(nil, env(nil))
	if err != nil || p.seconds != 10 || p.idle != maxIdle || p.bulkBytes() != 512<<20 || p.rounds() != 5 {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = parse([]string{"-gateway", "x"}, env(map[string]string{"BENCH_SECONDS": "1", "BENCH_IDLE": "7"}))
	if p, err := parse([]string{"-parts", "setup,open"}, env(nil)); err != nil || len(p.parts) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := parse([]string{"-parts", "tea"}, env(nil)); err == nil {
		t.Errorf("%+v", p)
	}
	if err != nil || p.bulkBytes() != 64<<20 || p.idle != 7 || p.gateway != "x" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []map[string]string{{"BENCH_SECONDS": "0"}, {"BENCH_SECONDS": "x"}, {"BENCH_IDLE": "-1"}} {
		if p, err := parse(nil, env(bad)); err == nil {
			t.Errorf("%v gives %+v", bad, p)
		}
	}
}

func TestMedianIsTheMiddle(t *testing.T) {
	for want, of := range map[float64][]float64{0: nil, 3: {9, 1, 3}, 2.5: {1, 2, 3, 4}} {
		if got := median(of); got != want {
			t.Errorf("median of %v is %v, want %v", of, got, want)
		}
	}
}

func TestTableComparesWithDirect(t *testing.T) {
	got := table([]row{
		{System: "direct", What: "cat", MBps: 400}, {System: "sallyport", What: "cat", MBps: 300, CPUsPerGB: 4.5},
		{System: "direct", What: "ssh", Ms: 50}, {System: "sallyport", What: "ssh", Ms: 62.5},
		{System: "sallyport", What: "open sessions", KiBPerSession: 150, Sessions: 1000},
	})
	for _, want := range []string{"| cat | sallyport | 300 | 0.75 | 4.50 |", "| ssh | sallyport | 62.5 ms | +12.5 ms |", "| each of 1000 open sessions | sallyport | 150.0 KiB | – |"} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
}

func TestAProcessHasTimeAndMemory(t *testing.T) {
	memory, err := memoryOf(os.Getpid())
	if err != nil || memory < 1<<20 {
		t.Errorf("memory %d, %v", memory, err)
	}
	if _, err := cpuOf(os.Getpid()); err != nil {
		t.Error(err)
	}
	if cpu, err := cpuOf(0); err != nil || cpu != 0 {
		t.Errorf("no process: %v, %v", cpu, err)
	}
}

func TestFilesHaveTheSizeAskedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := write(path, 100_000, func(line []byte) []byte { return append(line, "a line\n"...) }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() < 100_000 || info.Size() > 100_100 {
		t.Errorf("%v, %v", info, err)
	}
}
