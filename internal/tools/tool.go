// Package tools holds the 29 tools, one short file each, and what they share: the typed Tool, the strict decoding of
// arguments, and the dispatch that bounds, records and renders every call.
//
// It knows no protocol: no MCP, no wire format. The server maps its values to MCP.
package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// Tool is one entry of the catalogue: a value without memory.
type Tool struct {
	Name        string
	Title       string
	Description string
	Annotations Annotations
	// Schema is the JSON Schema of the arguments, an object. It is made when it is first asked for: those of all tools take a
	// good part of the time in which the program starts.
	Schema func() json.RawMessage

	shape    func() *shape
	threaded bool
	prepare  func(args json.RawMessage, cfg *config.Config) (*prepared, error)
}

// Annotations are MCP's hints about a tool, all four always set.
type Annotations struct {
	ReadOnly    bool // changes nothing but our own records
	Destructive bool
	Idempotent  bool // the same call again has no further effect
	OpenWorld   bool // reaches beyond this machine
}

// prepared is a call whose arguments are understood.
type prepared struct {
	class          config.Class
	limit          config.Limit
	continuationID string // as the caller gave it
	notes          []string
	run            func(ctx context.Context) (*Result, error)
}

// Option is what a tool says about itself besides its words.
type Option func(*options)

type options struct {
	hints    Annotations
	class    config.Class
	limit    func(in any, cfg *config.Config) (config.Class, config.Limit)
	threaded bool
}

// Hints sets the tool's annotations. Without it all four are false.
func Hints(a Annotations) Option { return func(o *options) { o.hints = a } }

// Class says which limit governs every call of the tool. Without it, that is config.ClassSimple.
func Class(c config.Class) Option { return func(o *options) { o.class = c } }

// Limited says which limit governs a call that depends on its arguments. In is the tool's input type.
func Limited[In any](f func(in In, cfg *config.Config) (config.Class, config.Limit)) Option {
	return func(o *options) {
		o.limit = func(in any, cfg *config.Config) (config.Class, config.Limit) { return f(in.(In), cfg) }
	}
}

// Threaded says that the tool works on a conversation: its calls name their continuation_id in the first progress
// message, a new one where the caller gave none.
func Threaded() Option { return func(o *options) { o.threaded = true } }

// New makes a tool of a handler. The input struct is the schema: a property for each field with a json name, required
// without omitempty; the field tags are
//
//	jsonschema:"text"          the property's description, for what agents get wrong
//	enum:"a,b"                 the words that a string (or each string of a list) takes; case and separators are mended
//	also:"c,d"                 words that are taken, too, but not published
//	minimum:"1" maximum:"50"   the range of a number
//	default:"true"             stands in for an omitted argument; a required one that is missing is then filled and noted
//	types:"string,object,null" the JSON types of a free-form field (json.RawMessage or any)
//	items:"string,object"      the JSON types of its items, where one of them is array
//	text:"description"         the key under which a plain text becomes an object, in a list of objects
//
// Title and description come from words/<name>.md. New panics when the words are missing, and Schema when the struct can't be
// a schema: the catalogue is compiled in, and its tests build every tool.
func New[In any](name string, h func(context.Context, In) (*Result, error), opts ...Option) Tool {
	var o options
	for _, set := range opts {
		set(&o)
	}
	w, err := words.For(name)
	if err != nil {
		panic(err)
	}
	shape := sync.OnceValue(func() *shape {
		s, err := shapeOf[In]()
		if err != nil {
			panic(fmt.Errorf("tool %s: %w", name, err))
		}
		return s
	})
	return Tool{
		Name: name, Title: w.Title, Description: w.Description, Annotations: o.hints, shape: shape, threaded: o.threaded,
		Schema: func() json.RawMessage { return shape().schema },
		prepare: func(args json.RawMessage, cfg *config.Config) (*prepared, error) {
			var in In
			got, err := shape().decode(args, &in)
			if err != nil {
				return nil, err
			}
			p := &prepared{class: o.class, notes: got.notes, continuationID: got.continuationID}
			if o.limit != nil {
				p.class, p.limit = o.limit(in, cfg)
			} else {
				p.limit = cfg.Timeouts.For(o.class)
			}
			p.run = func(ctx context.Context) (*Result, error) { return h(ctx, in) }
			return p, nil
		},
	}
}
