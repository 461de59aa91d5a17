package tools

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// A step that may ask an expert has the expert's limit, any other one the workflow's.
func TestStepLimits(t *testing.T) {
	long := strings.Repeat("x", 101)
	for _, c := range []struct {
		name string
		tool string
		args map[string]any
		set  func(cfg *config.Config)
		want string
	}{
		{"a step that another one follows", "debug", map[string]any{"next_step_required": true}, nil, "WORKFLOW_TOOL_TIMEOUT_SECS"},
		{"the last step", "debug", nil, nil, "EXPERT_ANALYSIS_TIMEOUT_SECS"},
		{"one that ends early", "debug", map[string]any{"next_step_required": true, "step_number": 2, "total_steps": 3, "confidence": "very_high", "findings": long, "relevant_files": []string{"a"}}, nil, "EXPERT_ANALYSIS_TIMEOUT_SECS"},
		{"certain", "debug", map[string]any{"confidence": "certain"}, nil, "WORKFLOW_TOOL_TIMEOUT_SECS"},
		{"a refactoring that is complete", "refactor", map[string]any{"confidence": "complete"}, nil, "WORKFLOW_TOOL_TIMEOUT_SECS"},
		{"a certain analysis", "analyze", map[string]any{"confidence": "certain"}, nil, "EXPERT_ANALYSIS_TIMEOUT_SECS"},
		{"without an expert", "debug", map[string]any{"use_assistant_model": false}, nil, "WORKFLOW_TOOL_TIMEOUT_SECS"},
		{"experts are off", "debug", nil, func(cfg *config.Config) { cfg.Expert.Enabled = false }, "WORKFLOW_TOOL_TIMEOUT_SECS"},
		{"off unless asked for", "debug", nil, func(cfg *config.Config) { cfg.Expert.UseAssistantModel = false }, "WORKFLOW_TOOL_TIMEOUT_SECS"},
		{"asked for", "debug", map[string]any{"use_assistant_model": true}, func(cfg *config.Config) { cfg.Expert.UseAssistantModel = false }, "EXPERT_ANALYSIS_TIMEOUT_SECS"},
		{"a tool that calls no model", "planner", nil, nil, "WORKFLOW_TOOL_TIMEOUT_SECS"},
		{"a consensus", "consensus", nil, nil, "EXPERT_ANALYSIS_TIMEOUT_SECS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Timeouts.AnswerWithin = time.Hour // so that the class's own limit is seen
			if c.set != nil {
				c.set(cfg)
			}
			args := map[string]any{"step": "s", "step_number": 1, "total_steps": 1, "next_step_required": false, "findings": "f"}
			if c.tool == "planner" || c.tool == "consensus" {
				delete(args, "findings")
			}
			for k, v := range c.args {
				args[k] = v
			}
			text, err := json.Marshal(args)
			require.NoError(t, err)
			for _, tool := range everyTool() {
				if tool.Name == c.tool {
					_, limit, err := tool.Check(text, cfg)
					require.NoError(t, err)
					assert.Equal(t, c.want, limit.Name)
				}
			}
		})
	}
}
