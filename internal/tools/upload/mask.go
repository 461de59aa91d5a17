package upload

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/secrets"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// content is what is uploaded of a file.
type content struct {
	body io.ReaderAt
	size int64
}

// masked is what was found out about the secrets in a file.
type masked struct {
	Secrets    int  `json:"secrets,omitempty"`     // that were masked
	NotChecked bool `json:"not_checked,omitempty"` // a picture or a document: it was uploaded as it is
}

// clean returns what may be uploaded of an open file: a text that holds secrets goes as UTF-8 with these masked, anything
// else as it is. With SECRETS_IN_CONTEXT=refuse such a text is an error.
func (q *Queue) clean(it *item, f *workspace.File) (content, masked, error) {
	raw := content{f.File, it.Size}
	policy := secrets.Policy(q.cfg.Files.Secrets)
	if policy == secrets.PolicySend && len(q.cfg.Files.OwnKeys) == 0 {
		return raw, masked{}, nil
	}
	text, binary, err := textOf(it, f)
	if err != nil {
		return raw, masked{}, err
	}
	if binary {
		return raw, masked{NotChecked: policy != secrets.PolicySend}, nil
	}
	clean, found, err := policy.Apply(strconv.Quote(it.Path), text, q.cfg.Files.OwnKeys...) // whole: its end is what names it
	if err != nil {
		return raw, masked{}, reply.InvalidRequest(secrets.Hint, "%s", err)
	}
	if len(found) == 0 {
		return raw, masked{}, nil
	}
	return content{strings.NewReader(clean), int64(len(clean))}, masked{Secrets: len(found)}, nil
}

// textOf reads a file as text, and reports whether it is none. What is longer than the workspace decodes is taken as it is:
// tokens are ASCII in whatever encoding such a text has.
func textOf(it *item, f *workspace.File) (text string, binary bool, err error) {
	t, err := it.ref.ReadText(0)
	var e *workspace.Error
	switch {
	case errors.As(err, &e) && e.Code == workspace.CodeInvalid:
		return "", true, nil
	case err != nil:
		return "", false, err
	case !t.Cut:
		return t.Content, false, nil
	}
	whole, err := io.ReadAll(io.NewSectionReader(f.File, 0, it.Size))
	if err != nil {
		return "", false, unreadable(it.Path, err)
	}
	return string(whole), false, nil
}
