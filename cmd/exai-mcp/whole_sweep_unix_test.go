//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a server leaves in the folder for temporary files when it is killed in the middle of git's work, a later one removes.
func TestKilledServersLeaveNoFolders(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	top := s.project()
	temp := filepath.Join(s.dir, "tmp")
	require.NoError(t, os.Mkdir(temp, 0o700))
	program := s.file("bin/git", "#!/bin/sh\nfor a in \"$@\"; do [ \"$a\" != status ] || exec sleep 20; done\nexec /usr/bin/git \"$@\"\n")
	require.NoError(t, os.Chmod(program, 0o755))
	s.environ = append(s.environ, "TMPDIR="+temp, "PATH="+filepath.Dir(program)+":/usr/bin:/bin")
	left := func() []string {
		names, err := filepath.Glob(temp + "/exai-git-*")
		require.NoError(t, err)
		return names
	}

	p := s.serveChild()
	p.ask("precommit", object{"step": "Review.", "path": top})
	require.Eventually(t, func() bool { return len(left()) == 1 }, scaled(10*time.Second), 10*time.Millisecond)
	p.kill()
	require.Len(t, left(), 1, "nobody could remove it")

	p = s.serveChild()
	time.Sleep(2 * startsWithin) // for this server to look
	assert.Len(t, left(), 1, "another process could be using it")
	p.kill()

	old := time.Now().Add(-24 * time.Hour)
	require.NoError(t, os.Chtimes(left()[0], old, old))
	s.serveChild()
	assert.Eventually(t, func() bool { return len(left()) == 0 }, scaled(10*time.Second), 10*time.Millisecond)
}
