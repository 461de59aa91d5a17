package store

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

func TestNetworkFileSystemsByMagic(t *testing.T) {
	assert.Equal(t, "NFS", networkMagic[0x6969])
	assert.NotContains(t, networkMagic, uint32(0xef53), "ext4 is local")
}

// A state folder on a network file system is refused. The file system of the test's folder stands for one.
func TestNetworkFileSystemIsRefused(t *testing.T) {
	dir := t.TempDir()
	var st syscall.Statfs_t
	require.NoError(t, syscall.Statfs(dir, &st))
	magic := uint32(st.Type)
	networkMagic[magic] = "TESTFS"
	defer delete(networkMagic, magic)
	_, err := Open(t.Context(), config.Conversations{StateDir: dir})
	require.ErrorContains(t, err, dir+" is on a network file system (TESTFS), where SQLite's locks are not safe; set EXAI_STATE_DIR")
	var folder folderError
	require.ErrorAs(t, err, &folder)
}
