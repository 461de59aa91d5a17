// Package openaicompat is the only wire in the program: an OpenAI-compatible chat client over go-openai, always
// streaming, and one plain JSON request for everything else. What a vendor does its own way is a Dialect; glm and kimi
// are one each.
//
// It makes exactly one request at a time and limits it by nothing but the caller's context and the connect limit:
// retries and time limits are the call path's, in providers. It imports providers and config.
package openaicompat

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	openai "github.com/sashabaranov/go-openai"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// defaultMaxAnswer is MAX_ANSWER_BYTES where the caller sets none.
const defaultMaxAnswer = 8 << 20

// Options is what a Client is made of.
type Options struct {
	Dialect        Dialect
	Key            config.Secret
	Keyless        bool                 // without a key requests are made all the same, without an Authorization header
	BaseURL        string               // with or without a trailing slash, or with /chat/completions pasted along
	Timeouts       config.TimeoutConfig // of which this package obeys Connect
	MaxAnswerBytes int64                // of one answer: text, reasoning and tool arguments together; 0 means 8 MiB
	Version        string               // of the program, for the User-Agent
	Quote          bool                 // errors may quote for the log what the vendor said, which may repeat the prompt
	DialContext    DialFunc             // nil: the network, by way of the environment's proxy
}

// Client talks to one vendor with one key over one connection pool. It is safe for concurrent use.
type Client struct {
	dialect   Dialect
	base      string
	host      string
	key       config.Secret
	keyless   bool
	calls     atomic.Int64 // that came without an id
	secrets   []string
	quote     bool
	connect   config.Limit
	maxAnswer int
	transport *http.Transport
	http      *http.Client
	api       *openai.Client
}

// New makes a Client with a connection pool of its own, which Close closes. It fails when the base URL is none.
func New(o Options) (*Client, error) {
	base, host, err := normalise(o.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("%s_API_URL: %w", strings.ToUpper(o.Dialect.Name), err)
	}
	c := &Client{
		dialect: o.Dialect, base: base, host: host, key: o.Key, keyless: o.Keyless, secrets: secretsOf(o.Key.Reveal()), quote: o.Quote,
		connect:   config.Limit{Name: "CONNECT_TIMEOUT_SECS", Value: o.Timeouts.Connect},
		maxAnswer: int(o.MaxAnswerBytes),
	}
	if c.maxAnswer <= 0 {
		c.maxAnswer = defaultMaxAnswer
	}
	if c.connect.Value <= 0 {
		c.connect.Value = math.MaxInt64 // no limit, as zero means in net/http
	}
	header := o.Dialect.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if o.Key != "" || !o.Keyless {
		header.Set("Authorization", "Bearer "+o.Key.Reveal())
	}
	header.Set("User-Agent", "exai-mcp/"+o.Version)
	c.transport = newTransport(c.connect.Value, o.DialContext)
	c.http = &http.Client{
		Transport: injector{base: c.transport, header: header},
		// A redirect of an API is a wrong address; following it would send the prompt who knows where.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	cfg := openai.DefaultConfig("") // the key is the injector's
	cfg.BaseURL = base
	cfg.HTTPClient = gate{c}
	c.api = openai.NewClientWithConfig(cfg)
	return c, nil
}

// Close closes the pool's idle connections. Requests under way end with their contexts.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Host is the host name of the base URL, by which the vendors' regions can be told.
func (c *Client) Host() string { return c.host }

// normalise trims what people paste: blanks, trailing slashes, the chat path itself.
func normalise(base string) (trimmed, host string, err error) {
	trimmed = strings.TrimRight(strings.TrimSpace(base), "/")
	trimmed = strings.TrimRight(strings.TrimSuffix(trimmed, "/chat/completions"), "/")
	u, err := url.Parse(trimmed)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", "", errors.New("not an http or https address") // without the text: it may hold credentials
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return "", "", errors.New("an address with a query or fragment can't be a base URL")
	}
	return trimmed, strings.ToLower(u.Hostname()), nil
}

// configured is the error of a client without a key, nil with one.
func (c *Client) configured(model string) error {
	if c.key != "" || c.keyless {
		return nil
	}
	return &providers.Error{
		Kind: providers.KindNotConfigured, Provider: c.dialect.Name, Model: model,
		Message: c.dialect.Label + " has no API key.", Hint: c.hint(hintKey),
	}
}
