package tools

import "slices"

// searchingTools search the web where the caller says nothing of it and sends no file: their questions are often about what has
// changed since the models were trained.
var searchingTools = [...]string{"chat", "thinkdeep", "analyze", "consensus"}

// searches reports whether a question may search the web: as the caller says, else as EX_WEBSEARCH_DEFAULT_ON says, else by the
// tool and whether files are sent.
func (d *Deps) searches(asked *bool, tool string, files bool) bool {
	switch standard := d.Config.Search.DefaultOn; {
	case asked != nil:
		return *asked
	case standard != nil:
		return *standard
	}
	return !files && slices.Contains(searchingTools[:], tool)
}
