//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Where the state folder cannot be used, the server remembers in memory, and everybody is told.
func TestUnusableStateFolder(t *testing.T) {
	s := newSite(t)
	s.environ = append(s.environ, "EXAI_STATE_DIR=/dev/null/x")
	s.echo()
	p := s.serveHere()
	first := p.call("chat", object{"prompt": "remember the number 41"})
	assert.Equal(t, "continuation_available", first.str("status"), first.text)
	assert.Equal(t, false, first.object["metadata"].(object)["stored"])
	assert.Contains(t, first.text, "Kept in memory until this server ends")
	p.call("chat", object{"prompt": "and now?", "continuation_id": first.id()})
	assert.Len(t, s.historyOf(p, first.id()), 4, "it goes on")
	step := p.call("planner", object{"step": "a", "step_number": 1, "total_steps": 2, "next_step_required": true})
	assert.Equal(t, false, step.object["metadata"].(object)["stored"], step.text)
	assert.Contains(t, p.call("status", object{}).text, "Conversations end with this server")
	p.closeInput()

	_, out, _ := s.run("", "doctor", "--offline")
	assert.Contains(t, out, "until then conversations end with the server")
	code, _, errs := s.run("", "conversations", "list")
	assert.Equal(t, exitFailed, code, "a command does not pass an empty memory off as the store")
	assert.Contains(t, errs, "EXAI_STATE_DIR")
}

// The state folder is deleted under a running server: what a reply then reports as stored is found by the next process.
func TestStateFolderDeleted(t *testing.T) {
	s := newSite(t)
	s.echo()
	p := s.serveHere()
	before := p.call("chat", object{"prompt": "before"})
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "state")))
	late := p.call("chat", object{"prompt": "late", "continuation_id": before.id()})
	assert.Equal(t, "conversation_not_found", late.errorCode(), late.text)
	after := p.call("chat", object{"prompt": "after"})
	assert.Nil(t, after.object["metadata"].(object)["stored"], after.text)
	p.closeInput()
	_, out, _ := s.run("", "conversations", "list")
	assert.Contains(t, out, after.id())
	assert.NotContains(t, out, before.id())
}
