package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// fakeIssues is an issue store that can be read.
type fakeIssues struct {
	issue.Store
	issues []issue.Issue
}

func (s fakeIssues) Get(_ context.Context, number int) (*issue.Issue, error) {
	for _, i := range s.issues {
		if i.Number == number {
			return &i, nil
		}
	}
	return nil, issue.ErrNotFound
}

func (s fakeIssues) List(_ context.Context, f issue.Filter) (list []issue.Issue, err error) {
	for _, i := range s.issues {
		if (len(f.Status) == 0 || slices.Contains(f.Status, i.Status)) && (f.ConversationID == "" || f.ConversationID == i.ConversationID) {
			list = append(list, i)
		}
	}
	return list, nil
}

// library is a fixture with a conversation and two issues, and secrets in both.
func library(t testing.TB) (*fixture, *Resources) {
	h := newFixture(t, asktest.Says("hello"), func(c *config.Config) {
		c.Conversations.DatabaseURL = "postgres://me:hunter2hunter2@db/x"
	})
	h.deps.Config.GLM.APIKey = "glm-key-123456"
	h.deps.Issues = func(context.Context) (issue.Store, error) {
		return fakeIssues{issues: []issue.Issue{
			{Number: 3, Title: "Leaks glm-key-123456", Status: issue.Open, Severity: issue.High, File: "/a.go", LineStart: 7, ConversationID: "t-1", Related: []int{4, 9}},
			{Number: 4, Title: "Done", Status: issue.Fixed, Severity: issue.Low},
		}}, nil
	}
	_, err := h.store.Append(t.Context(), conversation.NewTurns{
		ConversationID: "t-1", Title: "Is\nit glm-key-123456?", Tool: "chat",
		Turns: []conversation.Turn{
			{Role: providers.RoleUser, Content: "the password is hunter2hunter2"},
			{Role: providers.RoleAssistant, Content: "<b>yes</b>\n\nit is", Model: "glm-5.3"},
			{Role: providers.RoleAssistant, Content: ` {"status": "done"}`},
		},
	})
	require.NoError(t, err)
	return h, NewResources(h.deps)
}

func TestReadResources(t *testing.T) {
	_, r := library(t)
	read := func(uri string) Document {
		t.Helper()
		doc, err := r.Read(t.Context(), uri)
		require.NoError(t, err, uri)
		assert.NotContains(t, doc.Text, "glm-key-123456", uri)
		assert.NotContains(t, doc.Text, "hunter2hunter2", uri)
		return doc
	}
	doc := read("exai://conversations")
	assert.Equal(t, mimeMarkdown, doc.MIME)
	assert.Contains(t, doc.Text, "- t-1: Is it ********? (chat, 3 turns, ")

	doc = read("exai://conversations/t-1")
	assert.Contains(t, doc.Text, "# Is it ********?\n")
	assert.Contains(t, doc.Text, "- Issue: #3 Leaks ******** (high, open): exai://issues/3\n")
	assert.Contains(t, doc.Text, "> the password is ********\n")
	assert.Contains(t, doc.Text, "answer by glm-5.3")

	doc = read("exai://conversations/t-1/turns/2")
	assert.Equal(t, Document{MIME: mimeMarkdown, Text: "<b>yes</b>\n\nit is"}, doc, "the whole answer as it is")
	assert.Equal(t, mimeJSON, read("exai://conversations/t-1/turns/3").MIME)
	assert.Equal(t, "the password is ********", read("exai://conversations/t%2D1/turns/1").Text)

	doc = read("exai://issues")
	assert.Contains(t, doc.Text, "Leaks ********")
	assert.Less(t, strings.Index(doc.Text, "Leaks"), strings.Index(doc.Text, "Done"), "the open ones first")
	doc = read("exai://issues/3")
	assert.Contains(t, doc.Text, "# Issue 3: Leaks ********")
	assert.Contains(t, doc.Text, "#4 Done (fixed); #9", "one that is gone is only named")
	assert.Contains(t, doc.Text, "- t-1: found (Is it ********?)")

	var models struct {
		Vendors []struct {
			Name       string
			Configured bool
			Why        string
		}
		Models []struct {
			ID     string
			Usable bool
		}
	}
	doc = read("exai://models")
	assert.Equal(t, mimeJSON, doc.MIME)
	require.NoError(t, json.Unmarshal([]byte(doc.Text), &models))
	assert.True(t, models.Vendors[0].Configured)
	assert.Contains(t, models.Vendors[1].Why, "KIMI_API_KEY")
	for _, m := range models.Models {
		assert.False(t, m.Usable && strings.HasPrefix(m.ID, "kimi"), m.ID)
	}

	var settings struct {
		Settings []config.Setting
		Limits   []any `json:"time_limits"`
	}
	doc = read("exai://config")
	require.NoError(t, json.Unmarshal([]byte(doc.Text), &settings))
	assert.NotEmpty(t, settings.Limits)
	byName := map[string]config.Setting{}
	for _, s := range settings.Settings {
		byName[s.Name] = s
	}
	assert.Equal(t, config.Setting{Name: "GLM_API_KEY", Value: "********", Source: "default"}, byName["GLM_API_KEY"])
	assert.Equal(t, "4", byName["MAX_RETRIES"].Value)
	assert.Contains(t, byName["DATABASE_URL"].Value, "me:********@db")
}

// Whatever is listed can be read, and whatever a template stands for is found.
func TestListedResourcesCanBeRead(t *testing.T) {
	_, r := library(t)
	list := append(r.Fixed(), r.Latest(t.Context())...)
	seen := map[string]bool{}
	for _, res := range list {
		_, err := r.Read(t.Context(), res.URI)
		assert.NoError(t, err, res.URI)
		assert.False(t, seen[res.URI], "once")
		seen[res.URI] = true
		assert.NotEmpty(t, res.Name)
		assert.NotEmpty(t, res.Title)
		assert.NotEmpty(t, res.MIME)
		assert.NotContains(t, res.Title+res.Description, "glm-key-123456")
		assert.NotContains(t, res.Title, "\n")
	}
	for _, uri := range []string{"exai://conversations", "exai://issues", "exai://models", "exai://config", "exai://conversations/t-1", "exai://issues/3"} {
		assert.True(t, seen[uri], uri)
	}
	assert.False(t, seen["exai://issues/4"], "what is done is not in a client's menu")
}

func TestResourcesThatAreNotThere(t *testing.T) {
	_, r := library(t)
	for _, uri := range []string{
		"", "exai:", "exai://", "exai:///", "exai://nope", "http://models", "exai://models/", "exai://models/x", "exai://config/GLM_API_KEY",
		"exai://conversations/", "exai://conversations/t-2", "exai://conversations/t-1/", "exai://conversations/t-1/turns",
		"exai://conversations/t-1/turns/", "exai://conversations/t-1/turns/0", "exai://conversations/t-1/turns/4",
		"exai://conversations/t-1/turns/-1", "exai://conversations/t-1/turns/+1", "exai://conversations/t-1/turns/01",
		"exai://conversations/t-1/turns/1/x", "exai://conversations/../t-1", "exai://conversations/%zz", "exai://conversations//turns/1",
		"exai://issues/", "exai://issues/0", "exai://issues/5", "exai://issues/x", "exai://issues/99999999999999999999", "exai://issues/3/x",
		"EXAI://models", "exai://conversations/t-1?x=1", "exai://conversations/t-1%00",
	} {
		_, err := r.Read(t.Context(), uri)
		assert.ErrorIs(t, err, ErrNoResource, uri)
	}
}

func TestResourcesWithoutAStore(t *testing.T) {
	h, r := library(t)
	h.store.Before = func(context.Context, string) error { return errors.New("dial tcp 10.0.0.1: refused") }
	assert.Empty(t, r.Latest(t.Context()))
	_, err := r.Read(t.Context(), "exai://conversations/t-1")
	e := reply.FromError(t.Context(), err)
	assert.Equal(t, reply.CodeStoreUnavailable, e.Code)
	assert.NotContains(t, e.Message+e.Hint, "10.0.0.1", "the cause is for the log")
	_, err = r.Read(t.Context(), "exai://models")
	assert.NoError(t, err, "what needs no store is there")
}

// A database that hangs holds up nobody.
func TestResourcesOfAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r := library(t)
		release := make(chan struct{})
		defer close(release)
		h.store.Before = func(context.Context, string) error { <-release; return nil } // whatever its context says
		start := time.Now()
		assert.Empty(t, r.Latest(t.Context()))
		assert.Equal(t, listWait, time.Since(start))
		start = time.Now()
		_, err := r.Read(t.Context(), "exai://conversations/t-1")
		assert.Equal(t, reply.CodeStoreUnavailable, reply.FromError(t.Context(), err).Code)
		assert.Equal(t, readWait, time.Since(start))
		start = time.Now()
		c, err := r.Complete(t.Context(), uriConversation, "id", "", nil)
		require.NoError(t, err)
		assert.Empty(t, c.Values)
		assert.Equal(t, completeWait, time.Since(start))

		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		cancel(gone)
		_, err = r.Read(ctx, "exai://conversations/t-1")
		assert.ErrorIs(t, err, gone, "a cancelled read is no fault of the store")
	})
}

func TestAPanicWhileReadingIsAnError(t *testing.T) {
	h, r := library(t)
	h.store.Before = func(context.Context, string) error { panic("the secret") }
	_, err := r.Read(t.Context(), "exai://conversations/t-1")
	require.Error(t, err)
	assert.NotContains(t, reply.FromError(t.Context(), err).Message, "secret")
}

func TestCompleteResources(t *testing.T) {
	h, r := library(t)
	for i := range 120 {
		_, err := h.store.Append(t.Context(), conversation.NewTurns{ConversationID: fmt.Sprintf("u-%03d", i), Turns: []conversation.Turn{{Content: "x"}}})
		require.NoError(t, err)
	}
	complete := func(template, variable, typed string, given map[string]string) Completion {
		t.Helper()
		c, err := r.Complete(t.Context(), template, variable, typed, given)
		require.NoError(t, err)
		return c
	}
	assert.Equal(t, Completion{Values: []string{"t-1"}, Total: 1}, complete(uriConversation, "id", "T-", nil))
	assert.Equal(t, Completion{Values: []string{"t-1"}, Total: 1}, complete(uriTurn, "id", "t", nil))
	all := complete(uriConversation, "id", "u", nil)
	assert.Len(t, all.Values, 100, "MCP allows no more")
	assert.Equal(t, 120, all.Total)
	assert.Equal(t, "u-119", all.Values[0], "the latest first")
	assert.Equal(t, []string{"3", "2", "1"}, complete(uriTurn, "n", "", map[string]string{"id": "t-1"}).Values)
	assert.Empty(t, complete(uriTurn, "n", "", map[string]string{"id": "nope"}).Values)
	assert.Empty(t, complete(uriTurn, "n", "", nil).Values)
	assert.Equal(t, []string{"3", "4"}, complete(uriIssue, "number", "", nil).Values)
	assert.Equal(t, []string{"4"}, complete(uriIssue, "number", "4", nil).Values)
	assert.Empty(t, complete(uriIssue, "nope", "", nil).Values)
	assert.Empty(t, complete("exai://models", "x", "", nil).Values)
	_, err := r.Complete(t.Context(), "exai://nope/{id}", "id", "", nil)
	assert.ErrorIs(t, err, ErrNoResource)
}
