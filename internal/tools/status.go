package tools

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

type statusInput struct {
	TailLines    *int `json:"tail_lines,omitempty"`
	IncludeTools bool `json:"include_tools,omitempty"`
	Doctor       bool `json:"doctor,omitempty"`
	Probe        bool `json:"probe,omitempty" jsonschema:"Also ask each for a short answer."`
}

func status(d *Deps) tool.Tool {
	return tool.New("status", d.status, tool.Hints(tool.Annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}))
}

// storeLook is how long status waits for the store: it is to say that the store hangs, not to hang with it.
const storeLook = 2 * time.Second

func (d *Deps) status(ctx context.Context, in statusInput) (*Result, error) {
	shown, warnings := Shown(d)
	warnings = append(append([]string{}, d.Config.Warnings...), warnings...)
	configured, models, tools := []string{}, []string{}, []string{}
	for _, p := range d.Registry.Providers() {
		configured = append(configured, p.Name())
	}
	models = append(models, d.modelsInShort()...)
	if in.IncludeTools {
		for _, t := range shown {
			tools = append(tools, t.Name)
		}
	}
	lines := 30
	if in.TailLines != nil {
		lines = *in.TailLines
	}
	failures := d.lastErrors(ctx, lines)
	store := d.storeState(ctx)
	roots := d.Workspace.Roots(ctx)

	r := &Result{}
	r.Body.Set("status", "success").Set("version", d.Version.Number).Set("providers_configured", configured).
		Set("models_available", models).Set("tools_loaded", tools).Set("tools_count", len(shown)).Set("last_errors", failures)
	r.Body.Set("next_steps", d.nextSteps(ctx, configured, store, len(roots), len(failures)))
	r.Body.Set("store", store).Set("costs", d.costs(ctx)).Set("allowed_roots", roots).Set("secrets_in_context", d.Config.Files.Secrets).Set("timeouts", d.Config.Timeouts.Table()).Set("warnings", warnings)
	if local := d.localVendors(); len(local) > 0 {
		r.Body.Set("local_providers", local).Set("local_note", "What goes to these is sent to a server on this machine.")
	}
	if file := d.Config.Server.EnvFile; file != "" {
		r.Body.Set("env_file", file)
	}
	switch {
	case in.Doctor || in.Probe:
		r.Body.Set("doctor", d.doctor(ctx, configured, in.Probe))
	case in.TailLines == nil && !in.IncludeTools:
		bound(r, "listmodels shows all models, exai-mcp doctor all warnings.",
			cutting(r, "models_available", models, false, nil), cutting(r, "last_errors", failures, true, nil),
			cutting(r, "warnings", warnings, false, nil).atLast(), cutting(r, "allowed_roots", roots, false, nil))
	}
	return r, nil
}

// maxListed is how many models of an endpoint status names: some serve hundreds, which listmodels shows.
const maxListed = 5

// modelsInShort names the models that may be asked; of each endpoint a few, those that are chosen first.
func (d *Deps) modelsInShort() (names []string) {
	usable := d.Registry.Models()
	for _, p := range d.Registry.Providers() {
		v, of := d.Config.Vendor(p.Name()), []string(nil)
		if v.Row.IsEndpoint() { // what is chosen first; its list may not be known
			for _, category := range []providers.Category{providers.CategoryReasoning, providers.CategoryFast} {
				if chosen := d.Registry.ModelsOf(v, category); len(chosen) > 0 && !slices.Contains(of, chosen[0]) {
					of = append(of, chosen[0])
				}
			}
		}
		for _, m := range usable {
			if m.Provider == p.Name() && !slices.Contains(of, m.ID) && (!v.Row.IsEndpoint() || len(of) < maxListed) {
				of = append(of, m.ID)
			}
		}
		names = append(names, of...)
	}
	return names
}

// localVendors lists the vendors whose address is this machine's own.
func (d *Deps) localVendors() (names []string) {
	for _, p := range d.Registry.Providers() {
		if v := d.Config.Vendor(p.Name()); v.Local() {
			names = append(names, p.Name())
		}
	}
	return names
}

// lastErrors are the newest failed calls, at most three, among so many lines of the tool-call log.
func (d *Deps) lastErrors(ctx context.Context, lines int) []string {
	failed := []string{}
	if d.Activity == nil {
		return failed
	}
	tail, err := d.Activity.TailToolCalls(ctx, activity.Query{Lines: lines})
	if err != nil { // no log, or nothing in it yet
		return failed
	}
	for _, line := range tail {
		if strings.Contains(line, `"error_code":`) {
			failed = append(failed, line)
		}
	}
	return failed[max(0, len(failed)-3):]
}

// storeState says where conversations live and whether they can be reached.
func (d *Deps) storeState(ctx context.Context) *Object {
	o := (&Object{}).Set("backend", d.Config.Conversations.Backend)
	within, cancel := context.WithTimeout(ctx, storeLook)
	defer cancel()
	temporary, err := bounded.Run(within, func(ctx context.Context) (temporary string, err error) {
		store, err := d.Store(ctx)
		if err == nil {
			temporary = conversation.TemporaryReason(store)
			_, err = store.List(ctx, conversation.Filter{Limit: 1})
		}
		return temporary, err
	})
	switch {
	case err == nil && temporary != "":
		return o.Set("state", "in memory").Set("hint", "Conversations end with this server: "+temporary)
	case err == nil:
		return o.Set("state", "ready")
	case within.Err() == nil:
		d.log().Sugar().Warnw("status: the store failed", "error", err)
		return o.Set("state", "failed").Set("hint", "exai-mcp doctor and the server's log say more.")
	default:
		return o.Set("state", "not answering").Set("hint", "It is still being opened, or the database hangs. Tools still answer, but conversations can't be continued.")
	}
}

// nextSteps are hints about what to do, the most important first.
func (d *Deps) nextSteps(ctx context.Context, configured []string, store *Object, roots, failures int) []string {
	var steps []string
	for _, vendor := range d.Config.VendorRows() {
		name := vendor.Name
		if !vendor.IsEndpoint() && len(d.Config.Others) > 0 && len(configured) > 0 {
			continue // an endpoint is enough, so a missing key is no problem
		}
		if _, err := d.Registry.Provider(name); err != nil {
			e := reply.FromError(ctx, err)
			steps = append(steps, e.Message+" "+e.Hint)
		}
	}
	if store.Get("state") != "ready" {
		steps = append(steps, "The conversation store is not ready: run exai-mcp doctor.")
	}
	if roots == 0 {
		steps = append(steps, "No folder may be read: set EXAI_ALLOWED_ROOTS, or connect from a client that names its roots.")
	}
	if failures > 0 {
		steps = append(steps, "Calls failed lately: toolcall_log_tail and health show them.")
	}
	for _, m := range d.Registry.Catalog().Retiring() {
		steps = append(steps, fmt.Sprintf("%s retires on %s; %s replaces it.", m.ID, m.RetiresOn, m.Replacement))
	}
	if len(steps) == 0 {
		steps = append(steps, "The setup is complete. chat asks a model; status with doctor=true asks the vendors.")
	} else if len(configured) > 0 {
		steps = append(steps, "status with doctor=true asks the vendors whether the keys work.")
	}
	return steps
}

// doctor asks every configured vendor at once, within the call's limit.
func (d *Deps) doctor(ctx context.Context, configured []string, probe bool) *Object {
	progress.From(ctx).Phase("asking the vendors")
	lists, chats := make([]*Object, len(configured)), make([]*Object, len(configured))
	advice := make([][]string, len(configured))
	var all sync.WaitGroup
	for i, name := range configured {
		all.Go(func() {
			lists[i] = d.timed(ctx, &advice[i], func() (string, any, error) {
				models, err := d.Caller.ListModels(ctx, name)
				return "models", len(models), err
			})
			if !probe {
				return
			}
			chats[i] = d.timed(ctx, &advice[i], func() (string, any, error) {
				out, err := d.ping(ctx, name)
				if err != nil {
					return "", nil, err
				}
				return "model", out.Model.ID, nil
			})
		})
	}
	all.Wait()
	byList, byChat, told := &Object{}, &Object{}, []string{}
	for i, name := range configured {
		byList.Set(name, lists[i])
		byChat.Set(name, chats[i])
		told = append(told, advice[i]...)
	}
	probes := (&Object{}).Set("listmodels", byList)
	if probe {
		probes.Set("chat", byChat)
	}
	if len(configured) == 0 {
		told = append(told, "No vendor is configured: set GLM_API_KEY, KIMI_API_KEY or ENDPOINTS in the server's environment and restart it.")
	} else if len(told) == 0 {
		told = append(told, "The vendors answer.")
	}
	return (&Object{}).Set("probes", probes).Set("advice", told)
}

// timed runs one probe and describes how it went.
func (d *Deps) timed(ctx context.Context, advice *[]string, run func() (key string, value any, err error)) *Object {
	start := time.Now()
	key, value, err := recovered(run)
	o := (&Object{}).Set("ok", err == nil).Set("ms", time.Since(start).Milliseconds())
	if err != nil {
		e := reply.FromError(ctx, err)
		*advice = append(*advice, e.Message+" "+e.Hint)
		return o.Set("error", e.Object())
	}
	return o.Set(key, value)
}

// recovered turns a panic into an error: the probes run on goroutines of their own.
func recovered(run func() (string, any, error)) (key string, value any, err error) {
	defer func() {
		if fell := recover(); fell != nil {
			err = fmt.Errorf("panic: %v", fell)
		}
	}()
	return run()
}

// ping asks one vendor's quickest model for a word.
func (d *Deps) ping(ctx context.Context, vendor string) (*calls.Outcome, error) {
	return d.Caller.Call(ctx, calls.Call{
		Provider: vendor, Category: providers.CategoryFast, Thinking: providers.ThinkMinimal,
		Build: func(providers.Model) (providers.ChatRequest, error) {
			return providers.ChatRequest{Messages: []providers.Message{{Role: providers.RoleUser, Content: "ping"}}}, nil
		},
	})
}
