package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/bench/o200k"
)

// everyday are requests that people make of their agents every day, each with the one call that an agent makes for it, and
// where the reply has what was asked for.
var everyday = []struct {
	request, tool, args, answer string
}{
	{"Review my changes", "precommit", `{"step":"Review my changes before I commit."}`, "expert_analysis"},
	{"Why does this test fail?", "debug", `{"step":"TestMean fails: expected 2, got 1.","relevant_files":["cart.go","cart_test.go"]}`, "expert_analysis"},
	{"Compare two designs", "thinkdeep", `{"step":"Sessions in cookies or in the database? Compare both for this shop.","relevant_files":["cart.go"]}`, "expert_analysis"},
	{"Read this PDF", "kimi_multi_file_chat", `{"files":["contract.pdf"],"prompt":"What does the contract say about notice?"}`, "content"},
	{"Search the web", "glm_web_search", `{"search_query":"Go 1.26 release notes"}`, "search_result"},
	{"Ask both models", "consensus", `{"step":"Should the shop keep prices in cents or as decimals?"}`, "accumulated_responses"},
	{"Continue yesterday's conversation", "chat", `{"prompt":"And with two writers?","continuation_id":"ID"}`, "content"},
	{"Explain this 5,000-line file", "chat", `{"prompt":"Explain what this file does, and where to start.","files":["ledger.go"]}`, "content"},
	{"Write tests", "testgen", `{"step":"Write tests for Mean, edge cases included.","relevant_files":["cart.go"]}`, "expert_analysis"},
	{"Is my plan sound?", "thinkdeep", `{"step":"Plan: add a currency column, backfill it, then switch the readers. Is it sound?"}`, "expert_analysis"},
}

// The ten everyday requests are one call each. What each costs an agent is counted in the compact style, which clients get.
func TestDocsEveryday(t *testing.T) {
	g := newGate(t, "REPLY_STYLE=compact")
	g.commit("cart.go", "package cart\n\nfunc Mean(a, b int) int { return a }\n")
	g.write("cart_test.go", "package cart\n\nimport \"testing\"\n\nfunc TestMean(t *testing.T) {\n\tif got := Mean(1, 3); got != 2 {\n\t\tt.Fatal(got)\n\t}\n}\n")
	g.write("ledger.go", "package cart\n"+strings.Repeat("\n// Post books an entry.\nfunc Post() {}\n", 1666))
	g.write("contract.pdf", "%PDF-1.4\nNotice is three months.\n%%EOF\n")
	g.git("add", "ledger.go", "contract.pdf")
	g.git("commit", "-qm", "more")
	_, first, _ := g.run("", "call", "chat", `{"prompt":"How do I lock a row?"}`)
	id := uuidPattern.FindString(first)
	require.NotEmpty(t, id, first)

	var b strings.Builder
	b.WriteString("| request | the call | call | beyond the answer |\n|---|---|---|---|\n")
	for _, c := range everyday {
		args := strings.ReplaceAll(c.args, "ID", id)
		before := len(g.vendors.Requests())
		code, out, errs := g.run("", "call", c.tool, args)
		require.Equal(t, exitOK, code, "%s: %s%s", c.request, out, errs)
		assert.Greater(t, len(g.vendors.Requests()), before, "a model or a search engine was asked")
		beyond := everydayTokens(t, g, out) - everydayAnswer(t, g, out, c.answer)
		fmt.Fprintf(&b, "| %s | `%s %s` | %d | %d |\n", c.request, c.tool, strings.ReplaceAll(c.args, `"ID"`, `"..."`),
			o200k.Count(strings.ReplaceAll(c.args, "ID", sampleID)), beyond)
	}
	generated(t, filepath.Join(sourceFolder(t), "../../docs/everyday.md"), "everyday", b.String())
}

const sampleID = "3f6c1d0a-5b7e-4c8d-9a10-2b3c4d5e6f70"

var (
	uuidPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	measured    = regexp.MustCompile(`"(duration_ms|cost_usd)":[0-9.e-]+`)
)

// stableReply is a reply as one line, without what differs from run to run.
func stableReply(t *testing.T, g *gate, reply []byte) string {
	t.Helper()
	var line bytes.Buffer
	require.NoError(t, json.Compact(&line, reply))
	text := strings.ReplaceAll(line.String(), filepath.ToSlash(g.repo), "/home/ada/shop")
	return measured.ReplaceAllString(uuidPattern.ReplaceAllString(text, sampleID), `"$1":2400`)
}

func everydayTokens(t *testing.T, g *gate, reply string) int {
	t.Helper()
	return o200k.Count(stableReply(t, g, []byte(reply)))
}

// everydayAnswer are the tokens of what was asked for.
func everydayAnswer(t *testing.T, g *gate, reply, key string) int {
	t.Helper()
	var keys map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(reply), &keys))
	require.NotEmpty(t, keys[key], "%s: %s", key, reply)
	return o200k.Count(stableReply(t, g, keys[key]))
}
