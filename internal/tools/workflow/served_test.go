package workflow

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Once an expert was given what it asked for, each file is listed once, as the expert has it; the parts of a diff stay.
func TestServed(t *testing.T) {
	had := workspace.Manifest{
		Sent:      []workspace.Entry{{Path: "whole"}, {Path: "part", Part: "unstaged"}, {Path: "changed", Lines: 1}},
		Cut:       []workspace.Entry{{Path: "part", Lines: 1}, {Path: "short", Lines: 1}, {Path: "long", Part: "staged"}},
		Unchanged: []workspace.Entry{{Path: "earlier"}},
		LeftOut:   []workspace.Entry{{Path: "no room"}, {Path: "gone"}, {Path: "binary"}},
		Tokens:    10,
	}
	more := workspace.Manifest{
		Sent:      []workspace.Entry{{Path: "part", Lines: 9}, {Path: "no room"}, {Path: "changed", Lines: 2}},
		Cut:       []workspace.Entry{{Path: "short", Lines: 5}, {Path: "long"}},
		Unchanged: []workspace.Entry{{Path: "whole"}, {Path: "earlier"}, {Path: "history"}},
		LeftOut:   []workspace.Entry{{Path: "gone"}, {Path: "refused"}},
		Tokens:    5,
	}
	assert.Equal(t, workspace.Manifest{
		Sent:      []workspace.Entry{{Path: "whole"}, {Path: "part", Part: "unstaged"}, {Path: "part", Lines: 9}, {Path: "no room"}, {Path: "changed", Lines: 2}},
		Cut:       []workspace.Entry{{Path: "long", Part: "staged"}, {Path: "short", Lines: 5}, {Path: "long"}},
		Unchanged: []workspace.Entry{{Path: "earlier"}, {Path: "history"}},
		LeftOut:   []workspace.Entry{{Path: "gone"}, {Path: "binary"}, {Path: "refused"}},
		Tokens:    15,
	}, served(had, more))
	assert.Len(t, had.Cut, 3, "what was stored of the first request stays as it was")
}
