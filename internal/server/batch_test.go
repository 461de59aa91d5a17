package server

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

const batching = "2025-03-26" // the one revision that has batches

// A batch is answered in one line, when its slowest call is done; what needs no answer has none in it, and progress does
// not wait for it.
func TestBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := connect(t, serverOf(nil, nil, map[string]handler{"slow": func(ctx context.Context, inv tool.Invocation) *tools.Result {
			inv.Progress("working")
			return slow(time.Second)(ctx, inv)
		}}))
		p.handshake(batching, `{}`)
		start := time.Now()
		p.send(` [ {"jsonrpc":"2.0","id":1,"method":"ping"}, {"jsonrpc":"2.0","method":"notifications/unknown"}, 5, ["nested"],` +
			`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"slow","_meta":{"progressToken":"t"}}},` +
			`{"jsonrpc":"2.0","id":"x","result":{}},{"jsonrpc":"2.0","id":3,"method":"no/such"}]`)
		assert.Equal(t, "notifications/progress", p.next().Method)
		assert.Zero(t, time.Since(start))
		p.send(`{"jsonrpc":"2.0","id":"other","method":"ping"}`)
		assert.Equal(t, `"other"`, string(p.next().ID), "a batch holds up nothing")

		var outcomes []string // ids and error codes
		for _, l := range p.next().batch {
			code := 0
			if l.Error != nil {
				code = l.Error.Code
			}
			outcomes = append(outcomes, fmt.Sprint(string(l.ID), " ", code))
		}
		assert.Equal(t, time.Second, time.Since(start))
		assert.ElementsMatch(t, []string{"1 0", "2 0", "3 -32601", "null -32600", "null -32600"}, outcomes)
	})
}

// Of a batch without a request nothing comes, and a call that is cancelled is missing.
func TestBatchWithoutAnswers(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"slow": slow(time.Hour)}))
	p.handshake(batching, `{}`)
	p.send(`[{"jsonrpc":"2.0","method":"notifications/unknown"}]`)
	p.send(`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}},{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}]`)
	p.send(`[{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"slow"}},{"jsonrpc":"2.0","id":3,"method":"ping"}]`)
	p.send(`[{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}]`)
	got := p.next()
	require.Len(t, got.batch, 1, got.raw)
	assert.Equal(t, "3", string(got.batch[0].ID))
	p.send(`[]`)
	assert.Equal(t, -32600, p.next().Error.Code)
}

// Batches came with one revision and went with the next.
func TestBatchesAreRefusedInOtherRevisions(t *testing.T) {
	for _, version := range []string{"", "2024-11-05", "2025-06-18", newest} {
		p := connect(t, serverOf(nil, nil, nil))
		if version != "" {
			p.handshake(version, `{}`)
		}
		p.send(`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`)
		got := p.next()
		require.NotNil(t, got.Error, got.raw)
		assert.Equal(t, -32600, got.Error.Code)
	}
}
