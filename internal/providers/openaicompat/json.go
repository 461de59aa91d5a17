package openaicompat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Request is one plain request, everything that is no chat.
type Request struct {
	Op     string // what it is, as a sentence says it: "web search"
	Method string
	Path   string // below the base URL, already escaped: Moonshot's formula names keep their slash and colon
	Model  string // for the error, "" where no model is meant
	In     any    // the JSON body; nil for none
	// Opaque: the body of the answer is content, not the API's own JSON, so nothing in it is an error.
	Opaque bool
	// Root: Path is below the server's root, which is the base URL without /v1 at its end.
	Root bool

	body        io.Reader // instead of In
	contentType string
	length      int64
}

// JSON makes a request and decodes its answer into out, which may be nil. Errors are *providers.Error, also for an error
// that comes under HTTP 200.
func (c *Client) JSON(ctx context.Context, r Request, out any) error {
	body, err := c.Do(ctx, r)
	if err != nil || out == nil {
		return err
	}
	return c.decode(r, body, out)
}

// IsStatus reports whether err is a vendor's refusal with this HTTP status.
func IsStatus(err error, status int) bool {
	var e *providers.Error
	return errors.As(err, &e) && e.HTTPStatus == status
}

// Conversation renders a request's messages and tools as Chat would send them, for endpoints that count tokens.
func (c *Client) Conversation(req providers.ChatRequest) (messages, tools json.RawMessage, err error) {
	body, err := c.newWire(req).body()
	if err != nil {
		return nil, nil, c.failure(offline(0), ask{"counting tokens", req.Model.ID}, err)
	}
	var parts struct {
		Messages json.RawMessage `json:"messages"`
		Tools    json.RawMessage `json:"tools"`
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		return nil, nil, c.failure(offline(0), ask{"counting tokens", req.Model.ID}, err)
	}
	return parts.Messages, parts.Tools, nil
}

// SearchHits reads the pages out of a search's answer.
func (c *Client) SearchHits(op string, body []byte) ([]providers.SearchHit, error) {
	var out struct {
		Hits []searchHit `json:"search_result"`
	}
	if err := c.decode(Request{Op: op}, body, &out); err != nil {
		return nil, err
	}
	hits := make([]providers.SearchHit, len(out.Hits))
	for i, h := range out.Hits {
		hits[i] = h.hit()
	}
	return hits, nil
}

// Decode reads the JSON of an answer that Do returned. op names the request in the error.
func (c *Client) Decode(op string, body []byte, out any) error {
	return c.decode(Request{Op: op}, body, out)
}

// decode reads an answer's JSON.
func (c *Client) decode(r Request, body []byte, out any) error {
	if err := json.Unmarshal(body, out); err != nil {
		return c.decodeFailure(r, body, err)
	}
	return nil
}

// Do makes a request and returns its whole answer, at most MAX_ANSWER_BYTES of it.
func (c *Client) Do(ctx context.Context, r Request) ([]byte, error) {
	if err := c.configured(r.Model); err != nil {
		return nil, err
	}
	x, end := c.begin(ctx)
	defer end()
	a := ask{r.Op, r.Model}
	req, err := c.newRequest(x.ctx, r)
	if err != nil {
		return nil, c.failure(x, a, err)
	}
	resp, err := gate{c}.Do(req)
	if err != nil {
		return nil, c.failure(x, a, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.maxAnswer)+1))
	switch {
	case err != nil:
		return nil, c.failure(x, a, err)
	case len(body) > c.maxAnswer:
		return nil, c.failure(x, a, errTooLong)
	}
	if !r.Opaque {
		if f, ok := parseFault(body, false); ok {
			return nil, c.failure(x, a, &faultError{f})
		}
	}
	return body, nil
}

func (c *Client) newRequest(ctx context.Context, r Request) (*http.Request, error) {
	body, contentType := r.body, r.contentType
	if r.In != nil {
		encoded, err := json.Marshal(r.In)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errEncode, err)
		}
		body, contentType = bytes.NewReader(encoded), "application/json"
	}
	base := c.base
	if r.Root {
		base = strings.TrimSuffix(base, "/v1")
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, base+r.Path, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errEncode, err)
	}
	if r.length > 0 {
		req.ContentLength = r.length
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json")
	return req, nil
}
