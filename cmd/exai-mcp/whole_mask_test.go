package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// plantedKey is the middle of each secret that these tests plant.
const plantedKey = "q7Zk2WmX9vB4nT6rYc1Hd8Lp3Js5FgQaUeRo"

// plantedTexts are texts with a secret, of three formats.
var plantedTexts = []string{
	"const t = \"ghp_" + plantedKey + "\"", "api_key: " + plantedKey,
	"-----BEGIN " + "PRIVATE KEY-----\nMIIEow" + plantedKey + plantedKey + "\n-----END " + "PRIVATE KEY-----",
}

// sentAnywhere is all that the emulators were sent.
func (s *site) sentAnywhere() string {
	var all strings.Builder
	for _, r := range s.vendors.Requests() {
		all.WriteString(r.Query)
		all.Write(r.Body)
	}
	return all.String()
}

// callsWithSecrets plants the secrets wherever a call may carry one, and returns the replies by what carried it.
func (s *site) callsWithSecrets(p *peer) map[string]*toolReply {
	text := strings.Join(plantedTexts, "\n")
	dir := s.project()
	s.file("project/leak.go", "package sums\n\n/*\n"+text+"\n*/\n")
	s.git("add", ".")
	s.git("commit", "-q", "-m", "leak")
	s.file("project/add.go", "package sums\n\n/*\n"+text+"\n*/\nfunc Add(a, b int) int { return b + a }\n")
	s.file("project/new.txt", text+"\n")
	file := filepath.Join(dir, "leak.go")
	return map[string]*toolReply{
		"prompt":   p.call("chat", object{"prompt": "Explain\n" + text}),
		"file":     p.call("chat", object{"prompt": "Explain it", "files": []string{file}}),
		"kimi":     p.call("chat", object{"prompt": text, "model": "kimi-k3.1-pro", "files": []string{dir}}),
		"messages": p.call("kimi_chat_with_tools", object{"messages": []object{{"role": "user", "content": text}}}),
		"upload":   p.call("kimi_multi_file_chat", object{"prompt": text, "files": []string{file}}),
		"extract":  p.call("kimi_upload_and_extract", object{"files": []string{file}}),
		"store":    p.call("glm_upload_file", object{"file": filepath.Join(dir, "new.txt")}),
		"search":   p.call("glm_web_search", object{"search_query": "whose is ghp_" + plantedKey}),
		"diff":     p.call("precommit", object{"step": "Check it: " + text, "path": dir}),
		"review":   p.call("codereview", object{"step": text, "findings": text, "relevant_files": []string{dir}}),
		"panel":    p.call("consensus", object{"step": text, "relevant_files": []string{file}}),
	}
}

func TestNoSecretLeavesTheMachine(t *testing.T) {
	s := newSite(t, "LOG_PROMPTS=true")
	s.environ = append(s.environ, "EXAI_ALLOWED_ROOTS="+filepath.Join(s.dir, "project"))
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "project"), 0o755))
	p := s.serveHere()
	p.initialize()
	replies := s.callsWithSecrets(p)
	p.closeInput()

	for carrier, r := range replies {
		assert.Empty(t, r.errorCode(), "%s: %s", carrier, r.text)
		assert.NotContains(t, r.text, plantedKey, carrier)
	}
	sent := s.sentAnywhere()
	assert.NotContains(t, sent, plantedKey)
	for _, mask := range []string{"[secret: github-pat]", "[secret: key]", "[secret: private-key]"} {
		assert.Greater(t, strings.Count(sent, mask), 8, mask)
	}
	assert.Contains(t, sent, "stands for a literal secret", "models are told what a mask is")
	assert.NotContains(t, s.dump(), plantedKey, "what is stored is what was sent")
	assert.Contains(t, replies["prompt"].text, "prompt line 2: github-pat")
	assert.Contains(t, replies["file"].text, "Secrets in files that were masked as [secret: kind]: 5.")
}

func TestSecretsAreRefusedOrSentOnDemand(t *testing.T) {
	for _, policy := range []string{"refuse", "send"} {
		t.Run(policy, func(t *testing.T) {
			s := newSite(t, "SECRETS_IN_CONTEXT="+policy)
			s.environ = append(s.environ, "EXAI_ALLOWED_ROOTS="+filepath.Join(s.dir, "project"))
			require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "project"), 0o755))
			p := s.serveHere()
			p.initialize()
			replies := s.callsWithSecrets(p)
			p.closeInput()
			if policy == "send" {
				assert.Contains(t, s.sentAnywhere(), plantedKey)
				return
			}
			assert.NotContains(t, s.sentAnywhere(), plantedKey)
			for carrier, r := range replies {
				assert.Equal(t, "invalid_request", r.errorCode(), "%s: %s", carrier, r.text)
				assert.Contains(t, r.text, "contains a secret (line ", carrier)
				assert.NotContains(t, r.text, plantedKey, carrier)
			}
			for _, r := range s.vendors.Requests() {
				assert.NotEqual(t, emulator.OpChat, r.Op)
			}
		})
	}
}
