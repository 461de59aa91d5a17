package providers

// Generation is an answer being made. It outlives its call when a limit of ours ends the call while the vendor's stream
// is alive.
type Generation struct {
	done chan struct{}
}

// Done is closed when the answer has ended, well or not.
func (g *Generation) Done() <-chan struct{} { return g.done }

// Snapshot is what the generation has come to so far. After Done it is final.
func (g *Generation) Snapshot() Outcome { return Outcome{} }

// Stop ends the generation at once; what arrived stays in Snapshot.
func (g *Generation) Stop() {}
