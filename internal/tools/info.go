package tools

import (
	"context"

	"github.com/exai-mcp/exai-mcp/internal/activity"
)

type callKey struct{}

func withCall(ctx context.Context, c activity.Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallOf is the tool call that a handler works on, the zero Call outside of one.
func CallOf(ctx context.Context) activity.Call {
	c, _ := ctx.Value(callKey{}).(activity.Call)
	return c
}
