package calls

import "time"

// SetJitter replaces the draw of the waits between attempts, so that tests can say when an attempt comes.
func (c *Caller) SetJitter(draw func(time.Duration) time.Duration) { c.jitter = draw }

// SetNow replaces the clock by which models retire.
func (c *Catalog) SetNow(now func() time.Time) { c.now = now }
