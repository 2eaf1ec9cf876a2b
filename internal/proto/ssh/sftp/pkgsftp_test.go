package sftp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"context"

	other "github.com/pkg/sftp"
)

// otherClient connects the client of pkg/sftp through a relay to a real server.
func otherClient(t *testing.T, p *policy) *other.Client {
	t.Helper()
	server := exec.Command(serverPath)
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	clientIn, toClient := io.Pipe()
	fromClient, clientOut := io.Pipe()
	r := New(Config{Judge: p, Observer: p, Resolver: ByServer{}, Timeout: 20 * time.Second}, lazy(toClient), lazy(in))
	ran := make(chan error, 1)
	go func() {
		err := r.Run(context.Background(), fromClient, from)
		err = errors.Join(err, in.Close())
		_ = fromClient.Close()
		err = errors.Join(err, r.Finish(), server.Wait())
		_ = toClient.Close()
		ran <- err
	}()
	client, err := other.NewClientPipe(clientIn, clientOut)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return client
}

func TestPkgSftpDoesItsWorkThroughTheRelay(t *testing.T) {
	dir := tempDir(t)
	p := &policy{secret: dir + "/secret"}
	put(t, dir+"/secret/token", []byte("CANARY"))
	c := otherClient(t, p)
	big := random(9<<20 + 5)
	f, err := c.Create(dir + "/big")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadFrom(bytes.NewReader(big)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Chmod(0o640), f.Close()); err != nil {
		t.Fatal(err)
	}
	same(t, dir+"/big", big)
	f, err = c.Open(dir + "/big")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := f.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), big) {
		t.Errorf("%d bytes came back, %v", got.Len(), err)
	}
	if _, err := c.Open(dir + "/secret/token"); !errors.Is(err, os.ErrPermission) {
		t.Errorf("the secret: %v", err)
	}
	err = errors.Join(f.Close(), c.MkdirAll(dir+"/a/b/c"), c.Rename(dir+"/big", dir+"/a/big"), c.PosixRename(dir+"/a/big", dir+"/a/b/big"),
		c.Symlink("b/big", dir+"/a/link"), c.Link(dir+"/a/b/big", dir+"/a/hard"), c.Chmod(dir+"/a/link", 0o600), c.Truncate(dir+"/a/hard", 10),
		c.Chtimes(dir+"/a/hard", time.Unix(1e9, 0), time.Unix(1e9, 0)), c.Remove(dir+"/a/link"), c.RemoveDirectory(dir+"/a/b/c"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := c.Stat(dir + "/a/b/big")
	if err != nil || info.Size() != 10 || info.Mode().Perm() != 0o600 || info.ModTime().Unix() != 1e9 {
		t.Errorf("%v %v", info, err)
	}
	names, err := c.ReadDir(dir + "/a")
	if err != nil || len(names) != 2 {
		t.Errorf("%v %v", names, err)
	}
	if fs, err := c.StatVFS(dir); err != nil || fs.Bsize == 0 {
		t.Errorf("%v %v", fs, err)
	}
	walked := 0
	for w := c.Walk(dir + "/a"); w.Step(); walked++ {
		if w.Err() != nil {
			t.Error(w.Err())
		}
	}
	if walked != 4 {
		t.Errorf("walked %d entries, want a, b, b/big and hard", walked)
	}
	if wd, err := c.Getwd(); err != nil || wd == "" {
		t.Errorf("%q %v", wd, err)
	}
}
