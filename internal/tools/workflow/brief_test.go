package workflow

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

func TestBrief(t *testing.T) {
	for name, c := range map[string]struct{ full, want string }{
		"flags that the status implies": {
			`{"status":"s","investigation_complete":true,"early_termination":true,"early_termination_reason":"r","next_step_required":true}`,
			`{"status":"s","early_termination":true,"early_termination_reason":"r","next_step_required":true}`,
		},
		"counts and echoes": {
			`{"debug_status":{"files":2},"file_status":"a word","complete_debug":{"initial_request":"q","steps_taken":2},"complete_thinking":{"steps":3}}`,
			`{"file_status":"a word","complete_debug":{"steps_taken":2}}`,
		},
		"a call keeps what only the caller knows": {
			`{"continuation_id":"i","next_call":{"tool":"x","arguments":{"step":"s","path":"p","model":"m","findings":"f","next_step_required":false,
			"document_flow":true,"update_existing":false,"continuation_id":"i"}}}`,
			`{"next_call":{"tool":"x","arguments":{"step":"s","model":"m","next_step_required":false,"update_existing":false,"continuation_id":"i"}}}`,
		},
		"an id that no call has stays": {
			`{"continuation_id":"i","next_call":{"tool":"x","arguments":{"step":"s"}}}`,
			`{"continuation_id":"i","next_call":{"tool":"x","arguments":{"step":"s"}}}`,
		},
		"coverage says what was sent": {
			`{"coverage":[{"file":"a","how":"whole"}],"file_context":{"type":"t","repositories":[{"path":"/r"}],"manifest":{"sent":[{"path":"a","tokens":3}],
			"cut":[{"path":"b"}],"left_out":[{"path":"c"}],"tokens":3,"bytes":9}}}`,
			`{"coverage":[{"file":"a","how":"whole"}]}`,
		},
		"but not what was out of the ordinary": {
			`{"coverage":[{"file":"a","how":"whole"}],"file_context":{"manifest":{"sent":[{"path":"a","encoding":"big5","tokens":3},{"path":"b","masked":1},{"path":"c"}],
			"not_checked_for_secrets":["d.png"]}}}`,
			`{"coverage":[{"file":"a","how":"whole"}],"file_context":{"manifest":{"sent":[{"path":"a","encoding":"big5"},{"path":"b","masked":1}],
			"not_checked_for_secrets":["d.png"]}}}`,
		},
		"nor what was sent in part": {
			`{"coverage":[{"file":"a","how":"part"}],"file_context":{"manifest":{"sent":[{"path":"a","reason":"r","tokens":3},"odd"],
			"already_sent":[{"path":"b","reason":"s"},{"path":"c"}]}}}`,
			`{"coverage":[{"file":"a","how":"part"}],"file_context":{"manifest":{"sent":[{"path":"a","reason":"r"},"odd"],
			"already_sent":[{"path":"b","reason":"s"}]}}}`,
		},
		"a call without arguments stays": {
			`{"next_step_required":true,"next_call":{"tool":"x"}}`,
			`{"next_step_required":true,"next_call":{"tool":"x"}}`,
		},
		"the model of a single answer stays": {
			`{"model_consulted":"m","model_stance":"for","accumulated_responses":[]}`,
			`{"model_consulted":"m","model_stance":"for","accumulated_responses":[]}`,
		},
		"answers name their models": {
			`{"model_consulted":"m","model_stance":"for","accumulated_responses":[{"model":"m","metadata":{"finish_reason":"stop","usage":{"input_tokens":1}}}]}`,
			`{"accumulated_responses":[{"model":"m"}]}`,
		},
		"what is odd about an answer stays": {
			`{"accumulated_responses":[{"model":"a"},{"model":"b","metadata":{"finish_reason":"length","attempts":2,"sources":["s"],"notes":["n"],"looked_at":["f"]}}]}`,
			`{"accumulated_responses":[{"model":"a"},{"model":"b","metadata":{"finish_reason":"length","sources":["s"],"notes":["n"],"looked_at":["f"]}}]}`,
		},
		"without coverage the manifest does": {
			`{"file_context":{"repositories":[{"path":"/r"}],"manifest":{"sent":[{"path":"a","bytes":1}],"cut":[{"path":"b","reason":"long"}]}}}`,
			`{"file_context":{"repositories":[{"path":"/r"}],"manifest":{"sent":[{"path":"a"}],"cut":[{"path":"b","reason":"long"}]}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := reply.ParseOrdered([]byte(c.full))
			require.NoError(t, err)
			o, ok := parsed.(*reply.Object)
			require.True(t, ok)
			brief(o)
			got, err := o.MarshalJSON()
			require.NoError(t, err)
			assert.JSONEq(t, c.want, string(got))
		})
	}
}
