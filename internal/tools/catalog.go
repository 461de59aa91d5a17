// Package tools holds the 29 tools, one short file each, and what clients read and pick besides: resources, prompts,
// completions. It knows no protocol: the server maps its values to MCP.
package tools

import "github.com/exai-mcp/exai-mcp/internal/tools/tool"

// Catalog is every tool there is, in the order of the documents. Which of them are shown is Shown's business.
func Catalog(d *Deps) []tool.Tool {
	return []tool.Tool{
		// A model's opinion
		chat(d),
		challenge(d),

		// Workflows that end with an expert
		debug(d),
		analyze(d),
		thinkdeep(d),
		codereview(d),
		refactor(d),
		secaudit(d),
		testgen(d),
		precommit(d),

		// Several models at once
		consensus(d),

		// Workflows that call no model
		planner(d),
		tracer(d),
		docgen(d),

		// What there is, and how it is
		listmodels(d),
		providerCapabilities(d),
		status(d),
		version(d),
		health(d),
		activityTool(d),
		toolCallLogTail(d),
		selfCheck(d),

		// Kimi's own
		kimiUploadAndExtract(d),
		kimiMultiFileChat(d),
		kimiIntentAnalysis(d),
		kimiCaptureHeaders(d),
		kimiChatWithTools(d),

		// GLM's own
		glmUploadFile(d),
		glmWebSearch(d),
		glmPayloadPreview(d),

		// With ISSUE_TRACKER_TOOL
		issues(d),
	}
}
