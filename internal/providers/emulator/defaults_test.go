package emulator

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestVendorsLimitsByDefault(t *testing.T) {
	e := New()
	assert.Equal(t, 100<<20, e.maxFileBytes)
	assert.Equal(t, 1000, e.maxFiles)
}

func TestFactsAreWhole(t *testing.T) {
	rows := table()
	assert.Greater(t, len(rows), 50)
	for id, f := range rows {
		assert.Equal(t, id, f.ID)
		assert.Contains(t, vendors(), f.Vendor, id)
		assert.Contains(t, []string{"", "always", "toggle", "effort"}, f.Thinking, id)
		if f.Window > 0 {
			assert.LessOrEqual(t, f.MaxOutput, f.Window, id)
		}
		if f.Thinking == "effort" {
			assert.NotEmpty(t, f.Efforts, id)
		}
	}
}
