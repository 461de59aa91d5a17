package calls

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// endpointOf is the endpoint that a model's name begins with, and what the endpoint itself calls the model.
func (c *Catalog) endpointOf(name string) (row config.VendorRow, rest string, ok bool) {
	before, after, _ := strings.Cut(name, "/")
	for _, v := range c.vendors {
		if after != "" && v.IsEndpoint() && strings.EqualFold(v.Name, before) {
			return v, after, true
		}
	}
	return config.VendorRow{}, "", false
}

// endpointLocked reports whether a vendor is an endpoint of ENDPOINTS.
func (c *Catalog) endpointLocked(vendor string) bool {
	return slices.ContainsFunc(c.vendors, func(v config.VendorRow) bool { return v.Name == vendor && v.IsEndpoint() })
}

// atEndpointLocked is an endpoint's model: as named, else one that the endpoint lists under its own name before it
// ("openrouter/auto" at openrouter), else with Ollama's tag for none, else by the last part of its path where one model alone has
// that. Any other name goes to the endpoint as it is.
func (c *Catalog) atEndpointLocked(row config.VendorRow, rest string) providers.Model {
	id := row.Name + "/" + rest
	for _, name := range []string{id, row.Name + "/" + id, id + ":latest"} {
		if i, ok := c.byName[strings.ToLower(name)]; ok {
			return c.models[i]
		}
	}
	var same []int
	for i, m := range c.models {
		if m.Provider == row.Name && strings.EqualFold(m.ID[strings.LastIndexByte(m.ID, '/')+1:], rest) {
			same = append(same, i)
		}
	}
	if len(same) == 1 {
		return c.models[same[0]]
	}
	m := providers.GuessedModel(row, rest)
	m.Functions = m.Functions && !c.noFunctions[id]
	m.ID, m.Provider, m.Status, m.Unlisted, m.ContextWindow = id, row.Name, providers.StatusUnverified, true, unlistedWindow
	if m.Local {
		m.Price = &providers.Price{}
	}
	return m
}

// ownersLocked are the endpoints' models with this id, in the order of the vendors.
func (c *Catalog) ownersLocked(id string) (owners []providers.Model) {
	for _, v := range c.vendors {
		if i, ok := c.byName[strings.ToLower(v.Name+"/"+id)]; ok && v.IsEndpoint() {
			owners = append(owners, c.models[i])
		}
	}
	return owners
}

// owners are the models that a name without an endpoint before it is the exact id or alias of, in the order of the vendors.
func (c *Catalog) owners(name string) (owners []providers.Model) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if i, ok := c.byName[strings.ToLower(name)]; ok {
		owners = append(owners, c.models[i])
	}
	return append(owners, c.ownersLocked(name)...)
}

// Listed reports whether a vendor's own list of models has been read.
func (c *Catalog) Listed(vendor string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.listed[vendor]
}

// relearnLocked takes what an endpoint's list says now about a model that is known: all of it where nothing else is, else what the row
// leaves open, and what changes while a local server runs.
func (c *Catalog) relearnLocked(m *providers.Model, l providers.Model) {
	if !c.endpointLocked(m.Provider) {
		return
	}
	if c.learned[m.ID] {
		m.Images, m.Functions, m.Thinking, m.JSONObject, m.Price = l.Images, l.Functions, l.Thinking, l.JSONObject, l.Price
		m.MaxOutput, m.ContextWindow = l.MaxOutput, cmp.Or(l.ContextWindow, unlistedWindow)
	} else {
		m.ID = l.ID // a row may have been written in another case than the server's
	}
	m.Functions = m.Functions && !c.noFunctions[m.ID]
	m.Local, m.Loaded = l.Local, l.Loaded
	m.ContextWindow, m.MaxOutput = cmp.Or(m.ContextWindow, l.ContextWindow), cmp.Or(m.MaxOutput, l.MaxOutput)
	if m.Price == nil {
		m.Price = l.Price
	}
}

// MarkNoFunctions marks a model that has just been refused for the functions that were offered to it.
func (c *Catalog) MarkNoFunctions(m providers.Model) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, known := c.byName[strings.ToLower(m.ID)]; known {
		c.models[i].Functions = false
	}
	c.noFunctions[m.ID] = true
}

// endpoint reports whether a vendor is an endpoint of ENDPOINTS.
func (r *Registry) endpoint(name string) bool {
	v := r.cfg.Vendor(name)
	return v != nil && v.Row.IsEndpoint()
}

// qualified is the name of a vendor's model as calls name it: with the endpoint's before it.
func (r *Registry) qualified(v *config.Vendor, name string) string {
	if !v.Row.IsEndpoint() || name == "" || strings.HasPrefix(strings.ToLower(name), v.Row.Name+"/") {
		return name
	}
	return v.Row.Name + "/" + name
}

// lookupName is the model that a name means, with what the reply should say about that. A model without an ID is an endpoint's of
// which none is known.
func (r *Registry) lookupName(name string, keyless bool) (m providers.Model, notes []string, failure *providers.Error) {
	name = strings.TrimSpace(name)
	if _, _, ok := r.catalog.endpointOf(name); !ok {
		owners := r.catalog.owners(strings.TrimSuffix(name, "[1m]"))
		if len(owners) > 0 {
			i := max(0, slices.IndexFunc(owners, func(m providers.Model) bool { return r.ready(m.Provider, keyless) == nil }))
			owners[0], owners[i] = owners[i], owners[0]
			return owners[0], r.ownerNotes(name, owners), nil
		}
		if v := r.bareName(name); v != nil {
			return r.lookupVendorName(v, name)
		}
	}
	m, known := r.catalog.Lookup(name)
	if !known {
		return m, nil, r.unknown(name)
	}
	if !strings.EqualFold(name, m.ID) {
		notes = append(notes, fmt.Sprintf("%s is an alias of %s.", name, m.ID))
	}
	return m, notes, nil
}

// ownerNotes say what a name was taken for, and who else has a model of that name.
func (r *Registry) ownerNotes(name string, owners []providers.Model) (notes []string) {
	if !strings.EqualFold(name, owners[0].ID) {
		notes = append(notes, fmt.Sprintf("%s is an alias of %s.", name, owners[0].ID))
	}
	var others []string
	for _, m := range owners[1:] {
		if r.ready(m.Provider, false) == nil {
			others = append(others, m.ID)
		}
	}
	if len(others) > 0 {
		notes = append(notes, fmt.Sprintf("%s answers; name %s to ask the other vendor of %s.", owners[0].ID, strings.Join(others, " or "), name))
	}
	return notes
}

// bareName is the vendor whose quality model a name means: "glm", "zai", "ollama"; nil if there is none.
func (r *Registry) bareName(name string) *config.Vendor {
	name = strings.ToLower(strings.TrimSpace(name))
	for _, v := range r.cfg.Vendors() {
		if v.Row.Name == name || slices.Contains(v.Row.Aliases, name) {
			return v
		}
	}
	return nil
}

// lookupVendorName is a vendor's quality model or, where that may not be used, the first that is allowed.
func (r *Registry) lookupVendorName(v *config.Vendor, name string) (providers.Model, []string, *providers.Error) {
	ids := r.ModelsOf(v, providers.CategoryReasoning)
	for _, allowed := range v.AllowedModels {
		ids = append(ids, r.qualified(v, allowed))
	}
	for _, id := range ids {
		if m, ok := r.catalog.Lookup(id); ok && r.disallowed(m) == nil {
			return m, []string{fmt.Sprintf("%s means %s here.", name, m.ID)}, nil
		}
	}
	return providers.Model{Provider: v.Row.Name}, nil, nil
}

// ModelsOf lists a vendor's models for a category, the best first: the one that its settings name; of an endpoint without one, the
// preset's as far as its list has them or, where there is no preset, the loaded ones, else the only one.
func (r *Registry) ModelsOf(v *config.Vendor, c providers.Category) []string {
	name := v.QualityModel
	if c == providers.CategoryFast {
		name = v.SpeedModel
	}
	if name != "" || !v.Row.IsEndpoint() {
		return []string{r.qualified(v, name)}
	}
	preset := v.Row.Endpoint.Quality
	if c == providers.CategoryFast {
		preset = v.Row.Endpoint.Speed
	}
	listed := r.catalog.Listed(v.Row.Name)
	var names []string
	for _, id := range preset { // an id may begin with the endpoint's own name, "openrouter/auto"
		m, known := r.catalog.Lookup(v.Row.Name + "/" + id)
		if !listed || known && !m.Unlisted && !m.Unavailable {
			names = append(names, v.Row.Name+"/"+id)
		}
	}
	if preset != nil {
		return names
	}
	var loaded, all []string
	for _, m := range r.catalog.Models(v.Row.Name) {
		if m.Unavailable || r.disallowed(m) != nil {
			continue
		}
		all = append(all, m.ID)
		if m.Loaded {
			loaded = append(loaded, m.ID)
		}
	}
	if len(loaded) == 0 && len(all) == 1 {
		return all
	}
	return loaded
}

// noModelError is the error of an endpoint of which no model is known that could be chosen.
func (r *Registry) noModelError(v *config.Vendor) *providers.Error {
	variable := v.Row.Variable("MODEL")
	e := &providers.Error{
		Kind: providers.KindNotConfigured, Provider: v.Row.Name,
		Message: fmt.Sprintf("Which model of %s to ask is not known: %s is not set, and its list of models has not been read.", v.Row.Title, variable),
		Hint:    fmt.Sprintf("Set %s in the server's environment, or name a model as %s/model.", variable, v.Row.Name),
	}
	if failed := r.listFailure(v.Row.Name); failed != "" {
		e.Message = fmt.Sprintf("Which model of %s to ask is not known: %s is not set, and its list of models could not be read. %s", v.Row.Title, variable, failed)
	}
	if !r.catalog.Listed(v.Row.Name) {
		return e
	}
	var names []string
	for _, m := range r.catalog.Models(v.Row.Name) {
		if !m.Unavailable && len(names) < 5 {
			names = append(names, strings.TrimPrefix(m.ID, v.Row.Name+"/"))
		}
	}
	e.Message = fmt.Sprintf("Which model of %s to ask is not known: %s is not set, and none of its models is loaded, the only one, or one of the preset's.", v.Row.Title, variable)
	if len(names) > 0 {
		e.Hint += " It has " + strings.Join(names, ", ") + "."
	}
	return e
}

// keepAtEndpoint keeps what is meant for an endpoint from going elsewhere: at the one that DEFAULT_MODEL names, whatever it
// can do; at a local one whose model answered in the conversation; and at a local one that comes first and of which it is not
// known which model to ask, since its server is down or has unloaded it. Whoever asks can still name another model.
func (r *Registry) keepAtEndpoint(q Query, list []Candidate) ([]Candidate, *providers.Error) {
	first := list[0].Model
	if q.Provider != "" {
		return list, nil
	}
	if Named(q.Prefer) {
		m, _, err := r.lookupName(q.Prefer, q.keyless)
		m, _ = r.catalog.Current(m)
		switch {
		case err == nil && m.ID == first.ID:
			return list, nil
		case err == nil && m.Local && !first.Local:
			return nil, &providers.Error{
				Kind: providers.KindInvalidRequest, Provider: m.Provider, Model: m.ID,
				Message: fmt.Sprintf("%s, which answered before, is not there or can't %s, and no other model of this machine can go on.", m.ID, needed(q.Needs)),
				Hint:    "Name the model that this conversation should be sent to.",
			}
		}
	}
	if Named(r.cfg.Models.Default) {
		m, _, err := r.lookupName(r.cfg.Models.Default, q.keyless)
		asked := err == nil && r.endpoint(m.Provider) && r.ready(m.Provider, q.keyless) == nil
		switch {
		case !asked || m.Provider == first.Provider:
			return list, nil
		case m.ID == "":
			return nil, r.noModelError(r.cfg.Vendor(m.Provider))
		}
		q.Provider = m.Provider
		if list = r.automatic(q); len(list) == 0 {
			return nil, &providers.Error{
				Kind: providers.KindInvalidRequest, Provider: m.Provider, Model: m.ID,
				Message: fmt.Sprintf("No model of %s, which DEFAULT_MODEL names, can %s.", r.cfg.VendorTitle(m.Provider), needed(q.Needs)),
				Hint:    "Send less, or name a model of another vendor.",
			}
		}
		return list, nil
	}
	for _, v := range r.cfg.Vendors() {
		switch {
		case first.Local || v.Row.Name == first.Provider:
			return list, nil
		case v.Local() && r.usable(v.Row.Name) == nil && len(r.ModelsOf(v, providers.CategoryReasoning))+len(v.AllowedModels) == 0:
			return nil, r.noModelError(v)
		}
	}
	return list, nil
}

// noModelKnown is the error where endpoints are all that is configured, and no model of theirs is known; else nil.
func (r *Registry) noModelKnown() *providers.Error {
	for _, p := range r.Providers() {
		v := r.cfg.Vendor(p.Name())
		if !v.Row.IsEndpoint() || len(r.ModelsOf(v, providers.CategoryReasoning)) > 0 {
			return nil
		}
	}
	for _, p := range r.Providers() {
		return r.noModelError(r.cfg.Vendor(p.Name()))
	}
	return nil
}

// unlistedNote is what a reply says about a model that nobody lists, "" where there is nothing to say.
func (r *Registry) unlistedNote(m providers.Model) string {
	switch {
	case !m.Unlisted:
		return ""
	case !r.endpoint(m.Provider):
		return fmt.Sprintf("%s is not in the catalogue: what it can do is guessed cautiously.", m.ID)
	case r.catalog.Listed(m.Provider):
		return fmt.Sprintf("%s's list of models does not have %s.", r.cfg.VendorTitle(m.Provider), m.ID)
	}
	return ""
}

// second reports whether a model's vendor is tried second, since its last call failed. A local one is not: a remote vendor does
// not get what was meant for this machine because of a failure.
func (r *Registry) second(m providers.Model) bool { return !m.Local && r.failedRecently(m.Provider) }

// mayReplace reports whether one model may answer in place of another that failed: never a remote one for a local one, and
// none for an endpoint that DEFAULT_MODEL names.
func (r *Registry) mayReplace(failed, other providers.Model) bool {
	return failed.Provider == other.Provider || (other.Local || !failed.Local) && !r.isDefault(failed.Provider)
}

// isDefault reports whether DEFAULT_MODEL names an endpoint, or a model that is asked there.
func (r *Registry) isDefault(endpoint string) bool {
	n := r.cfg.Models.Default
	m, _, _ := r.lookupName(n, false)
	return Named(n) && m.Provider == endpoint && r.endpoint(endpoint)
}

// setListFailure remembers why a vendor's list could not be read; nil forgets it.
func (r *Registry) setListFailure(vendor string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.listFailures, vendor)
	if e := asError(err); e != nil {
		r.listFailures[vendor] = e.Message
	}
}

func (r *Registry) listFailure(vendor string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listFailures[vendor]
}
