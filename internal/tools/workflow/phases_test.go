package workflow_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// slowFiles are files on a slow disk.
type slowFiles struct{ *workspace.Workspace }

func (f slowFiles) Resolve(ctx context.Context, paths []string) ([]workspace.Ref, []workspace.Problem) {
	time.Sleep(2 * time.Second)
	return f.Workspace.Resolve(ctx, paths)
}

// A client that waits sees that files are being read.
func TestPhaseOfReadingFiles(t *testing.T) {
	for _, tool := range []string{"debug", "consensus"} {
		t.Run(tool, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, asktest.Says(expertSays()))
				l.file("window.go", source)
				w, err := words.For(tool)
				require.NoError(t, err)
				e := &workflow.Engine{
					Config: l.cfg, Conversations: l.deps.Conversations, Files: slowFiles{l.deps.Workspace}, Log: zap.NewNop(),
					Window: func(context.Context, ask.Question, bool) int { return 100_000 },
				}
				no := false
				facts := workflow.Facts{StepInput: workflow.StepInput{Step: "x", StepNumber: 1, TotalSteps: 1, NextStepRequired: &no}, RelevantFiles: []string{"window.go"}}
				step := workflow.Step{
					Facts: facts, Args: json.RawMessage(`{"step":"x"}`), Words: w,
					Read: func(json.RawMessage) (workflow.Facts, error) { return facts, nil },
				}
				var seen []string
				report := progress.Start(func(message string) { seen = append(seen, message) }, nil, "", tool, time.Now())
				defer report.Stop()
				ctx := progress.With(t.Context(), report)
				if tool == "debug" {
					_, err = e.Run(ctx, workflow.Spec{Tool: tool, Expert: workflow.ExpertAlways, Findings: true}, step)
				} else {
					_, err = e.RunPanel(ctx, workflow.Spec{Tool: tool}, step, func([]workflow.PanelAnswer) ([]workflow.Panelist, error) {
						return []workflow.Panelist{{Model: "glm-5.3", Stance: "for"}}, nil
					})
				}
				require.NoError(t, err)
				assert.Contains(t, seen[len(seen)-1], "reading files", "%q", seen)
			})
		})
	}
}
