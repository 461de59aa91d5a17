package workflow

import (
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// repeated are keys of a full reply that say what the call's arguments or another part of the reply say, or the same in every
// reply.
var repeated = []string{
	"step_number", "total_steps", "next_step_number", "step_content", "required_thinking",
	"agent_analysis", "model_response", "current_model_index", "important_considerations", "completion_message",
}

// brief removes from a finished reply what only the full style has: echoes of the caller's arguments, and what another key of
// the reply says.
func brief(o *reply.Object) {
	for _, key := range slices.Clone(o.Keys()) {
		value := o.Get(key)
		block, isBlock := value.(*reply.Object)
		switch {
		case slices.Contains(repeated, key),
			value == true && key != "next_step_required" && key != "early_termination", // status says it
			isBlock && strings.HasSuffix(key, "_status"):                               // counts of the caller's arguments
			o.Delete(key)
		case isBlock && strings.HasPrefix(key, "complete_"):
			if keepOnly(block, "steps_taken", "total_responses"); len(block.Keys()) == 0 {
				o.Delete(key)
			}
		}
	}
	_, covered := o.Get("coverage").([]any)
	briefFiles(o, covered)
	briefCall(o)
	briefAnswers(o)
	for _, tracked := range objectsIn(o.Get("tracked_issues")) {
		keepOnly(tracked, "number", "title", "new")
	}
	if list := objectsIn(o.Get("accumulated_responses")); len(list) > 0 { // which name their models
		o.Delete("model_consulted")
		o.Delete("model_stance")
	}
}

// briefFiles keeps of what is said about files what git reports, and what was not sent as it is; with covered, coverage says
// the latter.
func briefFiles(o *reply.Object, covered bool) {
	files, ok := o.Get("file_context").(*reply.Object)
	if !ok {
		return
	}
	keepOnly(files, "repositories", "manifest")
	if covered { // which names the changed files
		files.Delete("repositories")
	}
	if manifest, ok := files.Get("manifest").(*reply.Object); ok {
		for _, key := range []string{"sent", "already_sent"} {
			list, _ := manifest.Get(key).([]any)
			list = slices.DeleteFunc(list, func(entry any) bool { return covered && ordinary(entry) })
			for _, e := range objectsIn(list) {
				keepOnly(e, "path", "part", "reason", "encoding", "masked")
			}
			manifest.Set(key, list)
			if len(list) == 0 {
				manifest.Delete(key)
			}
		}
		if covered {
			manifest.Delete("cut")
			manifest.Delete("left_out")
		}
		manifest.Delete("tokens")
		manifest.Delete("bytes")
		if len(manifest.Keys()) == 0 {
			files.Delete("manifest")
		}
	}
	if len(files.Keys()) == 0 {
		o.Delete("file_context")
	}
}

// ordinary reports whether an entry of the manifest says no more than that a file was sent.
func ordinary(entry any) bool {
	e, ok := entry.(*reply.Object)
	return ok && e.Get("reason") == nil && e.Get("encoding") == nil && e.Get("masked") == nil
}

// briefCall takes out of the next call what the run remembers and what the next step replaces.
func briefCall(o *reply.Object) {
	call, ok := o.Get("next_call").(*reply.Object)
	if !ok {
		return
	}
	args, ok := call.Get("arguments").(*reply.Object)
	if !ok {
		return
	}
	o.Delete("next_step_required")
	if args.Get("continuation_id") != nil {
		o.Delete("continuation_id")
	}
	for _, name := range []string{"findings", "hypothesis", "relevant_files", "path"} {
		args.Delete(name)
	}
	for _, name := range []string{"document_complexity", "document_flow", "update_existing", "comments_on_complex_logic"} {
		if args.Get(name) == true { // as the schema says
			args.Delete(name)
		}
	}
}

// briefAnswers shortens what a consensus says about each answer beside the answer.
func briefAnswers(o *reply.Object) {
	for _, answer := range objectsIn(o.Get("accumulated_responses")) {
		who, ok := answer.Get("metadata").(*reply.Object)
		if !ok {
			continue
		}
		if who.Get("finish_reason") == "stop" {
			who.Delete("finish_reason")
		}
		keepOnly(who, "finish_reason", "sources", "notes", "looked_at")
		if len(who.Keys()) == 0 {
			answer.Delete("metadata")
		}
	}
}

// objectsIn are the objects of a list, none where it is no list.
func objectsIn(value any) (objects []*reply.Object) {
	list, _ := value.([]any)
	for _, item := range list {
		if o, ok := item.(*reply.Object); ok {
			objects = append(objects, o)
		}
	}
	return objects
}

// keepOnly removes all other keys.
func keepOnly(o *reply.Object, keys ...string) {
	for _, key := range slices.Clone(o.Keys()) {
		if !slices.Contains(keys, key) {
			o.Delete(key)
		}
	}
}
