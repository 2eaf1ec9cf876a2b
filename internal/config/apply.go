package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Apply adds or replaces documents by kind and name. text is one or more YAML
// documents; name is what its errors call it; who is recorded. The whole set is
// validated first and the change recorded; then the folder is written; then the
// set comes into force. On any error nothing has changed. When Apply returns nil,
// the documents survive the death of the machine.
func (s *Store) Apply(ctx context.Context, name string, text []byte, who string) (*Change, error) {
	return s.edit(ctx, who, func(files []file) ([]file, []*chunk, error) { return s.merge(files, name, text) })
}

// Plan says what Apply would change, or its errors; nothing changes.
func (s *Store) Plan(name string, text []byte) (*Change, error) {
	return s.plan(func(files []file) ([]file, []*chunk, error) { return s.merge(files, name, text) })
}

// Remove removes one document, as Apply adds one: what still needs it keeps it from
// being removed. [ErrNoDocument] if there is none.
func (s *Store) Remove(ctx context.Context, kind, name, who string) (*Change, error) {
	return s.edit(ctx, who, func(files []file) ([]file, []*chunk, error) { return s.without(files, kind, name) })
}

// PlanRemove says what Remove would change, or its errors; nothing changes.
func (s *Store) PlanRemove(kind, name string) (*Change, error) {
	return s.plan(func(files []file) ([]file, []*chunk, error) { return s.without(files, kind, name) })
}

// ErrNoDocument says that there is no document of a kind and name.
var ErrNoDocument = errors.New("there is no such document")

// without takes a document out of files.
func (s *Store) without(files []file, kind, name string) ([]file, []*chunk, error) {
	for i, f := range files {
		chunks, _ := split(f.name, f.text)
		for j, c := range chunks {
			if s.is(c, kind, name) {
				files[i].text = joinChunks(slices.Delete(chunks, j, j+1))
				return files, nil, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("%s %q: %w", kind, name, ErrNoDocument)
}

// folderChange is a change of the folder's files. It may write into the slice that it
// gets, and returns with it the chunks that are new.
type folderChange func([]file) ([]file, []*chunk, error)

// plan says what a change would do.
func (s *Store) plan(edit folderChange) (*Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, err := s.read()
	if err != nil {
		return nil, err
	}
	files, fresh, err := edit(files)
	if err != nil {
		return nil, err
	}
	set, _, err := s.prepare(files, fresh)
	if err != nil {
		return nil, err
	}
	return s.change(set, SourceApply, ""), nil
}

// edit changes the folder as a whole.
func (s *Store) edit(ctx context.Context, who string, edit folderChange) (*Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.finishPending(); err != nil {
		return nil, err
	}
	before, err := s.read()
	if err != nil {
		return nil, err
	}
	after, fresh, err := edit(slices.Clone(before))
	if err != nil {
		return nil, err
	}
	set, commits, err := s.prepare(after, fresh)
	if err != nil {
		return nil, err
	}
	change := s.change(set, SourceApply, who)
	if len(change.Documents) == 0 {
		return change, nil
	}
	if err := s.record(ctx, change); err != nil {
		return nil, err
	}
	if err := s.persist(before, after); err != nil {
		failed := *change
		failed.Failed = err.Error()
		return nil, errors.Join(fmt.Errorf("store the documents: %w", err), s.record(context.WithoutCancel(ctx), &failed))
	}
	// The commit point is passed: from here on the change holds, and what is
	// left to do in the folder is done again at the next look at it.
	if err := s.finishPending(); err != nil {
		s.o.Log.Error("applied documents not yet written to their files", "error", err)
	}
	s.stamp = s.stat()
	s.commit(set, after, commits)
	s.o.Log.Info("documents applied", "generation", set.generation, "changed", len(change.Documents))
	return change, nil
}

// is reports whether a chunk is the document kind/name.
func (s *Store) is(c *chunk, kind, name string) bool {
	k, n, _ := s.identify(c)
	return k == kind && n == name
}

// identify decodes one chunk alone and returns its kind and name.
func (s *Store) identify(c *chunk) (kind, name string, errs Errors) {
	if c.empty() {
		return "", "", nil
	}
	set, errs := (&builder{}).only(s.o.Kinds, c)
	for _, d := range set.All("") {
		return d.Kind, d.Name, nil
	}
	return "", "", errs
}

// only decodes one chunk without cross-checks.
func (*builder) only(kinds []Kind, c *chunk) (*Set, Errors) {
	b := &builder{kinds: map[string]Kind{}, set: &Set{docs: map[string]map[string]*Document{}}}
	for _, k := range kinds {
		b.kinds[k.Name] = k
		b.set.docs[k.Name] = map[string]*Document{}
	}
	b.document(c, new(int))
	return b.set, b.errs
}

// merge puts the documents of text into files: in the place of the one with the
// same kind and name, or in a file of their own.
func (s *Store) merge(files []file, name string, text []byte) ([]file, []*chunk, error) {
	fresh, serr := split(name, text)
	if serr != nil {
		return nil, nil, Errors{serr}
	}
	var errs Errors
	seen := map[string]bool{}
	for _, c := range fresh {
		kind, doc, bad := s.identify(c)
		if errs = append(errs, bad...); kind == "" {
			continue
		}
		if seen[kind+"/"+doc] {
			errs = append(errs, c.errorAt(c.line, 1, "", "there are two documents %s %q", kind, doc))
		}
		seen[kind+"/"+doc] = true
		files = s.put(files, kind, doc, c)
	}
	switch {
	case len(errs) > 0:
		return nil, nil, errs
	case len(seen) == 0:
		return nil, nil, Errors{{File: name, Message: "there is no document in it"}}
	}
	return files, fresh, nil
}

func (s *Store) put(files []file, kind, name string, c *chunk) []file {
	for i, f := range files {
		chunks, err := split(f.name, f.text)
		if err != nil {
			continue // the validation of the whole reports it
		}
		for j := range chunks {
			if s.is(chunks[j], kind, name) {
				chunks[j] = c
				files[i].text = joinChunks(chunks)
				return files
			}
		}
	}
	own := strings.ToLower(kind) + "-" + name + ".yaml"
	for i, f := range files {
		if f.name == own { // somebody's file of that name holds other documents
			files[i].text = append(slices.Clone(f.text), "\n---\n"+strings.Trim(c.text(), "\n")+"\n"...)
			return files
		}
	}
	return append(files, file{own, []byte(strings.Trim(c.text(), "\n") + "\n")})
}

// joinChunks writes chunks as one file, empty ones left out.
func joinChunks(chunks []*chunk) []byte {
	var parts []string
	for _, c := range chunks {
		if text := strings.Trim(c.text(), "\n"); text != "" {
			parts = append(parts, text+"\n")
		}
	}
	return []byte(strings.Join(parts, "---\n"))
}

// pendingFile is the commit point of a change of several files. It holds the
// new text of each; a gateway that finds it finishes the change.
const pendingFile = ".sallyport-pending.json"

// persist makes what differs durable, all or nothing; finishPending puts it into
// the files.
func (s *Store) persist(before, after []file) error {
	old := map[string]string{}
	for _, f := range before {
		old[f.name] = string(f.text)
	}
	pending := map[string]string{}
	for _, f := range after {
		if text, ok := old[f.name]; !ok || text != string(f.text) {
			pending[f.name] = string(f.text)
		}
	}
	if err := os.MkdirAll(s.o.Folder, 0o750); err != nil {
		return err
	}
	raw, err := json.Marshal(pending)
	if err != nil {
		return err
	}
	return s.write(pendingFile, raw)
}

// finishPending completes a change whose commit point was reached.
func (s *Store) finishPending() error {
	path := filepath.Join(s.o.Folder, pendingFile)
	raw, err := readFile(path, 2*maxFolderBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var pending map[string]string
	if err := json.Unmarshal(raw, &pending); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for name, text := range pending {
		if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
			return fmt.Errorf("%s: %q is not a documents file", path, name)
		}
		if strings.TrimSpace(text) == "" {
			err = os.Remove(filepath.Join(s.o.Folder, name))
			if errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		} else {
			err = s.write(name, []byte(text))
		}
		if err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncFolder(s.o.Folder)
}

// write replaces one file durably: a reader sees the old or the new text.
func (s *Store) write(name string, text []byte) error {
	f, err := os.CreateTemp(s.o.Folder, ".sallyport-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once it is renamed
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o640)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(s.o.Folder, name)); err != nil {
		return err
	}
	return syncFolder(s.o.Folder)
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
