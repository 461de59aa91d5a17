package ask

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

const (
	latestListed = 5           // conversations that conversation_not_found lists
	latestTime   = time.Second // what listing them may take
)

// notFound is conversation_not_found with the latest conversations of this workspace that this user began on this host,
// since an agent that lost a continuation_id most likely wants one of them.
func (t *Conversations) notFound(ctx context.Context) error {
	e := reply.FromError(ctx, conversation.ErrNotFound)
	if t.host == "" || t.user == "" {
		return e
	}
	wait, cancel := context.WithTimeout(ctx, latestTime)
	defer cancel()
	latest, err := bounded.Run(wait, func(ctx context.Context) ([]conversation.Summary, error) {
		store, err := t.open(ctx)
		if err != nil {
			return nil, err
		}
		return store.List(ctx, conversation.Filter{Workspace: t.space(), Host: t.host, User: t.user, Limit: latestListed})
	})
	if err != nil {
		t.log.Debug("latest conversations not listed", zap.Error(err))
	}
	if len(latest) == 0 {
		return e
	}
	var lines []string
	for _, c := range latest {
		title := strings.Join(strings.Fields(c.Title), " ")
		lines = append(lines, fmt.Sprintf("%s (%q, %s)", c.ID, title, age(t.now().Sub(c.UpdatedAt))))
	}
	listed := *e
	listed.Message += " Your latest here: " + strings.Join(lines, "; ") + "."
	listed.Hint = "Send the continuation_id of one of them, or omit it to begin a new conversation."
	return &listed
}

// age is a duration in words: "just now", "5 minutes ago", "2 days ago".
func age(d time.Duration) string {
	for _, unit := range []struct {
		name string
		of   time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if n := int(d / unit.of); n > 0 {
			plural := "s"
			if n == 1 {
				plural = ""
			}
			return fmt.Sprintf("%d %s%s ago", n, unit.name, plural)
		}
	}
	return "just now"
}
