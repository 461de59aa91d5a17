// Package server is the only package that uses MCP: it maps the tools to mcp-go and carries lines between a client and
// mcp-go over its own stdio loop (mcp-go's stock loop loses cancellations and sends progress after results).
//
// It is above the tools and uses no vendor and no database.
package server

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// listTTL is how long, in milliseconds, a client may keep a list that never changes while the server runs. The other
// lists, and what resources hold, are the user's own and change with every call: mcp-go has them private and stale at once.
const listTTL = 3_600_000

// Options are what a Server is made of.
type Options struct {
	Name         string // as clients show it
	Version      string
	Instructions string // what a client tells its model about the server, in the handshake
	Tools        []tool.Tool
	Resources    Resources // nil: none
	Prompts      Prompts   // nil: none
	Tasks        Tasks     // nil: no call becomes one
	// Call runs a tool within its limit and always returns a result; tool.Dispatcher.Call is one.
	Call   func(ctx context.Context, inv tool.Invocation) *tools.Result
	Client *Client     // nil when nobody asks for it
	Log    *zap.Logger // nil logs nothing
}

// Server answers one MCP client. Make one with New and run it with Serve.
type Server struct {
	name      string
	version   string
	mcp       *mcpserver.MCPServer
	call      func(ctx context.Context, inv tool.Invocation) *tools.Result
	tools     map[string]tool.Tool
	resources Resources
	prompts   Prompts
	tasks     Tasks
	client    *Client
	log       *zap.Logger
}

// New makes a server of its tools. It opens nothing.
func New(o Options) *Server {
	s := &Server{
		name: o.Name, version: o.Version, call: o.Call, tools: map[string]tool.Tool{},
		resources: o.Resources, prompts: o.Prompts, tasks: o.Tasks, client: o.Client, log: o.Log,
	}
	if s.client == nil {
		s.client = &Client{}
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	hooks := &mcpserver.Hooks{}
	hooks.AddAfterInitialize(trimHandshake)
	s.mcp = mcpserver.NewMCPServer(o.Name, o.Version, append(s.capabilities(hooks),
		mcpserver.WithInstructions(o.Instructions),
		mcpserver.WithToolCapabilities(false), // the list never changes while we run
		mcpserver.WithLogging(),
		mcpserver.WithToolFilter(s.fillTools),
		mcpserver.WithHooks(hooks),
		mcpserver.WithMethodCacheHints(mcp.MethodServerDiscover, listTTL, mcp.CacheScopePublic),
		mcpserver.WithMethodCacheHints(mcp.MethodToolsList, listTTL, mcp.CacheScopePublic),
		mcpserver.WithMethodCacheHints(mcp.MethodPromptsList, listTTL, mcp.CacheScopePublic),
		mcpserver.WithMethodCacheHints(mcp.MethodResourcesTemplatesList, listTTL, mcp.CacheScopePublic),
	)...)
	names := make([]mcpserver.ServerTool, len(o.Tools)) // listed knows the rest
	for i, t := range o.Tools {
		s.tools[t.Name] = t
		names[i] = mcpserver.ServerTool{Tool: mcp.Tool{Name: t.Name, RawInputSchema: json.RawMessage("{}")}, Handler: s.callTool}
	}
	s.mcp.AddTools(names...)
	s.register()
	return s
}

// toolOf is a tool as the newest revision defines it.
func toolOf(t tool.Tool) mcp.Tool {
	return mcp.Tool{
		Name: t.Name, Title: t.Title, Description: t.Description, RawInputSchema: t.Schema(),
		Annotations: mcp.ToolAnnotation{
			Title:           t.Title,
			ReadOnlyHint:    &t.Annotations.ReadOnly,
			DestructiveHint: &t.Annotations.Destructive,
			IdempotentHint:  &t.Annotations.Idempotent,
			OpenWorldHint:   &t.Annotations.OpenWorld,
		},
	}
}

// fillTools replaces the tools' names by their definitions, without what the request's revision lacks. mcp-go does not get
// them earlier, since it parses every schema that it gets, which would slow the start.
func (s *Server) fillTools(ctx context.Context, names []mcp.Tool) []mcp.Tool {
	r, list := revisionOf(ctx), make([]mcp.Tool, len(names))
	for i, name := range names {
		t := toolOf(s.tools[name.Name])
		if !r.structured() {
			t.Title = ""
		}
		if !r.annotations() {
			t.Annotations = mcp.ToolAnnotation{}
		}
		list[i] = t
	}
	return list
}

// trimHandshake removes from the handshake what its revision lacks.
func trimHandshake(_ context.Context, _ any, _ *mcp.InitializeRequest, result *mcp.InitializeResult) {
	result.Capabilities.Extensions = nil // there is none before revision 2026-07-28
	if !revision(result.ProtocolVersion).completionsCapability() {
		result.Capabilities.Completions = nil
	}
}

type callKey struct{}

// inFlight is the call that a handler works on, with the client that it came from.
type inFlight struct {
	conn *conn
	call *call
}

func withCall(ctx context.Context, c *conn, k *call) context.Context {
	return context.WithValue(ctx, callKey{}, inFlight{c, k})
}

// callTool runs a tool with the client's own bytes as its arguments.
func (s *Server) callTool(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	at, ok := ctx.Value(callKey{}).(inFlight)
	if !ok {
		panic("a tool call that did not come through Serve")
	}
	r, k := revisionOf(ctx), at.call
	defer at.conn.listen(ctx, k)()
	asks, meta := false, metaOf(k.tool.slim)
	if r.stateless() {
		at.conn.takeRoots(k.tool.inputs)
		asks = k.tool.inputs == nil && meta.declares("roots")
	}
	takesTask := s.takesTasks(meta)
	reply := s.call(ctx, tool.Invocation{
		ID:        string(k.message.id),
		Tool:      k.tool.name,
		Arguments: k.tool.arguments,
		Received:  k.message.received,
		Client:    clientName(ctx, &at.conn.state),
		Progress:  at.conn.progress(k, r),

		MayAskRoots: asks, TakesTask: takesTask,
	})
	if reply.AskRoots {
		k.own = s.ownResult(json.RawMessage(askRootsResult))
		return &mcp.CallToolResult{}, nil
	}
	if takesTask && reply.Pending != nil {
		own, done := s.taskResult(ctx, *reply.Pending)
		if own != nil {
			k.own = own
			return &mcp.CallToolResult{}, nil
		}
		if done != nil {
			reply = done
		}
	}
	result, err := callResult(reply, r)
	if err != nil {
		panic(err) // a bug of ours, answered as one
	}
	return result, nil
}

// callResult is a tool's reply as the result of its call.
func callResult(reply *tools.Result, r revision) (*mcp.CallToolResult, error) {
	object, err := reply.JSON()
	if err != nil {
		return nil, fmt.Errorf("the reply of %s is not valid JSON: %w", reply.Metadata.ToolName, err)
	}
	result := &mcp.CallToolResult{Content: []mcp.Content{mcp.NewTextContent(string(object))}, IsError: reply.IsError}
	if r.structured() {
		result.RawStructuredContent = object
	}
	return result, nil
}
