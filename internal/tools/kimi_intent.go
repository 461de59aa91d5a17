package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

type intentInput struct {
	Prompt       string `json:"prompt"`
	Context      string `json:"context,omitempty"`
	UseWebsearch *bool  `json:"use_websearch,omitempty"`
}

func kimiIntentAnalysis(d *Deps) tool.Tool {
	return tool.New("kimi_intent_analysis", d.intentAnalysis, tool.Hints(tool.Annotations{ReadOnly: true, OpenWorld: true}))
}

// intent is what a request needs, in the model's judgement.
type intent struct {
	NeedsWebsearch      *bool  `json:"needs_websearch"`
	Complexity          string `json:"complexity"`
	Domain              string `json:"domain"`
	RecommendedProvider string `json:"recommended_provider"`
	RecommendedModel    string `json:"recommended_model"`
	StreamingPreferred  *bool  `json:"streaming_preferred"`
}

// intentAnalysis has a Kimi model judge what a request needs. An answer that is no such judgement is asked for once more;
// then it is an error, never a default in the place of an analysis.
func (d *Deps) intentAnalysis(ctx context.Context, in intentInput) (*Result, error) {
	w, err := words.For("kimi_intent_analysis")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Prompt) == "" {
		return nil, reply.InvalidRequest("Send the request that is to be judged.", "The prompt is blank.")
	}
	if r := d.tooLong(in.Prompt+in.Context, w); r != nil {
		return r, nil
	}
	pairs := d.choices()
	q, err := d.intentQuestion(w, in, pairs)
	if err != nil {
		return nil, err
	}
	first, err := d.Conversations.Generate(ctx, q)
	if err != nil {
		return nil, err
	}
	m := first.Metadata()
	found, flaw := readIntent(first.Outcome.Response.Content, pairs)
	if flaw != "" {
		q.History = []conversation.Turn{first.Asked, first.Turn()}
		if q.Prompt, err = w.Render("repair", map[string]string{"Flaw": flaw}); err != nil {
			return nil, err
		}
		second, err := d.Conversations.Generate(ctx, q)
		if err != nil {
			return nil, err
		}
		m = combinedMetadata(m, second.Metadata())
		m.Note("The first answer was not a valid analysis (" + flaw + "); it was asked for once more.")
		if found, flaw = readIntent(second.Outcome.Response.Content, pairs); flaw != "" {
			return nil, &reply.Error{
				Code: reply.CodeProviderError, Provider: m.ProviderUsed, Model: m.ModelUsed, Retryable: true,
				Message: fmt.Sprintf("%s twice gave an invalid analysis: %s.", m.ModelUsed, flaw),
				Hint:    "Call again, or set KIMI_INTENT_MODEL to another model.",
			}
		}
	}
	if in.UseWebsearch != nil {
		m.Note("use_websearch has no effect here: judging a request needs no search.")
	}
	r := &Result{Metadata: m}
	r.Body.Set("status", "success").Set("needs_websearch", *found.NeedsWebsearch).Set("complexity", found.Complexity).
		Set("domain", found.Domain).Set("recommended_provider", found.RecommendedProvider).
		Set("recommended_model", found.RecommendedModel).Set("streaming_preferred", *found.StreamingPreferred)
	return r, nil
}

// intentQuestion asks for an analysis in its form.
func (d *Deps) intentQuestion(w words.Words, in intentInput, pairs []choice) (q ask.Question, err error) {
	q = ask.Question{
		Tool: w.Name, Model: d.Config.KimiTools.IntentModel, Provider: "kimi", Category: providers.CategoryFast,
		Thinking: providers.ThinkMinimal, Temperature: new(0.1), JSONObject: true, MaxOutput: d.Config.KimiTools.IntentMaxTokens,
	}
	if q.System, err = w.Render("system", nil); err != nil {
		return q, err
	}
	if q.Form, err = w.Render("output", pairs); err != nil {
		return q, err
	}
	q.Prompt, err = w.Render("prompt", in)
	return q, err
}

// combinedMetadata is the metadata of two requests for one answer: the second's, with the tokens and attempts of both.
func combinedMetadata(first, second reply.Metadata) reply.Metadata {
	if first.Usage != nil && second.Usage != nil {
		sum := first.Usage.Plus(*second.Usage)
		second.Usage = &sum
	}
	second.Attempts += first.Attempts
	return second
}

// choice is a model that can be recommended.
type choice struct {
	ID       string
	Provider string // GLM or KIMI
	About    string
}

// choices are the models that the operator's settings name, the likeliest to be used; where none of them is allowed, every
// model that is.
func (d *Deps) choices() []choice {
	c := d.Config
	var list []choice
	for _, of := range []struct{ name, about string }{
		{c.GLM.SpeedModel, "quick and cheap"},
		{c.GLM.QualityModel, "thorough"},
		{c.Kimi.SpeedModel, "long documents, quick"},
		{c.Kimi.QualityModel, "long documents, thorough"},
	} {
		for _, m := range d.Registry.Models() {
			known := slices.ContainsFunc(list, func(have choice) bool { return have.ID == m.ID })
			if !known && (m.ID == of.name || slices.Contains(m.Aliases, of.name)) {
				list = append(list, choice{m.ID, strings.ToUpper(m.Provider), of.about})
			}
		}
	}
	if len(list) == 0 {
		for _, m := range d.Registry.Models() {
			list = append(list, choice{m.ID, strings.ToUpper(m.Provider), "general"})
		}
	}
	return list
}

// readIntent finds the analysis in an answer, and says what is wrong with it if anything is.
func readIntent(text string, from []choice) (found intent, flaw string) {
	begin, end := strings.IndexByte(text, '{'), strings.LastIndexByte(text, '}')
	if begin < 0 || end < begin {
		return found, "it holds no JSON object"
	}
	if err := json.Unmarshal([]byte(text[begin:end+1]), &found); err != nil {
		return found, "it is not a JSON object of the requested form"
	}
	found.Complexity = strings.ToLower(strings.TrimSpace(found.Complexity))
	found.RecommendedProvider = strings.ToUpper(strings.TrimSpace(found.RecommendedProvider))
	switch {
	case found.NeedsWebsearch == nil:
		return found, "needs_websearch is missing"
	case found.StreamingPreferred == nil:
		return found, "streaming_preferred is missing"
	case !slices.Contains([]string{"simple", "moderate", "deep"}, found.Complexity):
		return found, "complexity is none of simple, moderate and deep"
	case strings.TrimSpace(found.Domain) == "":
		return found, "domain is missing"
	}
	fits := func(c choice) bool {
		return strings.EqualFold(c.ID, strings.TrimSpace(found.RecommendedModel)) && c.Provider == found.RecommendedProvider
	}
	i := slices.IndexFunc(from, fits)
	if i < 0 {
		return found, "recommended_provider and recommended_model are not a pair from the list"
	}
	found.RecommendedModel = from[i].ID
	return found, ""
}
