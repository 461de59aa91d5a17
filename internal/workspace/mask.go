package workspace

import (
	"errors"

	"github.com/exai-mcp/exai-mcp/internal/secrets"
)

// Mask returns a text of a file or a diff as it may be sent: its secrets masked, or, with SECRETS_IN_CONTEXT=refuse, an
// error. The text must be whole, without line numbers: a private key is known by its first and last line.
func (w *Workspace) Mask(name, text string) (string, error) {
	return w.mask(name, text, func(line int) int { return line })
}

// maskDiff is Mask of a file's part of a diff: the error names the line of the file.
func (w *Workspace) maskDiff(name, text string) (string, error) {
	return w.mask(name, text, func(line int) int { return fileLine(text, line) })
}

func (w *Workspace) mask(name, text string, lineOf func(int) int) (string, error) {
	where := "The text"
	if name != "" {
		where = quoted(name)
	}
	masked, _, err := w.secrets.Apply(where, text, w.ownKeys...)
	if refusal := (*secrets.Error)(nil); errors.As(err, &refusal) {
		refusal.Line = lineOf(refusal.Line)
	}
	if err != nil {
		return "", &Error{Code: CodeInvalid, Path: name, Message: err.Error(), Hint: secrets.Hint, Err: err}
	}
	return masked, nil
}

// masks counts the secrets that are masked in a text that is sent.
func (w *Workspace) masks(text string) int {
	if w.secrets == secrets.PolicySend {
		return 0
	}
	return secrets.Marks(text)
}

// RefusesSecret reports whether an error is the refusal of a text with a secret.
func RefusesSecret(err error) bool {
	var e *secrets.Error
	return errors.As(err, &e)
}
