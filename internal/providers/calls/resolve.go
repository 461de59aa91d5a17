package calls

import (
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/typo"
)

// auto is the model name that stands for "you choose".
const auto = "auto"

// Query asks the registry who should answer. Its fields mean what they mean in a Call.
type Query struct {
	Model    string
	Prefer   string
	Provider string
	Category providers.Category
	Needs    providers.Needs

	keyless bool // for a preview: a vendor without a key will do
}

// Candidate is a model that may answer, with what the reply should say about how it was chosen.
type Candidate struct {
	Model providers.Model
	Notes []string
}

// Named reports whether a model name names one; "" and "auto" don't.
func Named(model string) bool {
	model = strings.TrimSpace(model)
	return model != "" && !strings.EqualFold(model, auto)
}

// Resolve gives the models that may answer, the best first and at most one per vendor. A named model is the only
// candidate. The error is an *Error: model_not_found with the nearest names, not_configured with the variables to set,
// or invalid_request when what is sent cannot go to the model that was named.
func (r *Registry) Resolve(q Query) ([]Candidate, error) {
	if Named(q.Model) {
		c, err := r.named(q.Model, q.Provider, q.keyless)
		if err != nil {
			return nil, err
		}
		if err := missingAbility(c.Model, q.Needs); err != nil {
			return nil, err
		}
		return []Candidate{c}, nil
	}
	if q.Provider != "" {
		if err := r.ready(q.Provider, q.keyless); err != nil {
			return nil, err
		}
	}
	list := r.automatic(q)
	if len(list) == 0 {
		return nil, r.noCandidateError(q)
	}
	list, err := r.keepAtEndpoint(q, list)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// named resolves a name that the caller, a conversation or the operator gave.
func (r *Registry) named(name, provider string, keyless bool) (Candidate, *providers.Error) {
	m, notes, failure := r.lookupName(name, keyless)
	if failure != nil {
		return Candidate{}, failure
	}
	current, retired := r.catalog.Current(m)
	notes = append(notes, retired...)
	if note := r.unlistedNote(current); note != "" {
		notes = append(notes, note)
	}
	if provider != "" && current.Provider != provider {
		return Candidate{}, &providers.Error{
			Kind: providers.KindInvalidRequest, Provider: provider, Model: current.ID,
			Message: fmt.Sprintf("%s is not a %s model, and this tool asks only those.", current.ID, r.cfg.VendorTitle(provider)),
			Hint:    "Leave the model out, or name one of that vendor's.",
		}
	}
	if err := r.ready(current.Provider, keyless); err != nil {
		err.Model = current.ID
		return Candidate{}, err
	}
	if current.ID == "" {
		return Candidate{}, r.noModelError(r.cfg.Vendor(current.Provider))
	}
	if err := r.disallowed(current); err != nil {
		return Candidate{}, err
	}
	return Candidate{Model: current, Notes: notes}, nil
}

// missingAbility returns the error of a named model that cannot take what is sent. Functions and length are left to the vendor: the
// caller chose the model, and our knowledge of both is an estimate.
func missingAbility(m providers.Model, n providers.Needs) *providers.Error {
	if n.Images && !m.Images {
		return &providers.Error{
			Kind: providers.KindInvalidRequest, Provider: m.Provider, Model: m.ID,
			Message: fmt.Sprintf("%s cannot see images.", m.ID),
			Hint:    "Leave the model out, so that one that can is chosen, or send the request without images.",
		}
	}
	return nil
}

// automatic chooses where the caller named no model: the conversation's model, then the operator's default, then each
// vendor's configured model of the category, then its other configured model, then any model that will do. Of each
// vendor the first that fits stays. Of those that are chosen by category, a vendor whose last call failed lately comes
// second.
func (r *Registry) automatic(q Query) []Candidate {
	var chosen, lacking []Candidate
	pick := func(name string) {
		c, err := r.named(name, "", q.keyless)
		if err != nil || q.Provider != "" && c.Model.Provider != q.Provider || !fits(c.Model, q.Needs) {
			return
		}
		if slices.ContainsFunc(chosen, func(have Candidate) bool { return have.Model.Provider == c.Model.Provider }) {
			return
		}
		if c.Model.Unavailable {
			other, found := r.substitute(c.Model, q)
			if !found {
				lacking = append(lacking, c)
				return
			}
			c = other
		}
		chosen = append(chosen, c)
	}
	if Named(q.Prefer) {
		pick(q.Prefer)
	}
	replaced := Named(q.Prefer) && len(chosen) == 0
	if Named(r.cfg.Models.Default) {
		pick(r.cfg.Models.Default)
	}
	wanted := len(chosen)
	enough := len(r.Providers())
	if q.Provider != "" || q.keyless {
		enough = 1
	}
	for _, names := range [...]func() []string{
		func() []string { return r.configured(q.Category, q.Provider) },
		func() []string { return r.configured(otherCategory(q.Category), q.Provider) },
		r.others,
	} {
		if len(chosen) < enough {
			for _, name := range names() {
				if !r.ofAnother(name, q.keyless) {
					pick(name)
				}
			}
		}
	}
	place := func(c Candidate) int {
		if r.second(c.Model) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(chosen[wanted:], func(a, b Candidate) int { return place(a) - place(b) })
	if len(chosen) == 0 && len(lacking) > 0 {
		chosen = lacking[:1] // nothing better is known, and a vendor's list may be incomplete
	}
	if replaced && len(chosen) > 0 {
		chosen[0].Notes = append(chosen[0].Notes, fmt.Sprintf("%s, which answered before, cannot take this request; %s answers.", q.Prefer, chosen[0].Model.ID))
	}
	return chosen
}

// ofAnother reports whether a name from GLM's or Kimi's settings, or from the catalogue, means an endpoint's model of the
// same id. Without a name from the caller, an endpoint's model is chosen by that endpoint's settings alone.
func (r *Registry) ofAnother(name string, keyless bool) bool {
	_, _, qualified := r.catalog.endpointOf(name)
	m, _, err := r.lookupName(name, keyless)
	return !qualified && err == nil && r.endpoint(m.Provider)
}

// substitute is the next model of the same vendor that its key has and that fits, for one that it lacks.
func (r *Registry) substitute(lacking providers.Model, q Query) (Candidate, bool) {
	for _, name := range r.others() {
		c, err := r.named(name, lacking.Provider, q.keyless)
		if err == nil && !c.Model.Unavailable && fits(c.Model, q.Needs) {
			c.Notes = append([]string{fmt.Sprintf("%s is not available with this API key; %s answers.", lacking.ID, c.Model.ID)}, c.Notes...)
			return c, true
		}
	}
	return Candidate{}, false
}

// configured lists the vendors' models for a category, in the order in which they are tried. A tool that is bound to
// Kimi has a default of its own.
func (r *Registry) configured(c providers.Category, provider string) []string {
	glm, kimi := r.cfg.GLM, r.cfg.Kimi
	kimiFiles := kimi.QualityModel
	if r.cfg.KimiTools.DefaultModel != "" {
		kimiFiles = r.cfg.KimiTools.DefaultModel
	}
	var speed, quality []string // of the vendors beside these two
	for _, o := range r.cfg.Others {
		speed = append(speed, r.ModelsOf(&o.Vendor, providers.CategoryFast)...)
		quality = append(quality, r.ModelsOf(&o.Vendor, providers.CategoryReasoning)...)
	}
	switch {
	case c == providers.CategoryFiles || provider == "kimi":
		return append([]string{kimiFiles, glm.QualityModel}, quality...)
	case c == providers.CategoryReasoning:
		return append([]string{glm.QualityModel, kimi.QualityModel}, quality...)
	}
	return append([]string{glm.SpeedModel, kimi.SpeedModel}, speed...)
}

// otherCategory is where a model is looked for when the wanted category's cannot take the request.
func otherCategory(c providers.Category) providers.Category {
	if c == providers.CategoryFast {
		return providers.CategoryReasoning
	}
	return providers.CategoryFast
}

// others lists what else may answer: the models that the operator allowed, in that order; then those that are known to be
// served and fit for general work, in the catalogue's order; then those that retire soon; then what only the vendor's own
// list has.
func (r *Registry) others() []string {
	var allowed, active, retiring, learned []string
	for _, v := range r.cfg.Vendors() {
		for _, n := range v.AllowedModels {
			allowed = append(allowed, r.qualified(v, n))
		}
	}
	for _, m := range r.catalog.Models("") {
		switch {
		case r.endpoint(m.Provider): // which may list hundreds, of any price: only those that its settings name are chosen
		case m.Unlisted && m.Thinking.Thinks(): // lists name other models than chat models too, but those don't think

			learned = append(learned, m.ID)
		case !m.Functions || r.catalog.Retired(m):
		case m.Status == providers.StatusActive:
			active = append(active, m.ID)
		case m.Status == providers.StatusRetiring:
			retiring = append(retiring, m.ID)
		}
	}
	return slices.Concat(allowed, active, retiring, learned)
}

// fits reports whether a model that is chosen for the caller can take the request. What is unknown counts as missing.
func fits(m providers.Model, n providers.Needs) bool {
	return (!n.Images || m.Images) && (!n.Functions || m.Functions) && n.Tokens <= m.ContextWindow
}

// noCandidateError is the error of a query for which no model can be chosen.
func (r *Registry) noCandidateError(q Query) *providers.Error {
	if ready := r.Providers(); len(ready) == 0 {
		var keys []string
		for _, v := range r.cfg.Vendors() {
			if err := r.usable(v.Row.Name); err != nil && r.disabled(v.Row.Name) == "" {
				keys = append(keys, v.MissingSettings())
			}
		}
		e := &providers.Error{
			Kind: providers.KindNotConfigured, Message: "No model vendor is configured, so no model can be asked.",
			Hint: "Set " + strings.Join(keys, " or ") + ", or name another vendor in ENDPOINTS (such as openai or ollama), in the " +
				"server's environment or in " + r.cfg.SettingsFile() + ", and restart the server; exai-mcp doctor checks the rest.",
		}
		if len(keys) == 0 {
			e.Hint = "ALLOWED_PROVIDERS and DISABLED_PROVIDERS leave no vendor; change them in the server's environment."
		}
		return e
	}
	if e := r.noModelKnown(); e != nil {
		return e
	}
	var lists []string
	for _, v := range r.cfg.Vendors() {
		lists = append(lists, v.Row.Variable("ALLOWED_MODELS"))
	}
	return &providers.Error{
		Kind: providers.KindInvalidRequest, Provider: q.Provider, Message: "None of the models that may be used can " + needed(q.Needs) + ".",
		Hint: "Check " + strings.Join(lists, " and ") + "; listmodels shows what may be used.",
	}
}

// needed says what a model has to be able to do.
func needed(n providers.Needs) string {
	var what []string
	if n.Images {
		what = append(what, "see images")
	}
	if n.Functions {
		what = append(what, "call functions")
	}
	if n.Tokens > 0 {
		what = append(what, fmt.Sprintf("take %d tokens", n.Tokens))
	}
	if what == nil {
		return "answer this request"
	}
	return strings.Join(what, " and ")
}

// unknown is the error of an unknown name, with the nearest names.
func (r *Registry) unknown(name string) *providers.Error {
	return &providers.Error{
		Kind: providers.KindModelNotFound, Model: name,
		Message: fmt.Sprintf("Unknown model %q.", name),
		Hint:    r.suggest(name),
	}
}

// suggest returns the hint that names similar models.
func (r *Registry) suggest(name string) string {
	var names []string
	for _, m := range r.Models() {
		if !strings.EqualFold(m.ID, name) {
			names = append(names, m.ID)
			names = append(names, m.Aliases...)
		}
	}
	if near := typo.Similar(name, names); len(near) > 0 {
		return "Did you mean " + strings.Join(near, " or ") + "? listmodels shows every name."
	}
	if row, _, ok := r.catalog.endpointOf(name); ok {
		if has := r.some(row.Name); len(has) > 0 {
			return fmt.Sprintf("%s has %s. listmodels shows every name.", row.Title, strings.Join(has, ", "))
		}
	}
	return "listmodels shows every name; leave the model out to have one chosen."
}

// some are the first five models of a vendor that can be asked.
func (r *Registry) some(vendor string) (names []string) {
	for _, m := range r.Models() {
		if m.Provider == vendor && !m.Unlisted && len(names) < 5 {
			names = append(names, m.ID)
		}
	}
	return names
}

// remaining lists the candidates after one that failed. Where the vendor does not have the model, who may answer is
// decided again, since that vendor may have another.
func (g *Generation) remaining(list []Candidate, failed Candidate, e *providers.Error, tried map[string]bool) []Candidate {
	others := func(list []Candidate) []Candidate {
		return slices.DeleteFunc(list, func(c Candidate) bool { return !g.c.reg.mayReplace(failed.Model, c.Model) })
	}
	if e.Kind != providers.KindModelNotFound {
		return others(list)
	}
	list, err := g.c.reg.Resolve(g.call.query())
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(others(list), func(c Candidate) bool {
		return tried[c.Model.ID] || c.Model.Provider != failed.Model.Provider && !g.c.cfg.Calls.FallbackOnFailure
	})
}
