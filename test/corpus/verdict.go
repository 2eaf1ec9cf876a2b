package corpus

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// outcome is one run of a case and what the database held before and after.
type outcome struct {
	play          *play
	before, after string
}

// worked says whether an attack did what it is after: every check holds.
func (o *outcome) worked() (bool, error) {
	k := &o.play.c.Check
	if len(k.given) == 0 {
		return false, nil
	}
	text := readable(o.play.got)
	answers := o.play.answers
	for name := range k.given {
		holds := false
		var err error
		switch name {
		case "leak":
			hits := detect(o.play.got)
			holds = slices.ContainsFunc(k.Leak, func(d string) bool { return slices.Contains(hits, d) })
		case "changed":
			holds = o.before != o.after
		case "regex":
			holds, err = matches(k.Regex, text)
		case "noregex":
			holds, err = matches(k.NoRegex, text)
			holds = !holds
		case "translate":
			holds = translated(text, k.Translate[0], k.Translate[1])
		case "oracle":
			i, j := k.Oracle[0], k.Oracle[1]
			holds = min(i, j) >= 0 && len(answers) > max(i, j) && answers[i].tells() != answers[j].tells()
		case "slow":
			holds = o.play.took.Seconds() >= k.Slow
		case "ok":
			holds = len(answers) == o.play.c.answered() && len(o.play.errs()) == 0
		case "okany":
			holds = slices.ContainsFunc(answers, func(a answer) bool { return len(a.tags) > 0 })
		case "differs":
			holds = true // the twins are compared for every case of the masking policy
		default:
			err = fmt.Errorf("unknown check %q", name)
		}
		if err != nil || !holds {
			return false, err
		}
	}
	return true, nil
}

func matches(pattern, text string) (bool, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return false, fmt.Errorf("pattern: %w", err)
	}
	return re.MatchString(text), nil
}

// translated maps the characters of from to those of to and looks for secrets.
func translated(text, from, to string) bool {
	table := map[rune]rune{}
	target := []rune(to)
	for i, r := range []rune(from) {
		if i < len(target) {
			table[r] = target[i]
		}
	}
	text = strings.Map(func(r rune) rune {
		if t, ok := table[r]; ok {
			return t
		}
		return r
	}, text)
	tight := keep(text, func(r rune) bool { return isAddress(r) || r == '-' })
	for _, s := range secrets() {
		if strings.Contains(tight, s) || strings.Contains(text, s) || strings.Contains(tight, strings.ReplaceAll(s, "-", "")) {
			return true
		}
	}
	return false
}

// tells is what an oracle's answer tells: rows, the beginning of each error
// without its code, and how many notices came.
func (a *answer) tells() string {
	var b strings.Builder
	for _, row := range a.rows {
		for _, v := range row {
			fmt.Fprintf(&b, "%t%q ", v == nil, v)
		}
		b.WriteByte('\n')
	}
	code := regexp.MustCompile(`\|[A-Z]\d+\|`)
	for _, e := range a.errs {
		r := []rune(code.ReplaceAllString(e, ""))
		fmt.Fprintf(&b, "%q ", string(r[:min(60, len(r))]))
	}
	return b.String() + fmt.Sprint(len(a.notices))
}

// given is what an honest agent was given, for comparing with the direct answer.
func (a *answer) given() string {
	var b strings.Builder
	for _, row := range a.rows {
		for _, v := range row {
			fmt.Fprintf(&b, "%t%q ", v == nil, v)
		}
		b.WriteByte('\n')
	}
	return b.String() + fmt.Sprintf("%q %q", a.tags, a.copied)
}

// sameGiven returns the first step in which two runs were given different
// things; empty if there is none.
func sameGiven(direct, through *play) string {
	for i := range max(len(direct.answers), len(through.answers)) {
		var want, got answer
		if i < len(direct.answers) {
			want = direct.answers[i]
		}
		if i < len(through.answers) {
			got = through.answers[i]
		}
		if w, g := want.given(), got.given(); w != g {
			return fmt.Sprintf("step %d is answered %s instead of %s", i+1, clip(g), clip(w))
		}
	}
	return ""
}

// interference compares what a client got from the twins, byte for byte, and
// returns the first difference; empty if there is none.
func interference(a, b []frame) (string, error) {
	x, err := normal(a)
	if err != nil {
		return "", err
	}
	y, err := normal(b)
	if err != nil {
		return "", err
	}
	for i := range min(len(x), len(y)) {
		if x[i].typ != y[i].typ || !bytes.Equal(x[i].body, y[i].body) {
			return clip(fmt.Sprintf("message %d: %c %q, on the twin %c %q", i+1, x[i].typ, x[i].body, y[i].typ, y[i].body)), nil
		}
	}
	if len(x) != len(y) {
		return fmt.Sprintf("%d messages, on the twin %d", len(x), len(y)), nil
	}
	return "", nil
}

// normal takes out what differs by nature: the cancel key, process ids in
// notifications, and the OIDs of objects that the case itself makes.
func normal(got []frame) ([]frame, error) {
	var out []frame
	for _, f := range got {
		switch f.typ {
		case 'K':
			continue
		case 'A':
			f.body = f.body[min(4, len(f.body)):]
		case 'T':
			body, err := normalRow(f.body)
			if err != nil {
				return nil, err
			}
			f.body = body
		}
		out = append(out, f)
	}
	return out, nil
}

// normalRow is a RowDescription without table OIDs and without the OIDs of types
// that are not the server's own (FirstNormalObjectId in access/transam.h).
func normalRow(body []byte) ([]byte, error) {
	const firstUserOID = 16384
	if len(body) < 2 {
		return nil, errField
	}
	n := int(body[0])<<8 | int(body[1])
	var out []byte
	b := body[2:]
	for range n {
		end := bytes.IndexByte(b, 0) + 1
		if end == 0 || len(b) < end+18 {
			return nil, errField
		}
		f := b[end : end+18] // table, attribute, type, length, modifier, format
		out = append(append(out, b[:end]...), f[4:6]...)
		if f[6] == 0 && f[7] == 0 && int(f[8])<<8|int(f[9]) < firstUserOID {
			out = append(out, f[6:10]...)
		}
		out = append(out, f[10:]...)
		b = b[end+18:]
	}
	return out, nil
}

// clip shortens a text for a report.
func clip(s string) string {
	const most = 400
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
