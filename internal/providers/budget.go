package providers

import (
	"context"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// Budget is the time that a whole tool call has. Dispatch puts it on the context; Caller and the store obey it.
type Budget struct {
	Limit config.Limit // what governs the call, by name
	Class config.Class
	Start time.Time
	// The call as logs name it: its tool, and the conversation that it belongs to, "" for none.
	Tool, ContinuationID string
	// Task says that the client takes an answer that outlives the call as a task: it then keeps its in-flight slot and is not
	// evicted by other background answers.
	Task bool
}

// The part of a call's limit that is kept for storing and answering.
const (
	reserveShare = 20 // one part in 20
	reserveMin   = 300 * time.Millisecond
	reserveMax   = 2 * time.Second
)

// Reserve is the end of the limit that is kept for storing and answering: 5 %, between 0.3 and 2 s, at most a quarter.
func (b Budget) Reserve() time.Duration {
	r := min(max(b.Limit.Value/reserveShare, reserveMin), reserveMax)
	return min(r, b.Limit.Value/4)
}

// AnswerBy is when work on the answer must end, so that it can still be stored and sent.
func (b Budget) AnswerBy() time.Time { return b.Start.Add(b.Limit.Value - b.Reserve()) }

// Deadline is when the reply must be out.
func (b Budget) Deadline() time.Time { return b.Start.Add(b.Limit.Value) }

type budgetKey struct{}

// WithBudget puts the call's budget on the context. It sets no deadline by itself.
func WithBudget(ctx context.Context, b Budget) context.Context {
	return context.WithValue(ctx, budgetKey{}, b)
}

// BudgetFrom returns the call's budget, and false outside a tool call.
func BudgetFrom(ctx context.Context) (Budget, bool) {
	b, _ := ctx.Value(budgetKey{}).(Budget)
	return b, b.Limit.Value > 0
}

// WithoutBudget takes the call's time off the context, for work that outlives the call. Logs still name the call.
func WithoutBudget(ctx context.Context) context.Context {
	b, _ := BudgetFrom(ctx)
	return WithBudget(ctx, Budget{Tool: b.Tool, ContinuationID: b.ContinuationID})
}
