package issue

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// TitleKey is equal for findings that are the same by workspace, file and normalised title.
func TitleKey(workspace, file, title string) string {
	return key("title", workspace, file, NormalTitle(title))
}

// QuoteKey is equal for findings that are the same by workspace, file and quoted line; "" where there is no file, or the
// quote is too short to tell one line from another.
func QuoteKey(workspace, file, quote string) string {
	quote = NormalQuote(quote)
	if file == "" || quote == "" {
		return ""
	}
	return key("quote", workspace, file, quote)
}

// key is a text of 32 characters for parts of any length, since an index holds short texts only.
func key(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}
