package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// property is one parameter of a tool as its schema describes it.
type property struct {
	Type        string          `json:"type"`
	Description string          `json:"description"`
	Enum        []any           `json:"enum"`
	Default     json.RawMessage `json:"default"`
	Items       *property       `json:"items"`
}

// kind is what a parameter takes: its type, or the words that it accepts.
func (p property) kind() string {
	if len(p.Enum) > 0 {
		var words []string
		for _, word := range p.Enum {
			words = append(words, fmt.Sprint(word))
		}
		return strings.Join(words, "|")
	}
	if p.Type == "array" && p.Items != nil {
		return "list of " + p.Items.kind()
	}
	return p.Type
}

// printTool prints a tool with its parameters, the required ones first.
func printTool(w io.Writer, t tool.Tool) error {
	var schema struct {
		Properties map[string]property `json:"properties"`
		Required   []string            `json:"required"`
	}
	if err := json.Unmarshal(t.Schema(), &schema); err != nil {
		return failure{fmt.Errorf("schema of %s: %w", t.Name, err)}
	}
	fmt.Fprintf(w, "%s (%s)\n\n%s\n", t.Name, t.Title, wrap(t.Description, 78))
	if len(schema.Properties) == 0 {
		fmt.Fprintln(w, "\nIt takes no parameters.")
		return nil
	}
	fmt.Fprintln(w, "\nParameters:")
	var names []string
	for name := range schema.Properties {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := slices.Contains(schema.Required, a), slices.Contains(schema.Required, b)
		switch {
		case x && !y:
			return -1
		case y && !x:
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		p := schema.Properties[name]
		line := "  " + name + "  " + p.kind()
		if slices.Contains(schema.Required, name) {
			line += "  (required)"
		} else if p.Default != nil {
			line += "  (default " + string(p.Default) + ")"
		}
		fmt.Fprintln(w, line)
		if p.Description != "" {
			for text := range strings.Lines(wrap(p.Description, 72)) {
				fmt.Fprintln(w, "      "+strings.TrimRight(text, "\n"))
			}
		}
	}
	return nil
}
