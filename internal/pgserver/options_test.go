package pgserver

import (
	"strings"
	"testing"
)

func TestContradictingOptionsAreRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"certificate without TLS": {Auth: AuthCert, NoTLS: true},
		"TLS off and required":    {NoTLS: true, RequireTLS: true},
		"unknown authentication":  {Auth: "password"},
	} {
		if err := o.check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRequiringTLSLeavesNoPlainTCP(t *testing.T) {
	for _, o := range []Options{{RequireTLS: true}, {Auth: AuthCert}} {
		if hba := o.hba(); strings.Contains(hba, "host all") || !strings.Contains(hba, "hostssl all") {
			t.Errorf("pg_hba.conf of %+v lets plain TCP in:\n%s", o, hba)
		}
	}
}

func TestSettingsOfTheCallerWinAndAreQuoted(t *testing.T) {
	conf := Options{Settings: map[string]string{"fsync": "on", "application_name": "it's"}}.conf(5432, "/s")
	for _, want := range []string{"fsync = 'on'\n", "application_name = 'it''s'\n"} {
		if !strings.Contains(conf, want) {
			t.Errorf("postgresql.conf lacks %q:\n%s", want, conf)
		}
	}
}

func TestNamesAndTextsAreQuoted(t *testing.T) {
	if got, want := quoteName(`a"b`), `"a""b"`; got != want {
		t.Errorf("quoteName = %s, want %s", got, want)
	}
	if got, want := quoteText("a'b"), "'a''b'"; got != want {
		t.Errorf("quoteText = %s, want %s", got, want)
	}
}

func TestMajorVersionIsReadFromTheFolder(t *testing.T) {
	for dir, want := range map[string]int{
		"/usr/lib/postgresql/15/bin":          15,
		"/usr/pgsql-17/bin":                   17,
		"/opt/homebrew/opt/postgresql@18/bin": 18,
		"/usr/local/bin":                      0,
	} {
		if got := major(dir); got != want {
			t.Errorf("major(%s) = %d, want %d", dir, got, want)
		}
	}
}
