package store

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNetworkFileSystemsByMagic(t *testing.T) {
	assert.Equal(t, "NFS", networkMagic[0x6969])
	assert.NotContains(t, networkMagic, uint32(0xef53), "ext4 is local")
}
