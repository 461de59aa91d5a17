package tools

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// Completion offers values for an argument that a person types.
type Completion struct {
	Values []string // at most 100
	Total  int
}

// maxValues is how many values a completion offers; MCP allows no more (specification, completion).
const maxValues = 100

// searchedConversations and searchedIssues are how many of the latest are looked through for a completion.
const (
	searchedConversations = 500
	searchedIssues        = 500
)

// completion keeps of the values those that begin with what was typed, in any case.
func completion(values []string, typed string) Completion {
	var c Completion
	typed = strings.ToLower(strings.TrimSpace(typed))
	for _, v := range values {
		if strings.HasPrefix(strings.ToLower(v), typed) {
			if c.Total++; len(c.Values) < maxValues {
				c.Values = append(c.Values, v)
			}
		}
	}
	return c
}

// Complete offers values for a variable of a resource's template. given are the variables that are set already. A template
// that is not ours is ErrNoResource.
func (r *Resources) Complete(ctx context.Context, template, variable, typed string, given map[string]string) (Completion, error) {
	switch template + " " + variable {
	case uriConversation + " id", uriTurn + " id":
		return r.deps.completeConversation(ctx, typed), nil
	case uriTurn + " n":
		return r.deps.completeTurn(ctx, given["id"], typed), nil
	case uriIssue + " number":
		return r.deps.completeIssue(ctx, typed), nil
	}
	known := func(res Resource) bool { return res.URI == template }
	if slices.ContainsFunc(r.Templates(), known) || slices.ContainsFunc(r.Fixed(), known) {
		return Completion{}, nil
	}
	return Completion{}, ErrNoResource
}

// completionFrom offers what the store has: nothing when it takes too long for somebody who is typing.
func (d *Deps) completionFrom(ctx context.Context, typed string, values func(context.Context) ([]string, error)) Completion {
	list, err := look(ctx, completeWait, values)
	if err != nil {
		d.log().Sugar().Debugw("nothing to complete with", "error", err)
	}
	return completion(list, typed)
}

func (d *Deps) completeConversation(ctx context.Context, typed string) Completion {
	return d.completionFrom(ctx, typed, func(ctx context.Context) (ids []string, err error) {
		conversations, err := d.conversationList(ctx, conversation.Filter{Limit: searchedConversations})
		for _, t := range conversations {
			ids = append(ids, t.ID)
		}
		return ids, err
	})
}

func (d *Deps) completeTurn(ctx context.Context, id, typed string) Completion {
	return d.completionFrom(ctx, typed, func(ctx context.Context) (numbers []string, err error) {
		store, err := d.Store(ctx)
		if err != nil {
			return nil, err
		}
		conv, err := store.Load(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, t := range slices.Backward(conv.Turns) {
			numbers = append(numbers, strconv.Itoa(t.N))
		}
		return numbers, nil
	})
}

func (d *Deps) completeIssue(ctx context.Context, typed string) Completion {
	return d.completionFrom(ctx, typed, func(ctx context.Context) (numbers []string, err error) {
		issues, err := d.issueList(ctx, issue.Filter{Limit: searchedIssues})
		for _, i := range issues {
			numbers = append(numbers, strconv.Itoa(i.Number))
		}
		return numbers, err
	})
}

// completeModel offers the models that can be asked now, of one vendor where the tool is that vendor's.
func (d *Deps) completeModel(tool, typed string) Completion {
	var ids []string
	for _, m := range d.Registry.Models() {
		if vendor := d.vendorOf(tool); vendor == "" || vendor == m.Provider {
			ids = append(ids, m.ID)
		}
	}
	return completion(ids, typed)
}

// completeModels completes the last of several comma-separated models.
func (d *Deps) completeModels(tool, typed string) Completion {
	i := strings.LastIndex(typed, ",") + 1
	c := d.completeModel(tool, typed[i:])
	for k := range c.Values {
		c.Values[k] = typed[:i] + c.Values[k]
	}
	return c
}

// vendorOf is the vendor that a tool belongs to, "" for one that any vendor serves.
func (d *Deps) vendorOf(tool string) string {
	for _, vendor := range d.Config.VendorRows() {
		name := vendor.Name
		if strings.HasPrefix(tool, name+"_") {
			return name
		}
	}
	return ""
}
