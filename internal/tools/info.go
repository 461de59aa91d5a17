package tools

import "context"

type recordKey struct{}

// withRecord puts the call on its handler's context.
func withRecord(ctx context.Context, r CallRecord) context.Context {
	return context.WithValue(ctx, recordKey{}, r)
}

// RecordOf is the tool call that a handler works on, the zero record outside of one.
func RecordOf(ctx context.Context) CallRecord {
	r, _ := ctx.Value(recordKey{}).(CallRecord)
	return r
}
