package git

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPlaces(t *testing.T) {
	for _, on := range []string{"linux", "darwin", "windows"} {
		assert.NotEmpty(t, places(on, "/home/me"))
	}
	assert.True(t, isDeveloperStub("darwin", "/usr/bin/git"))
	assert.False(t, isDeveloperStub("linux", "/usr/bin/git"))
	assert.NotContains(t, places("darwin", ""), "/usr/bin/git", "it may only ask for the developer tools")
}
