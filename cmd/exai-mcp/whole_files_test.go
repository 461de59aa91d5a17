package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// resource reads a resource.
func (p *peer) resource(uri string) string {
	p.t.Helper()
	var page struct{ Contents []struct{ Text string } }
	r := p.await(p.start("resources/read", "", object{"uri": uri}))
	require.NotNil(p.t, r)
	require.NoError(p.t, json.Unmarshal([]byte(r.text), &page), r.text)
	require.Len(p.t, page.Contents, 1, uri)
	return page.Contents[0].Text
}

var turnAddress = regexp.MustCompile(`exai://conversations/[0-9a-f-]+/turns/\d+`)

// Of 700 files, of which most have no room, each one is named: in the reply, or where the reply says.
func TestManyFilesAreAllNamed(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error", "EXPERT_READS=off")
	folder := filepath.Join(s.dir, "many")
	var names []string
	for i := range 700 {
		name := s.file(fmt.Sprintf("many/p%d/f%03d.go", i%7, i), "package p\n"+strings.Repeat(fmt.Sprintf("// line of file %d\n", i), 300))
		names = append(names, filepath.ToSlash(name))
	}
	s.environ = append(s.environ, "EXAI_ALLOWED_ROOTS="+folder)
	p := s.serveHere()
	step := object{"step": "Look.", "relevant_files": []string{folder}}
	for tool, args := range map[string]object{
		"chat": {"prompt": "Look.", "files": []string{folder}}, "codereview": step, "consensus": step, "debug": step,
	} {
		for _, again := range []bool{false, true} { // a step that is sent again gives the stored reply
			if again && tool == "chat" {
				continue
			}
			if again {
				args["step_number"] = 1
			}
			r := p.call(tool, args)
			require.NotEqual(t, "error", r.str("status"), r.text)
			assert.NotContains(t, r.text, `"listing"`, "that is for the resource")
			uri := turnAddress.FindString(fmt.Sprint(r.object["metadata"].(object)["notes"]))
			require.NotEmpty(t, uri, "%s: %s", tool, r.text)
			assert.Contains(t, uri, r.id())
			page := p.resource(uri)
			for _, name := range names {
				if !strings.Contains(strings.ReplaceAll(page, `\`, "/"), "- "+name+"\n") {
					t.Errorf("%s: %s is not named in %.3000s", tool, name, page)
					break
				}
			}
			assert.Contains(t, page, "## Not sent: no room in the budget of ")
			assert.Contains(t, page, "## Sent")
			if tool == "chat" {
				break
			}
			args["continuation_id"] = r.id()
		}
		delete(args, "continuation_id")
		delete(args, "step_number")
	}

	r := p.call("chat", object{"prompt": "Look.", "files": []string{filepath.Dir(names[0])}})
	note := fmt.Sprint(r.object["metadata"].(object)["notes"])
	assert.Empty(t, turnAddress.FindString(note), "a hundred files are named in the reply itself")
	assert.NotRegexp(t, `and \d+ more`, note)
}
