package store

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// work is what a child process of the tests does.
type work struct {
	Backend, DSN, Dir string
	Conversation      string
	Name              string
	Appends           int     // 0: until killed
	BudgetUSD         float64 // spends it instead
}

func (w work) config() config.Conversations {
	return config.Conversations{Backend: w.Backend, DatabaseURL: config.Secret(w.DSN), StateDir: w.Dir}
}

// child appends to a conversation and says each time that it is acknowledged; every few times with a file, and an issue.
func child(raw string) error {
	var w work
	if err := json.Unmarshal([]byte(raw), &w); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := Open(ctx, w.config())
	if err != nil {
		return err
	}
	if w.BudgetUSD > 0 {
		return errors.Join(spend(ctx, s, w.BudgetUSD), s.Close())
	}
	for i := 0; w.Appends == 0 || i < w.Appends; i++ {
		content := fmt.Sprintf("%s %d", w.Name, i)
		turns := []conversation.Turn{attach(user("q "+content), file("/f", content)), assistant("a " + content)}
		out, err := s.Append(ctx, conversation.NewTurns{ConversationID: w.Conversation, Turns: turns})
		if err != nil {
			return err
		}
		fmt.Printf("turn %d %s\n", out[1].N, content)
		if i%5 == 4 {
			out[1].Content = "saved " + content
			if err := s.Save(ctx, w.Conversation, out[1]); err != nil {
				return err
			}
			fmt.Printf("save %d %s\n", out[1].N, content)
			found, err := s.Issues().Capture(ctx, []issue.Finding{{Title: content}})
			if err != nil {
				return err
			}
			fmt.Printf("issue %d %s\n", found[0].Number, content)
		}
	}
	return s.Close()
}

// spawn starts a child process.
func spawn(t *testing.T, w work) (*exec.Cmd, io.Reader) {
	t.Helper()
	raw, err := json.Marshal(w)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "EXAI_STORE_CHILD="+string(raw))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	t.Cleanup(func() { assert.Empty(t, stderr.String()) })
	require.NoError(t, cmd.Start())
	return cmd, out
}

func workOn(c config.Conversations) work {
	return work{Backend: c.Backend, DSN: c.DatabaseURL.Reveal(), Dir: c.StateDir, Conversation: "t"}
}

// Killed at any moment, a process loses nothing that it was told is stored, and harms nothing.
func TestKilled(t *testing.T) {
	eachDatabase(t, func(t *testing.T, c config.Conversations) {
		r := rand.New(rand.NewPCG(20, 26))
		var said []string
		for round := 0; len(said) < 200; round++ {
			w := workOn(c)
			w.Name = fmt.Sprint("round ", round)
			cmd, out := spawn(t, w)
			lines := bufio.NewScanner(out)
			// The number of lines is the seeded moment, and a wait of less than an append puts the blow inside one.
			for n := 1 + r.IntN(20); n > 0 && lines.Scan(); n-- {
				said = append(said, lines.Text())
			}
			time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
			require.NoError(t, cmd.Process.Kill())
			for lines.Scan() {
				said = append(said, lines.Text())
			}
			require.Error(t, cmd.Wait(), "it was killed")
		}

		s := open(t, c)
		turns := load(t, s, "t").Turns
		for i, turn := range turns {
			require.Equal(t, i+1, turn.N, "no gap")
		}
		require.Zero(t, len(turns)%2, "a transaction is whole or nothing")
		for _, line := range said {
			if strings.HasSuffix(line, "\n") || line == "" {
				continue
			}
			var what, name string
			var n, round, i int
			_, err := fmt.Sscanf(line, "%s %d %s %d %d", &what, &n, &name, &round, &i)
			if err != nil {
				continue // cut off by the blow
			}
			content := fmt.Sprintf("round %d %d", round, i)
			switch what {
			case "turn":
				require.Contains(t, []string{"a " + content, "saved " + content}, turns[n-1].Content, line)
				require.Equal(t, content, string(turns[n-2].Attachments[0].Data), line)
			case "save":
				require.Equal(t, "saved "+content, turns[n-1].Content, line)
			case "issue":
				got, err := s.Issues().Get(t.Context(), n)
				require.NoError(t, err, line)
				require.Equal(t, content, got.Title)
				require.Len(t, got.Updates, 1)
			}
		}
		if c.Backend == "sqlite" {
			assert.Equal(t, "ok", one[string](t, s, `PRAGMA integrity_check`))
			rows, err := queryAll(t.Context(), s.read, func(*sql.Rows) (int, error) { return 0, nil }, `PRAGMA foreign_key_check`)
			require.NoError(t, err)
			assert.Empty(t, rows)
		}
		assert.EqualValues(t, len(turns)/2, one[int64](t, s, `SELECT count(*) FROM exai_blobs`))
	})
}

// Eight processes open one fresh database and append to one conversation, 1,000 turns in all.
func TestProcesses(t *testing.T) {
	eachDatabase(t, func(t *testing.T, c config.Conversations) {
		const processes, turns = 8, 1000
		var g errgroup.Group
		for p := range processes {
			w := workOn(c)
			w.Name, w.Appends = fmt.Sprint("process ", p), (turns/2+processes-1)/processes
			cmd, out := spawn(t, w)
			g.Go(func() error {
				lines := bufio.NewScanner(out)
				last := 0
				for lines.Scan() {
					var n int
					if _, err := fmt.Sscanf(lines.Text(), "turn %d", &n); err == nil {
						if n <= last {
							return fmt.Errorf("turn %d after turn %d", n, last)
						}
						last = n
					}
				}
				return cmd.Wait()
			})
		}
		require.NoError(t, g.Wait())
		s := open(t, c)
		got := load(t, s, "t").Turns
		require.GreaterOrEqual(t, len(got), turns)
		seen := map[string]bool{}
		for i, turn := range got {
			require.Equal(t, i+1, turn.N)
			seen[turn.Content] = true
		}
		require.Len(t, seen, len(got), "none was lost or stored twice")
		issues, err := s.Issues().List(t.Context(), issue.Filter{Limit: 10_000})
		require.NoError(t, err)
		require.Len(t, issues, processes*(len(got)/2/processes/5))
	})
}
