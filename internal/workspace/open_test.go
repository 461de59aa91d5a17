package workspace

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What was checked is exchanged before it is opened.
func TestSwapAfterTheCheck(t *testing.T) {
	for name, swap := range map[string]func(t *testing.T, dir string){
		"file for a link out":       func(t *testing.T, dir string) { replace(t, dir+"/a/d/f", "../../out/f") },
		"file for a link to .env":   func(t *testing.T, dir string) { replace(t, dir+"/a/d/f", "../.env") },
		"file for an absolute link": func(t *testing.T, dir string) { replace(t, dir+"/a/d/f", dir+"/out/f") },
		"folder for a link out":     func(t *testing.T, dir string) { replace(t, dir+"/a/d", "../out") },
		"folder for a link inside":  func(t *testing.T, dir string) { replace(t, dir+"/a/d", ".ssh") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			write(t, "fine", dir, "a/d/f")
			for _, secret := range []string{"a/.env", "a/.ssh/f", "out/f"} {
				write(t, "SECRET", dir, secret)
			}
			w := newWorkspace(t, dir+"/a")
			at, err := w.find(t.Context(), dir+"/a/d/f")
			require.NoError(t, err)
			folder, err := w.find(t.Context(), dir+"/a/d")
			require.NoError(t, err)
			swap(t, dir)
			_, _, err = at.open()
			require.Error(t, err)
			require.NotEmpty(t, codeOf(err))
			if name[:6] == "folder" {
				_, err = folder.openRoot()
				require.NotEmpty(t, codeOf(err))
			}
		})
	}
}

// replace puts a link in the place of a file or folder.
func replace(t *testing.T, name, target string) {
	t.Helper()
	require.NoError(t, os.Rename(name, name+".old"))
	link(t, target, name)
}

// Files and folders change places with links all the while they are read; nothing but the right file is ever seen.
func TestSwapRace(t *testing.T) {
	dir := tempDir(t)
	write(t, "fine", dir, "a/d/f")
	write(t, "SECRET", dir, "a/.ssh/f")
	write(t, "SECRET", dir, "out/f")
	link(t, ".ssh", dir, "a/toSecret")
	link(t, "../out", dir, "a/toOut")
	w := newWorkspace(t, dir+"/a")

	done := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			other := filepath.Join(dir, "a", []string{"toSecret", "toOut"}[i%2])
			_ = os.Rename(dir+"/a/d", dir+"/a/aside")
			_ = os.Rename(other, dir+"/a/d")
			_ = os.Rename(dir+"/a/d", other)
			_ = os.Rename(dir+"/a/aside", dir+"/a/d")
		}
	})
	for range 3000 {
		text, err := w.readPath(t.Context(), "d/f", 0)
		if err != nil {
			if !assert.NotEmpty(t, codeOf(err), "%v", err) {
				break
			}
			continue
		}
		if !assert.Equal(t, "fine", text.Content) {
			break
		}
	}
	close(done)
	swapping.Wait()
}

func TestOpenGivesTheFile(t *testing.T) {
	dir := tempDir(t)
	write(t, "\x00\x01binary", dir, "f.bin")
	f, err := newWorkspace(t, dir).openPath(t.Context(), "f.bin")
	require.NoError(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	assert.Equal(t, "\x00\x01binary", string(data))
	assert.Equal(t, int64(8), f.Size)
	assert.Equal(t, dir+"/f.bin", f.Path)
}

func TestCheckTakesFoldersToo(t *testing.T) {
	dir := tempDir(t)
	write(t, "x", dir, "sub/f")
	w := newWorkspace(t, dir)
	assert.NoError(t, w.checkPaths(t.Context(), "sub", "sub/f", dir))
	requireCode(t, CodeNotFound, w.checkPaths(t.Context(), "sub", "nothing"))
}
