package issue

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Formats are the forms of Export.
func Formats() []string { return []string{"json", "markdown", "csv"} }

// Export is ExportTo for issues that are at hand, which are also looked up where one is linked to another.
func Export(list []Issue, format string) (string, error) {
	each := func(yield func(Issue, error) bool) {
		for _, i := range list {
			if !yield(i, nil) {
				return
			}
		}
	}
	var b strings.Builder
	err := ExportTo(&b, each, format, func(Issue) ([]Issue, error) { return list, nil })
	return b.String(), err
}

// ExportTo writes issues with their checklists and updates in one of the Formats, one after the other, a write for each.
// linked finds the issues that one is linked to, of which Markdown shows the titles.
func ExportTo(w io.Writer, issues iter.Seq2[Issue, error], format string, linked func(Issue) ([]Issue, error)) error {
	if !slices.Contains(Formats(), format) {
		return invalid("unknown format %q; expected one of %s", format, strings.Join(Formats(), ", "))
	}
	n := 0
	for i, err := range issues {
		if err != nil {
			return err
		}
		var b bytes.Buffer
		switch format {
		case "json":
			err = jsonElement(&b, i, n == 0)
		case "csv":
			err = csvRow(&b, i, n == 0)
		default:
			if n > 0 {
				b.WriteString("\n---\n\n")
			}
			page := Page{Issue: i}
			if len(i.LinkedTo()) > 0 {
				page.Linked, err = linked(i)
			}
			b.WriteString(page.Markdown())
		}
		if err != nil {
			return fmt.Errorf("issue %d as %s: %w", i.Number, format, err)
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
		n++
	}
	last := ""
	switch {
	case format == "json" && n == 0:
		last = "[]\n"
	case format == "json":
		last = "\n]\n"
	case format == "csv" && n == 0:
		last = strings.Join(csvColumns, ",") + "\n"
	}
	_, err := io.WriteString(w, last)
	return err
}

// jsonElement is an issue as an element of an indented array.
func jsonElement(b *bytes.Buffer, i Issue, first bool) error {
	if first {
		b.WriteString("[\n  ")
	} else {
		b.WriteString(",\n  ")
	}
	compact, err := i.MarshalJSON()
	if err != nil {
		return err
	}
	return json.Indent(b, compact, "  ", "  ")
}

// csvColumns are the columns of CSV.
var csvColumns = []string{
	"issue_number", "title", "severity", "category", "status", "description", "file_path", "line_start", "line_end",
	"affected_components", "conversation_id", "fix_conversation_id", "root_cause", "impact_description", "recommended_fix",
	"actual_fix", "fix_date", "related_issues", "blocks_issues", "blocked_by_issues", "workspace", "created_at",
	"updated_at", "completed_steps", "total_steps", "progress_percentage", "checklist", "updates", "id",
}

// csvRow writes an issue as a row of CSV, the first with a header before it; lists, the checklist and the updates have a line
// for each entry in their cell. A cell that a spreadsheet would take for a formula begins with an apostrophe.
func csvRow(b *bytes.Buffer, i Issue, first bool) error {
	out := csv.NewWriter(b)
	if first {
		if err := out.Write(csvColumns); err != nil {
			return err
		}
	}
	row := []string{
		strconv.Itoa(i.Number), i.Title, string(i.Severity), string(i.Category), string(i.Status), i.Description, i.File,
		known(i.LineStart), known(i.LineEnd), strings.Join(i.Components, "\n"), i.ConversationID, i.FixConversationID,
		i.RootCause, i.Impact, i.RecommendedFix, i.ActualFix, stamp(i.FixDate), numbers(i.Related), numbers(i.Blocks),
		numbers(i.BlockedBy), i.Workspace, stamp(i.CreatedAt), stamp(i.UpdatedAt), strconv.Itoa(i.CompletedSteps),
		strconv.Itoa(i.TotalSteps), strconv.Itoa(i.Progress()), steps(i.Checklist), updates(i.Updates), i.ID,
	}
	for k, cell := range row {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			row[k] = "'" + cell
		}
	}
	if err := out.Write(row); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}
