package identity

import (
	"fmt"
	"time"
)

// Duration is a span of time in a document, written as Go writes it: "45s",
// "1h30m". A bare number is an error, because it has no unit.
type Duration time.Duration

// UnmarshalText reads the form of [time.ParseDuration]; a negative span is an
// error.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration; write it like 30s, 15m or 1h", text)
	}
	if v < 0 {
		return fmt.Errorf("the duration %s is negative", v)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the form that UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the form of [time.Duration.String].
func (d Duration) String() string { return time.Duration(d).String() }

func (d Duration) or(def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}
