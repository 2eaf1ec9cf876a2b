package config

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Source says where a secret is: an environment variable or a file.
type Source struct {
	From Place `yaml:"from" required:"true" doc:"env:NAME for an environment variable of the gateway, or file:PATH, relative to the configuration file." example:"env:ORDERS_PASSWORD"`
}

// ScalarHint is what somebody is told who wrote the secret itself.
func (Source) ScalarHint() (message, hint string) {
	return "a secret never stands in a document",
		"write {from: env:NAME} or {from: file:PATH}, or store it with sallyport credential set and write sealed: NAME"
}

// Place is "env:NAME" or "file:PATH".
type Place string

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// UnmarshalText refuses anything but env:NAME and file:PATH, without repeating
// what it was given: that may be the secret.
func (p *Place) UnmarshalText(b []byte) error {
	scheme, rest, _ := strings.Cut(string(b), ":")
	if scheme == "env" && envName.MatchString(rest) || scheme == "file" && rest != "" {
		*p = Place(b)
		return nil
	}
	return fmt.Errorf("expected env:NAME or file:PATH")
}

// MarshalText writes the place.
func (p Place) MarshalText() ([]byte, error) { return []byte(p), nil }

// resolve makes a path absolute under base, unless it is already.
func resolve(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// readFile reads a regular file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return b, err
}

// canonical encodes documents deterministically: structs, slices and sorted maps.
func canonical(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		// Only documents decoded by this package come here; all of them encode.
		panic("config: " + err.Error())
	}
	return b
}
