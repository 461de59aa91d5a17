package ask

import (
	"context"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// storeTime is what storing may take at most: who waits for an answer is not to wait for a database that hangs.
const storeTime = 5 * time.Second

// cancelledStoreTime is what storing may take when the client has gone: a process that is told to end has 2 s.
const cancelledStoreTime = 1500 * time.Millisecond

// working bounds the part of a call in which it may still wait: up to its reserve.
func working(ctx context.Context) (context.Context, context.CancelFunc) {
	if b, ok := providers.BudgetFrom(ctx); ok {
		return context.WithDeadline(ctx, b.AnswerBy())
	}
	return context.WithCancel(ctx)
}

// storing bounds the storing of what a call came to: within its limit, of whose reserve a fifth is left for the way out. A
// cancelled call stores too.
func (t *Conversations) storing(ctx context.Context) (context.Context, context.CancelFunc) {
	end := time.Now().Add(storeTime)
	if b, ok := providers.BudgetFrom(ctx); ok {
		if reserved := b.Deadline().Add(-b.Reserve() / 5); reserved.Before(end) {
			end = reserved
		}
	}
	if ctx.Err() != nil {
		if soon := time.Now().Add(cancelledStoreTime); soon.Before(end) {
			end = soon
		}
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}
