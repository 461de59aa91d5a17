// Package tool is what makes a function a tool: its schema from the input struct, the strict decoding of arguments with
// coercions, and the dispatch that limits, records and renders every call.
//
// It knows no protocol and none of the 29 tools.
package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// Tool is one entry of the catalogue. It is stateless.
type Tool struct {
	Name        string
	Title       string
	Description string
	Annotations Annotations
	Listed      json.RawMessage // its schema, where that is known already; nil: it is made of the input type

	shape          func() *shape // computed once, on first use
	inConversation bool
	prepare        func(args json.RawMessage, cfg *config.Config, exists func(string) bool) (*prepared, error)
}

// Annotations are MCP's hints about a tool, all four always set.
type Annotations struct {
	ReadOnly    bool // changes nothing but our own records
	Destructive bool
	Idempotent  bool // the same call again has no further effect
	OpenWorld   bool // reaches beyond this machine
}

// prepared is a call whose arguments are decoded.
type prepared struct {
	class          config.Class
	limit          config.Limit
	continuationID string // as the caller gave it
	notes          []string
	paths          []string // files and folders that the call names
	run            func(ctx context.Context) (*reply.Result, error)
}

// Option is what a tool declares besides its words.
type Option func(*options)

type options struct {
	hints          Annotations
	class          config.Class
	limit          func(in any, cfg *config.Config) (config.Class, config.Limit)
	inConversation bool
	items          map[string][]param // of lists of objects: the keys that are published
}

// Hints sets the tool's annotations. Without it all four are false.
func Hints(a Annotations) Option { return func(o *options) { o.hints = a } }

// Class sets the limit of every call of the tool. Without it, that is config.ClassSimple.
func Class(c config.Class) Option { return func(o *options) { o.class = c } }

// Limited sets the limit of a call from its arguments. In is the tool's input type.
func Limited[In any](f func(in In, cfg *config.Config) (config.Class, config.Limit)) Option {
	return func(o *options) {
		o.limit = func(in any, cfg *config.Config) (config.Class, config.Limit) { return f(in.(In), cfg) }
	}
}

// InConversation declares that the tool works on a conversation: its calls name their continuation_id in the first progress
// message, a new one where the caller gave none, and REPLY_STYLE=compact shortens its replies.
func InConversation() Option { return func(o *options) { o.inConversation = true } }

// ItemKeys publishes which keys the objects in a list of free form have: those of the struct Item. Others are taken, too.
func ItemKeys[Item any](list string) Option {
	return func(o *options) {
		keys, err := paramsOf(reflect.TypeFor[Item]())
		if err != nil {
			panic(fmt.Errorf("the items of %s: %w", list, err)) // the catalogue is compiled in
		}
		if o.items == nil {
			o.items = map[string][]param{}
		}
		o.items[list] = keys
	}
}

// New returns a tool that runs a handler. The input struct is the schema: a property for each field with a json name, required
// without omitempty and default; the field tags are
//
//	jsonschema:"text"          the property's description, for what agents get wrong
//	enum:"a,b"                 the words that a string (or each string of a list) takes, in any case and with any separators
//	also:"c,d"                 words that are accepted, too, but not published
//	minimum:"1" maximum:"50"   the range of a number
//	default:"true"             stands in for an omitted argument; one without omitempty is then filled and noted
//	types:"string,object,null" the JSON types of a free-form field (json.RawMessage or any)
//	items:"string,object"      the JSON types of its items, where one of them is array
//	text:"description"         the key under which a plain text becomes an object, in a list of objects
//	join:"lines"               a list of texts is accepted as the lines of one
//	split:"commas"             one text is accepted as a comma-separated list
//
// Title and description come from words/<name>.md. New panics when the words are missing, and Schema when the struct can't be
// a schema: the catalogue is compiled in, and its tests build every tool.
func New[In any](name string, h func(context.Context, In) (*reply.Result, error), opts ...Option) Tool {
	var o options
	for _, set := range opts {
		set(&o)
	}
	w, err := words.For(name)
	if err != nil {
		panic(err)
	}
	shape := sync.OnceValue(func() *shape {
		s, err := shapeOf[In](o.items)
		if err != nil {
			panic(fmt.Errorf("tool %s: %w", name, err))
		}
		return s
	})
	return Tool{
		Name: name, Title: w.Title, Description: w.Description, Annotations: o.hints, shape: shape, inConversation: o.inConversation,
		prepare: func(args json.RawMessage, cfg *config.Config, exists func(string) bool) (*prepared, error) {
			var in In
			got, err := shape().decode(args, &in, exists)
			if err != nil {
				return nil, err
			}
			p := &prepared{class: o.class, notes: got.notes, continuationID: got.continuationID, paths: got.paths}
			if o.limit != nil {
				p.class, p.limit = o.limit(in, cfg)
			} else {
				p.limit = cfg.Timeouts.For(o.class)
			}
			p.run = func(ctx context.Context) (*reply.Result, error) { return h(ctx, in) }
			return p, nil
		},
	}
}

// Schema returns the JSON Schema of the arguments, an object. It depends on the input type alone.
func (t Tool) Schema() json.RawMessage {
	if t.Listed != nil {
		return t.Listed
	}
	return t.shape().schema
}

// Check decodes arguments as a call would, and returns the limit that such a call would have. Its error is the one that the
// call would answer with.
func (t Tool) Check(args json.RawMessage, cfg *config.Config) (config.Class, config.Limit, error) {
	p, err := t.prepare(args, cfg, nil)
	if err != nil {
		return 0, config.Limit{}, err
	}
	return p.class, p.limit, nil
}
