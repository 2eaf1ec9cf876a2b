package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

func TestProcessFillsInDefaultsAndMakesPathsAbsolute(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sallyport.yaml")
	text := `listen:
  console:  127.0.0.1:8420
  postgres: 127.0.0.1:6432
state: sqlite:./data/state.db
hold: 30s
limits: {connections: 100, memory: 1GiB}
`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := LoadProcess(path, "postgres", "ssh")
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"state": p.State == "sqlite:"+filepath.Join(dir, "data/state.db"), "key": p.Key == "file:"+filepath.Join(dir, "data/key"),
		"documents": p.Documents == filepath.Join(dir, "documents"), "hold": p.Hold == 30*time.Second,
		"connections": p.Limits.Connections == 100, "handshake": p.Limits.Handshake == 10*time.Second,
		"memory": p.Limits.Memory == 1<<30, "url": p.URL == "https://127.0.0.1:8420", "log": p.Log.Level == "info",
	} {
		if !ok {
			t.Errorf("%s in %+v", what, p)
		}
	}
}

func TestMistakesInTheProcessFile(t *testing.T) {
	for text, want := range map[string]string{
		"listen: {postgress: 127.0.0.1:1}": `did you mean "postgres"?`,
		"listen: {postgres: 6432}":         "expected a string",
		"listen: {postgres: localhost}":    "is not host:port",
		"stat: x":                          `did you mean "state"?`,
		"state: ./x":                       "starts with sqlite:",
		"state: 'postgres:'":               "starts with sqlite:",
		"recordings: s3://bucket/x":        "supports no other place",
		"key: awskms://x":                  "starts with file:",
		"hold: 45":                         "is not a duration",
		"hold: -45s":                       "is not positive",
		"tls: {certificate: a}":            "needs certificate and key",
		"url: http://x":                    "https://",
		"kind: Target\nname: x":            `unknown field "name"`,
		"a: b\n---\nc: d":                  "more than one document",
		"limits: {connections: 99999999}":  "at most",
		"limits: {connections: -1}":        "whole number",
	} {
		if _, err := parseProcess("sallyport.yaml", "/x", []byte(text), []string{"postgres", "ssh"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestErrorsDoNotShowThePasswordOfAStateURL(t *testing.T) {
	_, err := parseProcess("f", "/x", []byte("state: postgresx://u:hunter2@h/db\n"), nil)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestTheProcessSchemaRefusesTypos(t *testing.T) {
	raw, err := ProcessSchema("postgres")
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, ok := range map[string]bool{
		`{"listen":{"postgres":"a:1","console":"b:2"},"hold":"45s","limits":{"memory":"1GiB"}}`: true,
		`{}`:                                true,
		`{"lisen":{}}`:                      false,
		`{"listen":{"postgress":"a:1"}}`:    false,
		`{"hold":45}`:                       false,
		`{"limits":{"memory":"1 Giga"}}`:    false,
		`{"log":{"level":"loud"}}`:          false,
		`{"tls":{"certificate":["a.pem"]}}`: false,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if err := r.Validate(v); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
