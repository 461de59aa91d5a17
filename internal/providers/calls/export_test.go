package calls

import (
	"time"

	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// SetJitter replaces the draw of the waits between attempts, so that tests can say when an attempt comes.
func (c *Caller) SetJitter(draw func(time.Duration) time.Duration) { c.jitter = draw }

// SetMeter gives a path that a fixture has made another meter.
func (c *Caller) SetMeter(m *usage.Meter) { c.meter = m }

// SetNow replaces the clock by which models retire.
func (c *Catalog) SetNow(now func() time.Time) { c.now = now }
