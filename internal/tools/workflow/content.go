package workflow

import (
	"slices"
	"strings"
	"unicode"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// labelKeys are the keys of a finding that classify or locate a defect without saying what it is.
var labelKeys = []string{
	"severity", "priority", "level", "confidence", "category", "type", "kind", "id", "number", "status", "citation",
	"file", "path", "file_path", "filename", "line", "lines", "line_start", "line_end", "start_line", "end_line", "column",
}

// titleKeys are the keys that name a finding, in order of preference.
var titleKeys = []string{"title", "summary", "description", "issue", "name", "message", "problem", "finding"}

// Empty reports whether the finding describes no defect: it has only labels and placeholders ("", "N/A", a severity
// alone), or its title says that there is none ("no issues found"). Models and callers fill a required list that way.
func (f Finding) Empty() bool {
	if deniesFindings(f.Text(titleKeys...)) {
		return true
	}
	for key, value := range f {
		if !slices.Contains(labelKeys, strings.ToLower(key)) && hasContent(value) {
			return false
		}
	}
	return true
}

// hasContent reports whether a JSON value holds a text that says something.
func hasContent(value any) bool {
	switch v := value.(type) {
	case string:
		return !placeholder(v) && !deniesFindings(v)
	case []any:
		return slices.ContainsFunc(v, hasContent)
	case map[string]any:
		return !Finding(v).Empty()
	}
	return false
}

// placeholders are texts that stand for an absent value, in lower case and without surrounding punctuation.
var placeholders = []string{
	"null", "nil", "none", "n/a", "na", "n.a", "not applicable", "undefined", "nan", "empty", "unknown", "tbd", "todo", "false",
	"string", "no", "无", "无内容", "没有", "空", "不适用",
}

// placeholder reports whether a text stands for an absent value, such as "", "N/A" or "severity: high".
func placeholder(text string) bool {
	text = trimmed(text)
	return text == "" || slices.Contains(placeholders, text) || severityAlone().MatchString(text)
}

var (
	severityAlone = lazyregexp.New(`^(?:severity|priority|level)\s*[:=]?\s*[\pL\d]*$|^(?:critical|high|medium|low|info)$`)
	findingsTitle = lazyregexp.New(`^(?:issues?|findings?|problems?|bugs?|result)(?: found)?\s*[:：=]\s*`)
	denial        = lazyregexp.New(`^(?:i |we )?(?:there (?:are|were|is) |found |see |have |had )?(?:no|zero|0|not any)` +
		`(?: (?:further|other|additional|more|new|known|obvious|real|actual|major|significant|serious|critical|blocking|security|code|notable))*` +
		` (?:issues?|findings?|problems?|bugs?|defects?|vulnerabilit(?:y|ies)|concerns?)` +
		`(?: (?:was|were|has been|have been|are|is))?(?: (?:found|identified|detected|discovered|observed|seen|noted|reported|needed|required|necessary|to report|at all|present))?` +
		`(?: (?:so far|yet|here|in (?:this|the|these) (?:\w+ )?(?:files?|code|diff|changes?|review|commit|module|function)))?$` +
		`|^nothing(?: (?:was|has been))?(?: (?:else|wrong|found|to (?:report|fix|add|change|note)))*$` +
		`|^none (?:found|identified|detected|reported|observed|noted|at this time|so far)$` +
		`|^no (?:further )?(?:action|change|fixe?)s?(?: is| are)? (?:needed|required|necessary)$` +
		`|^(?:all (?:is )?(?:good|fine|ok|clear|well)|(?:everything |code |the code |it )?(?:looks|is) (?:good|fine|ok)(?: to me)?|lgtm|ok|okay|clean)$` +
		`|^(?:(?:暂)?(?:无|没有|未发现|未检测到|未找到)(?:任何|明显|其他)?(?:的)?(?:问题|缺陷|漏洞|错误|发现|异常))$`)
)

// deniesFindings reports whether a text says that there is nothing to report, as "no issues found" does. A defect that
// begins alike ("no bounds check", "no errors are returned") does not match.
func deniesFindings(text string) bool {
	text = trimmed(text)
	if at := findingsTitle().FindStringIndex(text); at != nil {
		text = text[at[1]:]
		if placeholder(text) {
			return true
		}
	}
	return denial().MatchString(text)
}

// trimmed is a text in lower case, its white space joined, without surrounding punctuation.
func trimmed(text string) string {
	text = strings.Join(strings.Fields(strings.ToLower(text)), " ")
	return strings.TrimFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
