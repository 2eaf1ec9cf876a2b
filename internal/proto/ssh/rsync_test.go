package ssh

import (
	"strings"
	"testing"
)

func TestRsyncIsServedAsTheFarSideOnly(t *testing.T) {
	for line, want := range map[string]string{
		"rsync --server --sender -vlogDtpre.iLsfxCIvu . /srv/data":              "read",
		"rsync --server -vlogDtpre.iLsfxCIvu . /srv/in":                         "write",
		"rsync --server -vlogDtpre.iLsfxCIvu --delete . /srv/in":                "write delete",
		"rsync --server --sender -Lre.iLsfxCIvu --timeout=30 . a b":             "read follow",
		"rsync --server --sender -se.iLsfxCIvu .":                               "",
		"rsync --server --sender -re.iLsfxCIvu . -o":                            "",
		"rsync --server --sender -re.iLsfxCIvu . /srv/*":                        "",
		"rsync --server --daemon .":                                             "",
		"rsync --daemon --config=/dev/null":                                     "",
		"rsync --rsh=/home/shx/trap/evil.sh localhost:x":                        "",
		"rsync --server --log-file=/tmp/x -re.iLsfxCIvu . a":                    "",
		"rsync --server --files-from=/etc/shadow --sender -re.iLsfxCIvu . a":    "",
		"rsync --server --sender --rsync-path=sh -re.iLsfxCIvu . a":             "",
		"rsync --server -re.iLsfxCIvu --backup-dir=/x . a":                      "",
		"rsync --server -re.iLsfxCIvu --temp-dir=/x . a":                        "",
		"rsync --server --sender -re.iLsfxCIvu --copy-unsafe-links . a":         "",
		"rsync --server -re.iLsfxCIvu . a b":                                    "",
		"rsync --server --sender -re.iLsfxCIvu a":                               "",
		"rsync -a /srv/data /srv/copy":                                          "",
		"rsync --server --sender -vlogDtpre.iLsfxCIvu --iconv=utf8 . /srv/data": "",
		"rsync --server --sender -re. . a":                                      "read",
		"rsync --server -e --sender . /srv/in":                                  "", // --sender as the word of -e: it writes
		"rsync --server -vre --sender . /srv/in":                                "",
		"rsync --server --sender -e. . a":                                       "read",
		"rsync --server --sender - . a":                                         "", // - as the folder to start in
	} {
		c, err := parseRsync(strings.Fields(line))
		got := ""
		if err == nil {
			got = "write"
			if c.sender {
				got = "read"
			}
			if c.deletes {
				got += " delete"
			}
			if c.follow {
				got += " follow"
			}
		}
		if got != want {
			t.Errorf("%s: %q (%v), want %q", line, got, err, want)
		}
	}
}

func TestOnlyLinesWithoutAnythingToExpandAreTakenForTransfers(t *testing.T) {
	for line, want := range map[string]string{
		"scp -t /srv/in":                       "scp|-t|/srv/in",
		"scp -f '/srv/a b'":                    "scp|-f|/srv/a b",
		`scp -f "/srv/a b"`:                    "scp|-f|/srv/a b",
		"scp -f *.txt":                         "",
		"scp -f ~/x":                           "",
		"scp -f $HOME/x":                       "",
		"scp -f `id`":                          "",
		"scp -f $(id)":                         "",
		"scp -f a; id":                         "",
		"scp -f a && id":                       "",
		"scp -f a | id":                        "",
		"scp -f a > b":                         "",
		"scp -f a &":                           "",
		"X=1 scp -f a":                         "",
		"! scp -f a":                           "",
		"scp -f $'a'":                          "",
		`scp -f a\ b`:                          "",
		`scp -f "a\$b"`:                        "",
		"scp -f {a,b}":                         "",
		"scp -f a\nid":                         "",
		"scp -f a # comment":                   "scp|-f|a",
		"(scp -f a)":                           "",
		"scp -f 'a":                            "",
		"scp -f " + strings.Repeat("a", 20000): "",
	} {
		if got := strings.Join(literalWords(line), "|"); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
