package config

import (
	"strconv"
	"time"
)

// TimeoutConfig is the one source of every time limit. GLM and Kimi clients both get theirs from here and from nowhere else.
// All are whole limits counted from the start of what they bound.
type TimeoutConfig struct {
	GLM             time.Duration `env:"GLM_TIMEOUT_SECS"`
	Kimi            time.Duration `env:"KIMI_TIMEOUT_SECS"`
	StreamIdle      time.Duration `env:"STREAM_IDLE_TIMEOUT_SECS"`
	Connect         time.Duration `env:"CONNECT_TIMEOUT_SECS"`
	KimiSearch      time.Duration `env:"KIMI_WEB_SEARCH_TIMEOUT_SECS"`
	GLMSearch       time.Duration `env:"GLM_WEBSEARCH_TIMEOUT_SECS"`
	SimpleTool      time.Duration `env:"SIMPLE_TOOL_TIMEOUT_SECS"`
	WorkflowTool    time.Duration `env:"WORKFLOW_TOOL_TIMEOUT_SECS"`
	Expert          time.Duration `env:"EXPERT_ANALYSIS_TIMEOUT_SECS"`
	ThinkDeepExpert time.Duration `env:"THINKDEEP_EXPERT_TIMEOUT_SECS"` // 0: Expert times a factor of the thinking mode
	FileTool        time.Duration `env:"FILE_TOOL_TIMEOUT_SECS"`
	KimiUpload      time.Duration `env:"KIMI_FILES_UPLOAD_TIMEOUT_SECS"`
	GLMUpload       time.Duration `env:"GLM_FILE_UPLOAD_TIMEOUT_SECS"`
	AnswerWithin    time.Duration `env:"ANSWER_WITHIN_SECS"`
	Background      time.Duration `env:"BACKGROUND_MAX_SECS"`
}

// Limit is one time limit under the name that the operator set it by.
type Limit struct {
	Name   string // the environment variable
	Value  time.Duration
	Factor float64 // Value is the variable's value times this; 0 means 1
}

// String is the limit as replies and logs show it, "GLM_TIMEOUT_SECS=30s" or, where a factor applies,
// "EXPERT_ANALYSIS_TIMEOUT_SECS=60s x 1.5": the variable with its own value.
func (l Limit) String() string {
	if l.Factor == 0 || l.Factor == 1 {
		return l.Name + "=" + seconds(l.Value) + "s"
	}
	own := time.Duration(float64(l.Value) / l.Factor).Round(time.Millisecond)
	return l.Name + "=" + seconds(own) + "s x " + strconv.FormatFloat(l.Factor, 'g', -1, 64)
}

// seconds writes a duration as the variables take it: a plain number of seconds.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// Class says which of the TimeoutConfig's limits governs a whole tool call.
type Class int

// The classes of tool calls.
const (
	ClassSimple   Class = iota // a tool that is no workflow and no file tool
	ClassWorkflow              // a workflow step without an expert call
	ClassExpert                // a workflow step with one, and a consensus
	ClassFile                  // a file tool
)
