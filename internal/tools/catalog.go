package tools

// Catalog is every tool there is, in the order of the documents. Which of them are shown is Shown's business. A tool looks
// at d when it is called, not before, so that the parts of the program can be made side by side.
func Catalog(d *Deps) []Tool {
	return []Tool{
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
