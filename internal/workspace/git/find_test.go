package git

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlaces(t *testing.T) {
	for _, on := range []string{"linux", "darwin", "windows"} {
		assert.NotEmpty(t, places(on, "/home/me"))
	}
	assert.Contains(t, places("windows", "home"), filepath.Join("home", "scoop", "apps", "git", "current", "cmd", "git.exe"))
	assert.Len(t, places("windows", ""), 3, "without a home folder there is none to look in")
	assert.True(t, isDeveloperStub("darwin", "/usr/bin/git"))
	assert.False(t, isDeveloperStub("linux", "/usr/bin/git"))
	assert.False(t, isDeveloperStub("darwin", "/usr/local/bin/git"))
	assert.NotContains(t, places("darwin", ""), "/usr/bin/git", "it may only ask for the developer tools")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/git", nil, 0o600))
	assert.Equal(t, dir+"/git", firstFile([]string{dir + "/missing", dir, dir + "/git", dir + "/missing"}))
	assert.Empty(t, firstFile([]string{dir}))
}
