package store

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
)

// TestMain runs the tests, or, in a child process of theirs, the work that the environment names.
func TestMain(m *testing.M) {
	if work := os.Getenv("EXAI_STORE_CHILD"); work != "" {
		if err := child(work); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// backends are the databases that the suite runs on: each opens a fresh one and says how to open it again.
var backends = []struct {
	name  string
	fresh func(t testing.TB) config.Conversations
}{
	{"memory", func(testing.TB) config.Conversations { return config.Conversations{Backend: "memory"} }},
	{"sqlite", func(t testing.TB) config.Conversations {
		return config.Conversations{Backend: "sqlite", StateDir: t.TempDir()}
	}},
	{"postgres", func(t testing.TB) config.Conversations {
		return config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(storetest.Postgres(t))}
	}},
}

// eachStore runs a test on a fresh store of every kind.
func eachStore(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) { test(t, open(t, b.fresh(t))) })
	}
}

// eachDatabase is eachStore without memory, for what several processes or connections do.
func eachDatabase(t *testing.T, test func(t *testing.T, c config.Conversations)) {
	t.Helper()
	for _, b := range backends[1:] {
		t.Run(b.name, func(t *testing.T) { test(t, b.fresh(t)) })
	}
}

func open(t testing.TB, c config.Conversations) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// raw runs a statement past the store.
func raw(t testing.TB, s *Store, query string, args ...any) {
	t.Helper()
	_, err := s.write.ExecContext(t.Context(), query, args...)
	require.NoError(t, err)
}

// one reads one value past the store.
func one[T any](t testing.TB, s *Store, query string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, s.write.QueryRowContext(t.Context(), query, args...).Scan(into(&v)))
	return v
}

func user(content string) conversation.Turn {
	return conversation.Turn{Role: providers.RoleUser, Content: content, Tool: "chat"}
}

func assistant(content string) conversation.Turn {
	return conversation.Turn{Role: providers.RoleAssistant, Content: content, Tool: "chat", Model: "glm-5.3", Provider: "glm"}
}

func step(tool string, n int) conversation.Turn {
	return conversation.Turn{
		Role: providers.RoleUser, Content: fmt.Sprintf("%s %d", tool, n), Tool: tool,
		Step: &conversation.Step{
			Tool: tool, Number: n, Input: []byte(fmt.Sprintf(`{"z":1,"step_number":%d}`, n)), Reply: []byte(`{"status":"ok","a":1}`),
		},
	}
}

// say appends turns to a conversation.
func say(t testing.TB, s *Store, conv string, turns ...conversation.Turn) []conversation.Turn {
	t.Helper()
	out, err := s.Append(t.Context(), conversation.NewTurns{ConversationID: conv, Title: "About " + conv, Tool: "chat", Turns: turns})
	require.NoError(t, err)
	return out
}

func load(t testing.TB, s *Store, conv string) *conversation.Conversation {
	t.Helper()
	th, err := s.Load(t.Context(), conv)
	require.NoError(t, err)
	return th
}

func contents(turns []conversation.Turn) (out []string) {
	for _, turn := range turns {
		out = append(out, turn.Content)
	}
	return out
}

// later is a context that ends by itself long after a sound test has.
func later(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
