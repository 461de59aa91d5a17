package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/providers/endpoint"
	"github.com/exai-mcp/exai-mcp/internal/providers/glm"
	"github.com/exai-mcp/exai-mcp/internal/providers/kimi"
	"github.com/exai-mcp/exai-mcp/internal/server"
	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/upload"
	"github.com/exai-mcp/exai-mcp/internal/usage"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// program is every part of exai-mcp, put together. Making one opens no file and no connection.
type program struct {
	cfg           *config.Config
	build         build
	log           *zap.Logger
	toolLog       *zap.Logger // of the tools
	activity      *activity.Log
	client        *server.Client
	registry      *calls.Registry
	caller        *calls.Caller
	meter         *usage.Meter
	database      *database
	files         *workspace.Workspace
	conversations *ask.Conversations
	uploads       *upload.Queue
	tools         []tool.Tool // that are shown
	dispatch      *tool.Dispatcher
	reading       *tools.Resources
	prompts       *tools.Prompts
	tasks         *tools.Tasks
	warnings      []string // about settings, for people
	folder        string   // that a command was given in; "" for the server
}

// assemble puts the parts together, from the settings up. The log goes to logw.
func (a *app) assemble(cfg *config.Config, logw io.Writer) (*program, error) {
	p := &program{cfg: cfg, build: thisBuild(), client: &server.Client{}}
	toClient := activity.NewRedactor(cfg.Secrets()...).Core(p.client.LogCore())
	p.log = activity.NewLogger(cfg, logw).WithOptions(zap.WrapCore(func(toStderr zapcore.Core) zapcore.Core {
		return zapcore.NewTee(toStderr, toClient)
	}))
	if p.toolLog = p.log; a.printsOutcome {
		p.toolLog = p.log.WithOptions(zap.IncreaseLevel(zapcore.ErrorLevel))
	}
	p.activity = activity.Open(cfg, p.log)
	p.database = newDatabase(cfg.Conversations, p.log)
	var err error
	p.files, err = workspace.New(cfg.Files, cfg.Conversations.StateDir, a.dir(), a.home(), p.client, p.log,
		cfg.Logs.ActivityPath, cfg.Logs.ToolCallPath, cfg.Server.EnvFile)
	if err != nil {
		return nil, err
	}
	p.meter = p.newMeter()
	if err := p.connectVendors(append(vendorProviders(), a.moreProviders...)); err != nil {
		return nil, err
	}
	p.wireTools()
	return p, nil
}

// assembleCommand puts the parts together for a command. What it asks belongs to the folder that it is given in, which need
// be no root, nor the first one.
func (a *app) assembleCommand(cfg *config.Config) (*program, error) {
	p, err := a.assemble(cfg, a.errw)
	if err != nil {
		return nil, err
	}
	p.folder = a.dir()
	if real, err := filepath.EvalSymlinks(p.folder); err == nil {
		p.folder = real
	}
	return p, nil
}

// dir is the folder that may be read, "" where the working directory was deleted.
func (a *app) dir() string {
	if a.readable != "" {
		return a.readable
	}
	dir, _ := os.Getwd()
	return dir
}

// newProvider makes the provider of one vendor.
type newProvider func(*config.Config, build) (providers.Provider, error)

// vendorProviders are the vendors that have an API of their own: one line each. The providers get no models: the registry
// reads the catalogue, and reading it three times would show in the time that the program takes to start.
func vendorProviders() []newProvider {
	return []newProvider{
		func(c *config.Config, b build) (providers.Provider, error) {
			return glm.New(glm.Options{
				Vendor: c.GLM, Timeouts: c.Timeouts, MaxAnswerBytes: c.Calls.MaxAnswerBytes, Version: b.version, Quote: c.Logs.Prompts,
			}, c.GLMSearch)
		},
		func(c *config.Config, b build) (providers.Provider, error) {
			return kimi.New(kimi.Options{
				Vendor: c.Kimi, Timeouts: c.Timeouts, MaxAnswerBytes: c.Calls.MaxAnswerBytes, Version: b.version, Quote: c.Logs.Prompts,
			})
		},
	}
}

// endpointProvider makes the provider of one of ENDPOINTS.
func endpointProvider(v config.Vendor) newProvider {
	return func(c *config.Config, b build) (providers.Provider, error) {
		return endpoint.New(endpoint.Options{
			Vendor: v, Timeouts: c.Timeouts, MaxAnswerBytes: c.Calls.MaxAnswerBytes, Version: b.version, Quote: c.Logs.Prompts,
		})
	}
}

// connectVendors makes the vendors' providers, the registry that owns them, and the one path to them.
func (p *program) connectVendors(all []newProvider) (err error) {
	var list []providers.Provider
	for _, v := range p.cfg.Vendors() {
		if v.Row.IsEndpoint() {
			all = append(all, endpointProvider(*v))
		}
	}
	for _, make := range all {
		provider, err := make(p.cfg, p.build)
		if err != nil {
			return err
		}
		list = append(list, provider)
	}
	if p.registry, err = calls.NewRegistry(p.cfg, list...); err != nil {
		return err
	}
	p.caller = calls.NewCaller(p.registry, p.cfg, p.activity, p.meter)
	return nil
}

// newMeter returns the meter that stores what requests cost, and holds them to the day's limit.
func (p *program) newMeter() *usage.Meter {
	host, name := origin()
	return usage.NewMeter(usage.Options{
		Store: p.usage, DayLimitUSD: p.cfg.Costs.PerDayUSD, Host: host, User: name, Workspace: p.workspace,
		Failed: func(err error) { p.log.Warn("the cost of a request was not stored", zap.Error(err)) },
	})
}

// usage gives the store of what requests cost.
func (p *program) usage(ctx context.Context) (usage.Store, error) {
	s, err := p.database.get(ctx)
	if err != nil {
		return nil, err // not a nil *store.Usage in an interface
	}
	return s.Usage(), nil
}

// workspace is the folder that conversations and requests belong to.
func (p *program) workspace() string {
	if p.folder != "" {
		return p.folder
	}
	return p.files.FirstRoot(context.Background())
}

// wireTools makes the tools and the one entrance to them.
func (p *program) wireTools() {
	conversations := func(ctx context.Context) (conversation.Store, error) {
		s, err := p.database.get(ctx)
		if err != nil {
			return nil, err // not a nil *store.Store in an interface
		}
		return s, nil
	}
	issues := func(ctx context.Context) (issue.Store, error) {
		s, err := p.database.get(ctx)
		if err != nil {
			return nil, err
		}
		return s.Issues(), nil
	}
	host, name := origin()
	p.conversations = ask.New(ask.Options{
		Config: p.cfg, Caller: p.caller, Store: conversations, Activity: p.activity, Log: p.log,
		Workspace: p.workspace, Host: host, User: name,
	})
	p.uploads = upload.New(upload.Options{
		Config: p.cfg, Registry: p.registry, Caller: p.caller, Activity: p.activity, Log: p.log,
	})
	deps := &tools.Deps{
		Config: p.cfg, Registry: p.registry, Caller: p.caller, Conversations: p.conversations, Store: conversations, Issues: issues, Usage: p.usage,
		Workspace: p.files, Uploads: p.uploads, Activity: p.activity, Log: p.toolLog,
		Version: tools.Version{Number: p.build.version, Commit: p.build.commit, Date: p.build.date, Protocols: server.Revisions()},
	}
	shown, warnings := tools.Shown(deps)
	p.tools, p.warnings = shown, append(slices.Clone(p.cfg.Warnings), warnings...)
	p.dispatch = deps.Dispatcher(p.tools)
	p.reading, p.prompts = tools.NewResources(deps), tools.NewPrompts(deps, p.tools)
	p.tasks = tools.NewTasks(deps, p.dispatch)
}

// toolNames lists the names of the tools that are shown.
func (p *program) toolNames() []string {
	names := make([]string, len(p.tools))
	for i, t := range p.tools {
		names[i] = t.Name
	}
	return names
}

// close ends what goes on in the background, has it stored, and closes what is open. It returns by the deadline, whatever
// the parts do.
func (p *program) close(deadline time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	err := bounded.Do(ctx, func(ctx context.Context) error {
		return errors.Join(p.conversations.Close(ctx), p.uploads.Close(ctx), p.caller.Close(ctx), p.meter.Close(ctx), p.registry.Close(), p.database.close(), p.activity.Close())
	})
	switch {
	case ctx.Err() != nil:
		p.log.Warn("shutdown timed out", zap.Error(err))
	case err != nil:
		p.log.Warn("some components failed to close", zap.Error(err))
	}
	_ = p.log.Sync() // stderr may be a pipe that can't be synced
}

// home is the user's home folder, "" when there is none.
func (a *app) home() string { return a.getenv(homeVariable) }

// getenv returns a variable of the environment that the program was started in, or "".
func (a *app) getenv(name string) string {
	for _, entry := range a.environ {
		if key, value, _ := strings.Cut(entry, "="); key == name {
			return value
		}
	}
	return ""
}
