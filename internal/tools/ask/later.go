package ask

import "context"

// Later runs work that goes on after its call, and reports whether it was started. Close ends its ctx and waits for it.
func (t *Conversations) Later(ctx context.Context, work func(ctx context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(t.closing, cancel)
	t.followers.Add(1)
	go func() {
		defer t.followers.Done()
		defer cancel()
		defer stop()
		work(ctx)
	}()
	return true
}
