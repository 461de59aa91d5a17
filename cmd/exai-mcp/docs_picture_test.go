package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// bar is a limit in the picture of them.
type bar struct {
	label, text string
	limit       time.Duration
	class       string // how it is drawn
}

// TestDocsTimeouts holds the README's picture of the time limits equal to the TimeoutConfig.
func TestDocsTimeouts(t *testing.T) {
	wholeFile(t, timeoutsFile, timeoutsPicture(config.Default().Timeouts))
}

// timeoutsPicture draws the limits of a call from the inside out, on one axis of seconds. It has a background, so that it
// is legible on light and on dark pages.
func timeoutsPicture(c config.TimeoutConfig) string {
	bars := []bar{
		{"first event from a vendor, retries included", "GLM_TIMEOUT_SECS, KIMI_TIMEOUT_SECS", c.GLM, "inner"},
		{"silence within an answer", "STREAM_IDLE_TIMEOUT_SECS", c.StreamIdle, "inner"},
		{"a simple tool", "SIMPLE_TOOL_TIMEOUT_SECS", c.SimpleTool, "call"},
		{"a workflow step", "WORKFLOW_TOOL_TIMEOUT_SECS", c.WorkflowTool, "call"},
		{"a file tool", "FILE_TOOL_TIMEOUT_SECS", c.FileTool, "call"},
		{"a step with an expert, a consensus", "EXPERT_ANALYSIS_TIMEOUT_SECS", c.Expert, "call"},
		{"any call, whatever is set", "daemon: follows from the others", c.Daemon(), "outer"},
		{"a program in between", "shim: follows from the others", c.Shim(), "outer"},
		{"your client: set it there", "client: follows from the others", c.Client(), "outer"},
	}
	const (
		width, row, top = 960, 42, 84
		left, right     = 310, 910
	)
	longest := c.Client().Seconds() * 1.04
	x := func(d time.Duration) float64 { return left + (right-left)*d.Seconds()/longest }
	height := top + row*len(bars) + 58
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title">
<title id="title">The time limits of a call, from the inside out</title>
<style>
  .ground { fill: #ffffff; stroke: #d0d7de }
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .heading { font-weight: 600; font-size: 15px }
  .small { font-size: 12px; fill: #59636e }
  .number { font-weight: 600 }
  .inner { fill: #b6d7f2 }
  .call { fill: #8fc99a }
  .outer { fill: #d8d2ea }
  .beyond { fill: none; stroke: #8fc99a; stroke-dasharray: 4 3 }
  .tick { stroke: #d0d7de }
  .answer { stroke: #c9372c; stroke-width: 2; stroke-dasharray: 6 4 }
  .answertext { fill: #c9372c; font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .inner { fill: #1f4b73 }
    .call { fill: #23683a }
    .outer { fill: #4a3f6b }
    .beyond { stroke: #3f9a5b }
    .tick { stroke: #3d444d }
    .answer { stroke: #f85149 }
    .answertext { fill: #f85149 }
  }
</style>
<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>
<text class="heading" x="16" y="26">How long a call may take, from the inside out (seconds, defaults)</text>
`, width, height, width, height, width-1, height-1)
	bottom := top + row*len(bars)
	for s := 0; s <= int(longest); s += 15 {
		at := x(time.Duration(s) * time.Second)
		fmt.Fprintf(&b, `<line class="tick" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text class="small" x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n",
			at, top-8, at, bottom+2, at, bottom+18, s)
	}
	for i, r := range bars {
		y := top + row*i
		end := r.limit
		if r.class == "call" && end > c.AnswerWithin {
			fmt.Fprintf(&b, `<rect class="beyond" x="%.1f" y="%d" width="%.1f" height="24"/>`+"\n", x(c.AnswerWithin), y+1, x(end)-x(c.AnswerWithin))
			end = c.AnswerWithin
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-12, y+10, r.label)
		fmt.Fprintf(&b, `<text class="small" x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-12, y+26, r.text)
		fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="24" rx="3"/>`+"\n", r.class, left, y+1, x(end)-left)
		fmt.Fprintf(&b, `<text class="number" x="%.1f" y="%d" text-anchor="end">%g</text>`+"\n", x(end)-7, y+18, r.limit.Seconds())
	}
	at := x(c.AnswerWithin)
	fmt.Fprintf(&b, `<line class="answer" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", at, top-16, at, bottom+2)
	fmt.Fprintf(&b, `<text class="answertext" x="%.1f" y="%d" text-anchor="middle">ANSWER_WITHIN_SECS %g: every call is answered by now</text>`+"\n", at, top-22, c.AnswerWithin.Seconds())
	fmt.Fprintf(&b, `<text class="small" x="16" y="%d">What is not finished by then comes back as partial, goes on in the background (BACKGROUND_MAX_SECS, %g) and is fetched with its continuation_id.</text>`+"\n",
		bottom+44, c.Background.Seconds())
	b.WriteString("</svg>\n")
	return b.String()
}
