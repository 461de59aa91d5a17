package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// encode writes a value as one line without its newline. Text stays as it is: code is full of < and &, and escaping them
// would cost six bytes each.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// encodeResponse writes mcp-go's answer to a request with the id that the client gave, byte for byte.
func encodeResponse(response mcp.JSONRPCMessage, m *message) ([]byte, error) {
	switch r := response.(type) {
	case mcp.JSONRPCResponse:
		return encodeAnswer(m.id, "result", plain(r.Result))
	case mcp.JSONRPCError:
		reword(&r.Error, m.method)
		return encodeAnswer(m.id, "error", r.Error)
	}
	return nil, errors.New("no answer to " + m.method)
}

// reword replaces mcp-go's error messages, which are written for Go programmers.
func reword(e *mcp.JSONRPCErrorDetails, method string) {
	switch {
	case strings.HasPrefix(e.Message, "unparsable "): // what follows are names of Go types
		e.Code, e.Message = codeInvalidParams, "invalid params for "+method
	case strings.HasPrefix(e.Message, "unknown reference type"):
		e.Code, e.Message = codeInvalidParams, "params.ref must have the type ref/prompt or ref/resource"
	case strings.HasSuffix(e.Message, mcpserver.ErrSessionNotInitialized.Error()):
		e.Code, e.Message = codeInvalidRequest, method+" is not allowed before the handshake; send initialize first"
	case strings.HasSuffix(e.Message, mcpserver.ErrResourceNotFound.Error()):
		e.Message = noResource
	case strings.HasSuffix(e.Message, mcpserver.ErrPromptNotFound.Error()):
		e.Message = noPrompt
	case strings.HasPrefix(e.Message, "illegal base64 data"): // what mcp-go's cursors are made of
		e.Message = "invalid cursor; every list here has one page"
	}
}

// encodeAnswer writes an answer whose outcome is its result or its error.
func encodeAnswer(id json.RawMessage, outcome string, value any) ([]byte, error) {
	encoded, err := encode(value)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte(`{"jsonrpc":"2.0","id":`), id, []byte(`,"`+outcome+`":`), encoded, []byte("}")), nil
}

// refusal is an error answer. An id of nil is null, as JSON-RPC has it for lines whose id can't be told.
func refusal(id json.RawMessage, code int, text string) []byte {
	if id == nil {
		id = json.RawMessage("null")
	}
	return (&lineFault{id: id, code: code, text: text}).refusal()
}

// refusal is the error answer that a fault is.
func (f *lineFault) refusal() []byte {
	line, err := encodeAnswer(f.id, "error", mcp.JSONRPCErrorDetails{Code: f.code, Message: f.text, Data: f.data})
	if err != nil {
		panic(err) // numbers, strings and maps of them always encode
	}
	return line
}

// ownResult is a result of a kind that mcp-go does not have, an object with at least one member, signed as mcp-go's are.
func (s *Server) ownResult(object any) json.RawMessage {
	text, err := encode(object)
	if err != nil {
		panic(fmt.Errorf("a result is not valid JSON: %w", err)) // a bug of ours, answered as one
	}
	return slices.Concat(text[:len(text)-1], []byte(`,"_meta":{`+quote(mcp.MetaKeyServerInfo)+
		`:{"name":`+quote(s.name)+`,"version":`+quote(s.version)+`}}}`))
}

// ownAnswer is the answer to a request with a result of our own.
func ownAnswer(id, result json.RawMessage) []byte {
	return slices.Concat([]byte(`{"jsonrpc":"2.0","id":`), id, []byte(`,"result":`), result, []byte("}"))
}

// toolResult is mcp.CallToolResult without a MarshalJSON that escapes HTML.
type toolResult struct {
	mcp.Result
	Content           []mcp.Content   `json:"content"`
	StructuredContent json.RawMessage `json:"structuredContent,omitempty"`
	IsError           bool            `json:"isError,omitempty"`
}

// toolList is mcp.ListToolsResult with tools that leave out what they don't have.
type toolList struct {
	mcp.PaginatedResult
	Tools []listedTool `json:"tools"`
}

type listedTool struct {
	Name        string              `json:"name"`
	Title       string              `json:"title,omitempty"`
	Description string              `json:"description"`
	InputSchema json.RawMessage     `json:"inputSchema"`
	Annotations *mcp.ToolAnnotation `json:"annotations,omitempty"`
}

// ListTools is what tools/list answers a client of the newest revision with a handshake.
func ListTools(list []tool.Tool) ([]byte, error) {
	result := mcp.ListToolsResult{}
	for _, t := range list {
		result.Tools = append(result.Tools, toolOf(t))
	}
	slices.SortFunc(result.Tools, func(a, b mcp.Tool) int { return strings.Compare(a.Name, b.Name) })
	return encode(plain(result))
}

// plain replaces results that mcp-go encodes in its own way by ones that encode their fields unchanged.
func plain(result any) any {
	switch r := result.(type) {
	case mcp.CallToolResult:
		return toolResult{Result: r.Result, Content: r.Content, StructuredContent: r.RawStructuredContent, IsError: r.IsError}
	case *mcp.CallToolResult:
		return plain(*r)
	case mcp.ListToolsResult:
		list := toolList{PaginatedResult: r.PaginatedResult, Tools: make([]listedTool, len(r.Tools))}
		for i, t := range r.Tools {
			list.Tools[i] = listedTool{Name: t.Name, Title: t.Title, Description: t.Description, InputSchema: t.RawInputSchema}
			if t.Annotations != (mcp.ToolAnnotation{}) {
				list.Tools[i].Annotations = &t.Annotations
			}
		}
		return list
	}
	return result
}
