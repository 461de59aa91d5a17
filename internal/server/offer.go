package server

import (
	"context"
	"errors"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// Resources are what a client can read; *tools.Resources are some.
type Resources interface {
	Fixed() []tools.Resource
	Templates() []tools.Resource
	// Latest are listed behind the fixed ones. It must not make a client wait.
	Latest(ctx context.Context) []tools.Resource
	Read(ctx context.Context, uri string) (tools.Document, error)
	Complete(ctx context.Context, template, variable, typed string, given map[string]string) (tools.Completion, error)
}

// Prompts are what a person can pick; *tools.Prompts are some.
type Prompts interface {
	Names() []string
	List() []tools.Prompt
	Get(ctx context.Context, name string, given map[string]string) (text string, err error)
	Complete(ctx context.Context, name, argument, typed string) (tools.Completion, error)
}

// capabilities returns mcp-go's options for what the server offers besides tools.
func (s *Server) capabilities(hooks *mcpserver.Hooks) (options []mcpserver.ServerOption) {
	if s.resources != nil {
		hooks.AddAfterListResources(s.fillResources)
		hooks.AddAfterListResourceTemplates(trimTemplates)
		options = append(options, mcpserver.WithResourceCapabilities(false, false), mcpserver.WithResourceCompletionProvider(completer{s}))
	}
	if s.prompts != nil {
		hooks.AddAfterListPrompts(s.fillPrompts)
		options = append(options, mcpserver.WithPromptCapabilities(false), mcpserver.WithPromptCompletionProvider(completer{s}))
	}
	if len(options) > 0 {
		options = append(options, mcpserver.WithCompletions())
	}
	if s.tasks != nil {
		options = append(options, mcpserver.WithExtensions(map[string]any{tasksExtension: map[string]any{}}))
	}
	return options
}

// register registers the resources, as the newest revision defines them, and the prompts with mcp-go.
func (s *Server) register() {
	if s.resources != nil {
		for _, r := range s.resources.Fixed() {
			s.mcp.AddResource(resourceOf(r), s.readResource)
		}
		for _, r := range s.resources.Templates() {
			s.mcp.AddResourceTemplate(mcp.NewResourceTemplate(r.URI, r.Name, func(t *mcp.ResourceTemplate) {
				t.Title, t.Description, t.MIMEType = r.Title, r.Description, r.MIME
			}), s.readResource)
		}
	}
	if s.prompts != nil {
		var names []mcpserver.ServerPrompt // listedPrompts knows the rest
		for _, name := range s.prompts.Names() {
			names = append(names, mcpserver.ServerPrompt{Prompt: mcp.Prompt{Name: name}, Handler: s.getPrompt})
		}
		s.mcp.AddPrompts(names...)
	}
}

// resourceOf is a resource as the newest revision defines it.
func resourceOf(r tools.Resource) mcp.Resource {
	out := mcp.Resource{URI: r.URI, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIME}
	out.Annotations = &mcp.Annotations{Priority: &r.Priority}
	if !r.Modified.IsZero() {
		out.Annotations.LastModified = r.Modified.UTC().Format(time.RFC3339)
	}
	return out
}

// fillResources appends the latest conversations and issues to the fixed resources, and removes what the revision lacks:
// before there were titles, names were what clients show (MCP specification 2025-06-18, changelog).
func (s *Server) fillResources(ctx context.Context, _ any, request *mcp.ListResourcesRequest, result *mcp.ListResourcesResult) {
	if request.Params.Cursor == "" {
		for _, r := range s.resources.Latest(ctx) {
			result.Resources = append(result.Resources, resourceOf(r))
		}
	}
	if revisionOf(ctx).structured() {
		return
	}
	for i := range result.Resources {
		r := &result.Resources[i]
		r.Name, r.Title = r.Title, ""
		r.Annotations = &mcp.Annotations{Priority: r.Annotations.Priority}
	}
}

func trimTemplates(ctx context.Context, _ any, _ *mcp.ListResourceTemplatesRequest, result *mcp.ListResourceTemplatesResult) {
	if !revisionOf(ctx).structured() {
		for i := range result.ResourceTemplates {
			t := &result.ResourceTemplates[i]
			t.Name, t.Title = t.Title, ""
		}
	}
}

// fillPrompts replaces the prompts' names by the prompts, without what the revision lacks. Their arguments are made of the
// tools' schemas, which no start waits for.
func (s *Server) fillPrompts(ctx context.Context, _ any, _ *mcp.ListPromptsRequest, result *mcp.ListPromptsResult) {
	result.Prompts = []mcp.Prompt{} // never null, also where no tool is shown
	for _, p := range s.prompts.List() {
		prompt := mcp.Prompt{Name: p.Name, Description: p.Description}
		if revisionOf(ctx).structured() {
			prompt.Title = p.Title
		}
		for _, a := range p.Arguments {
			prompt.Arguments = append(prompt.Arguments, mcp.PromptArgument{Name: a.Name, Description: a.Description, Required: a.Required})
		}
		result.Prompts = append(result.Prompts, prompt)
	}
}

func (s *Server) readResource(ctx context.Context, request mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
	doc, err := s.resources.Read(ctx, request.Params.URI)
	if err != nil {
		return nil, s.recordFault(ctx, err)
	}
	return []mcp.ResourceContents{mcp.TextResourceContents{URI: request.Params.URI, MIMEType: doc.MIME, Text: doc.Text}}, nil
}

func (s *Server) getPrompt(ctx context.Context, request mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	text, err := s.prompts.Get(ctx, request.Params.Name, request.Params.Arguments)
	if err != nil {
		return nil, s.recordFault(ctx, err)
	}
	return &mcp.GetPromptResult{Messages: []mcp.PromptMessage{{Role: mcp.RoleUser, Content: mcp.NewTextContent(text)}}}, nil
}

// completer offers values for arguments of prompts and variables of resource templates.
type completer struct{ *Server }

// CompletePromptArgument implements mcp-go's PromptCompletionProvider.
func (c completer) CompletePromptArgument(ctx context.Context, name string, argument mcp.CompleteArgument, _ mcp.CompleteContext) (*mcp.Completion, error) {
	found, err := c.prompts.Complete(ctx, name, argument.Name, argument.Value)
	return c.completion(ctx, found, err)
}

// CompleteResourceArgument implements mcp-go's ResourceCompletionProvider.
func (c completer) CompleteResourceArgument(ctx context.Context, uri string, argument mcp.CompleteArgument, given mcp.CompleteContext) (*mcp.Completion, error) {
	found, err := c.resources.Complete(ctx, uri, argument.Name, argument.Value, given.Arguments)
	return c.completion(ctx, found, err)
}

func (c completer) completion(ctx context.Context, found tools.Completion, err error) (*mcp.Completion, error) {
	if err != nil {
		return nil, c.recordFault(ctx, err)
	}
	return &mcp.Completion{Values: found.Values, Total: found.Total, HasMore: found.Total > len(found.Values)}, nil
}

// recordFault records on the call why it can't be served. mcp-go would answer everything with an internal error in the
// error's own words.
func (s *Server) recordFault(ctx context.Context, err error) error {
	at, ok := ctx.Value(callKey{}).(inFlight)
	if !ok {
		return err
	}
	m := at.call.message
	e := reply.FromError(ctx, err)
	fault := &lineFault{id: m.id, code: codeInternal, text: e.Message + " " + e.Hint}
	switch {
	case errors.Is(err, tools.ErrNoResource):
		fault.code, fault.text = noResourceCode(revisionOf(ctx)), noResource
	case errors.Is(err, tools.ErrNoPrompt):
		fault.code, fault.text = codeInvalidParams, noPrompt
	case e.Code == reply.CodeInvalidRequest, e.Code == reply.CodeConversationNotFound:
		fault.code = codeInvalidParams
	default:
		s.log.Warn("a request failed", zap.String("method", m.method), zap.String("request_id", string(m.id)), zap.Error(e))
	}
	at.call.fault = fault
	return err
}

const (
	noResource = "no such resource; see resources/list and resources/templates/list"
	noPrompt   = "no such prompt; see prompts/list"
)

// noResourceCode is the error code for a resource that is not there: MCP's own, until revision 2026-07-28 took JSON-RPC's.
func noResourceCode(r revision) int {
	if r.stateless() {
		return codeInvalidParams
	}
	return mcp.RESOURCE_NOT_FOUND
}
