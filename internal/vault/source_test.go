package vault_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/vault"
)

func TestDocumentThatSaysTooLittleOrHoldsAValueIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		doc   vault.Document
		field string
	}{
		"no name":               {vault.Document{Password: "sealed"}, "name"},
		"nothing":               {vault.Document{Name: "x"}, "password"},
		"certificate alone":     {vault.Document{Name: "x", Certificate: "sealed"}, "key"},
		"no account":            {vault.Document{Name: "x", Password: "env:PW"}, "username"},
		"the password itself":   {vault.Document{Name: "x", Username: "u", Password: "hunter2"}, "password"},
		"unknown source":        {vault.Document{Name: "x", Username: "u", Password: "http://hunter2"}, "password"},
		"empty path":            {vault.Document{Name: "x", Username: "u", Password: "file:"}, "password"},
		"path with NUL":         {vault.Document{Name: "x", Username: "u", Password: "file:a\x00b"}, "password"},
		"sealed in capitals":    {vault.Document{Name: "x", Username: "u", Password: "Sealed"}, "password"},
		"certificate from env":  {vault.Document{Name: "x", Certificate: "env:C", Key: "sealed"}, "certificate"},
		"the private key":       {vault.Document{Name: "x", Certificate: "sealed", Key: "-----BEGIN hunter2"}, "key"},
		"two schemes in a word": {vault.Document{Name: "x", Username: "u", Password: "env file:x"}, "password"},
	} {
		err := c.doc.Validate()
		var field *vault.FieldError
		if !errors.As(err, &field) || field.Field != c.field || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want an error in %s", name, err, c.field)
		}
	}
}

func TestInvalidSetOfDocumentsChangesNothing(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.env["PW"] = "x"
	good := vault.Document{Name: "db", Username: "u", Password: "env:PW"}
	declare(t, w.vault, good)
	for _, docs := range [][]vault.Document{{good, good}, {{Name: "other", Password: "sealed"}, {Name: "bad"}}} {
		if err := w.vault.SetDocuments(docs); err == nil {
			t.Error("it was taken")
		}
		if _, err := w.vault.Credential(ctx, "db"); err != nil {
			t.Error(err)
		}
		if _, err := w.vault.Credential(ctx, "other"); !errors.Is(err, vault.ErrNotFound) {
			t.Error(err)
		}
	}
}

func TestEnvironmentAndFileAreReadAtEachUse(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	path := filepath.Join(w.dir, "pw")
	declare(t, w.vault, vault.Document{Name: "env", Username: "u", Password: "env:PW"},
		vault.Document{Name: "file", Username: "u", Password: "file:" + path})
	for _, c := range []struct{ content, want string }{
		{"one", "one"}, {"two\n", "two"}, {"three\r\n", "three"}, {" four \n\n", " four \n"}, {"five\r", "five\r"},
	} {
		w.env["PW"] = c.content
		if err := os.WriteFile(path, []byte(c.content), 0o400|0o200); err != nil {
			t.Fatal(err)
		}
		env, err1 := w.vault.Credential(ctx, "env")
		file, err2 := w.vault.Credential(ctx, "file")
		if err := errors.Join(err1, err2); err != nil || env.Password.Reveal() != c.content || file.Password.Reveal() != c.want {
			t.Errorf("%q: %v", c.content, err)
		}
	}
}

func TestEmptyOrMissingSecretIsNeverTried(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	empty, long := filepath.Join(w.dir, "empty"), filepath.Join(w.dir, "long")
	for path, content := range map[string]string{empty: "\n", long: strings.Repeat("x", 64<<10+1)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.env["EMPTY"] = ""
	w.put(t, "sealed", "no key in it")
	docs := []vault.Document{
		{Name: "empty env", Username: "u", Password: "env:EMPTY"},
		{Name: "no env", Username: "u", Password: "env:MISSING"},
		{Name: "empty file", Username: "u", Password: "file:" + empty},
		{Name: "long file", Username: "u", Password: "file:" + long},
		{Name: "no file", Username: "u", Password: "file:" + empty + "x"},
		{Name: "endless file", Username: "u", Password: "file:/dev/zero"},
		{Name: "not sealed", Username: "u", Password: "sealed"},
		{Name: "sealed", Username: "u", Certificate: "sealed", Key: "sealed"},
	}
	declare(t, w.vault, docs...)
	for _, d := range docs {
		if c, err := w.vault.Credential(ctx, d.Name); err == nil || c != nil || !strings.Contains(err.Error(), d.Name) {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
}

func TestFileThatOthersCanReadOrChangeIsRefused(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	path := filepath.Join(w.dir, "pem")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	declare(t, w.vault, vault.Document{Name: "secret", Username: "u", Password: "file:" + path},
		vault.Document{Name: "chain", Username: "u", Certificate: "file:" + path, Key: "env:K"})
	w.env["K"] = "key"
	for mode, c := range map[os.FileMode]struct{ secret, chain bool }{
		0o400: {true, true}, 0o600: {true, true}, 0o640: {true, true}, 0o440: {true, true},
		0o644: {false, true}, 0o604: {false, true}, 0o660: {false, false}, 0o602: {false, false}, 0o666: {false, false},
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err1 := w.vault.Credential(ctx, "secret")
		_, err2 := w.vault.Credential(ctx, "chain")
		if (err1 == nil) != c.secret || (err2 == nil) != c.chain {
			t.Errorf("%04o: secret %v, chain %v", mode, err1, err2)
		}
	}
}

func TestPutRefusesWhatCannotLogIn(t *testing.T) {
	w := newWorld(t)
	secret := gate.NewSecret("x")
	for name, c := range map[string]gate.Credential{
		"nothing":               {Username: "u"},
		"certificate alone":     {Username: "u", Password: secret, Certificate: []byte("x")},
		"password beyond bound": {Username: "u", Password: gate.NewSecret(strings.Repeat("x", 64<<10+1))},
		"endless account":       {Username: strings.Repeat("u", 2000), Password: secret},
	} {
		if err := w.vault.Put(context.Background(), "db", c, "operator"); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := w.vault.Put(context.Background(), "", gate.Credential{Password: secret}, "operator"); err == nil {
		t.Error("a credential without a name was taken")
	}
}
