package tools

import (
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

type secauditInput struct {
	workflow.Investigation
	workflow.Belief
	SecurityScope          string   `json:"security_scope,omitempty"`
	ThreatLevel            string   `json:"threat_level,omitempty" enum:"low,medium,high,critical"`
	ComplianceRequirements []string `json:"compliance_requirements,omitempty"`
	AuditFocus             string   `json:"audit_focus,omitempty" enum:"owasp,compliance,infrastructure,dependencies,comprehensive"`
	SeverityFilter         string   `json:"severity_filter,omitempty" enum:"critical,high,medium,low,all"`
}

// Facts are the step's, with what the audit is about.
func (in secauditInput) Facts() workflow.Facts {
	f := in.Investigation.Facts()
	f.Hypothesis, f.Confidence = in.Hypothesis, in.Confidence
	f.Settings = []workflow.Setting{
		{Name: "scope", Value: in.SecurityScope},
		{Name: "threat level", Value: in.ThreatLevel},
		{Name: "compliance", Value: strings.Join(in.ComplianceRequirements, ", ")},
		{Name: "audit focus", Value: in.AuditFocus},
		{Name: workflow.SeveritySetting, Value: in.SeverityFilter},
	}
	return f
}

// secaudit audits security in six steps: the caller walks the syllabus, an expert attacks, a verdict ends it.
func secaudit(d *Deps) tool.Tool {
	return investigator[secauditInput](d, secauditSpec, nil)
}

var secauditSpec = workflow.Spec{
	Tool: "secaudit",
	Statuses: workflow.Statuses{
		Pause: "pause_for_security_audit", Complete: "security_audit_complete",
		Final: "security_analysis_complete", Skipped: "skipped_due_to_certain_audit_confidence",
	},
	Keys: workflow.Keys{
		Status: "security_audit_status", Confidence: "audit_confidence", Completion: "complete_security_audit",
		Flags: []string{"security_audit_complete"}, Required: "secaudit_required",
	},
	Ladder:   workflow.Ladder{Default: "low", Final: "certain", Actions: secauditActions},
	Expert:   workflow.ExpertEvidence,
	Findings: true,
	Blind:    true,
	Verdict:  true,
	Counts: func(o *reply.Object, c workflow.Consolidated) {
		o.Set("vulnerabilities_by_severity", c.BySeverity())
	},
}

// secauditActions follow the number of the step: an audit has a syllabus.
func secauditActions(f workflow.Facts) string {
	syllabus := []string{"scope", "identity", "input", "owasp", "supply", "remediation"}
	if f.StepNumber <= len(syllabus) {
		return syllabus[f.StepNumber-1]
	}
	return "going-on"
}
