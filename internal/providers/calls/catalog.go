package calls

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

//go:embed models.json
var builtinModels []byte

// unlistedWindow is a cautious guess about a model that the catalogue does not describe: what every chat model of the past two years
// could take. How much it may write stays unknown: a guess would bound what the operator sets and what an answer that
// its cap ended in thought is asked again with.
const unlistedWindow = 131_072

// Catalog is what is known about models: the embedded rows, the operator's rows merged on top, and what vendors'
// model lists added while the program runs. It is safe for concurrent use.
type Catalog struct {
	now     func() time.Time
	vendors []config.VendorRow // whose models these may be

	mu     sync.RWMutex
	models []providers.Model // in the order of the file, additions last
	byName map[string]int    // lower-case id or alias to index
	// refused are the ids that a vendor has answered not to have, whatever its list says.
	refused map[string]bool
	// listed are the vendors whose own list has been read, and learned the models that only it has.
	listed  map[string]bool
	learned map[string]bool
	// noFunctions are the ids of models that were refused for the functions offered to them, whatever a list says.
	noFunctions map[string]bool
}

// NewCatalog reads the embedded rows and merges the rows of a MODELS_FILE on top; file "" means none. A row with a
// known id replaces the fields that it has (null takes one away), another id is a new model. Models belong to these vendors;
// none means those that are built in.
func NewCatalog(file string, vendors ...config.VendorRow) (*Catalog, error) {
	return newCatalog(file, vendors, nil)
}

// newCatalog is NewCatalog with rows that vendors' providers bring along.
func newCatalog(file string, vendors []config.VendorRow, more []providers.Model) (*Catalog, error) {
	if len(vendors) == 0 {
		vendors = config.BuiltInVendors()
	}
	models := slices.Concat(builtin(), more)
	if file == "" {
		return catalogOf(vendors, models)
	}
	over, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("MODELS_FILE: %w", err)
	}
	base, _ := json.Marshal(models) // they are nothing but texts and numbers
	if models, err = readModels(vendors, base, over); err != nil {
		return nil, fmt.Errorf("MODELS_FILE %s: %w", file, err)
	}
	c, err := catalogOf(vendors, models)
	if err != nil {
		return nil, fmt.Errorf("MODELS_FILE %s: %w", file, err)
	}
	return c, nil
}

// builtin are the embedded models. A test holds the file to be readable.
var builtin = sync.OnceValue(func() (models []providers.Model) {
	if err := decodeStrictly(builtinModels, &models); err != nil {
		panic(fmt.Errorf("embedded models: %w", err))
	}
	return models
})

// Prepare reads the embedded models ahead of NewCatalog, so that a starting program can do other things meanwhile.
func Prepare() { builtin() }

// catalogOf makes a catalogue of models.
func catalogOf(vendors []config.VendorRow, models []providers.Model) (*Catalog, error) {
	c := &Catalog{now: time.Now, vendors: vendors, byName: map[string]int{}, refused: map[string]bool{}, listed: map[string]bool{}, learned: map[string]bool{}, noFunctions: map[string]bool{}}
	for _, m := range models {
		if err := c.add(m); err != nil {
			return nil, fmt.Errorf("model %q: %w", m.ID, err)
		}
	}
	return c, nil
}

// add puts a model at the end. A name that another model has already is refused, since a look-up must have one answer.
func (c *Catalog) add(m providers.Model) error {
	for _, name := range append([]string{m.ID}, m.Aliases...) {
		if i, taken := c.byName[strings.ToLower(name)]; taken {
			return fmt.Errorf("the name %q belongs to %s already", name, c.models[i].ID)
		}
		c.byName[strings.ToLower(name)] = len(c.models)
	}
	c.models = append(c.models, m)
	return nil
}

// Models lists every known model, or those of one vendor; "" means all.
func (c *Catalog) Models(provider string) []providers.Model {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if provider == "" {
		return slices.Clone(c.models)
	}
	return modelsOf(c.models, provider)
}

func modelsOf(all []providers.Model, provider string) (of []providers.Model) {
	for _, m := range all {
		if m.Provider == provider {
			of = append(of, m)
		}
	}
	return of
}

// Lookup finds a model by id or alias, in any case. A name with a vendor's prefix that is not in the catalogue is an Unlisted
// model of that vendor; any other unknown name is not found. The suffix by which clients of Z.ai's coding plan ask for
// the long window is not part of a name: the API refuses it.
func (c *Catalog) Lookup(name string) (providers.Model, bool) {
	name = strings.TrimSuffix(strings.TrimSpace(name), "[1m]")
	c.mu.RLock()
	defer c.mu.RUnlock()
	if row, rest, ok := c.endpointOf(name); ok {
		return c.atEndpointLocked(row, rest), true
	}
	if i, ok := c.byName[strings.ToLower(name)]; ok {
		return c.models[i], true
	}
	if owners := c.ownersLocked(name); len(owners) > 0 {
		return owners[0], true
	}
	if vendor := vendorOfModel(c.vendors, name); vendor != "" {
		return unlisted(vendor, name), true
	}
	return providers.Model{}, false
}

// vendorOfModel is the vendor whose prefix a model's name carries, "" for none.
func vendorOfModel(vendors []config.VendorRow, name string) string {
	for _, v := range vendors {
		if v.OwnsModel(name) {
			return v.Name
		}
	}
	return ""
}

func unlisted(provider, id string) providers.Model {
	return providers.Model{
		ID: id, Provider: provider, Status: providers.StatusUnverified, Unlisted: true,
		ContextWindow: unlistedWindow,
	}
}

// Learn takes what a vendor's own model list says. An id that the catalogue lacks becomes an Unlisted model with what the
// list says about it; known rows keep their facts, since lists say less than the catalogue. A known model that the list
// lacks is marked Unavailable; an empty list (a vendor without one) says nothing.
func (c *Catalog) Learn(provider string, listed []providers.Model) {
	if len(listed) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listed[provider] = true
	seen := map[int]bool{}
	for _, l := range listed {
		if l.ID == "" {
			continue
		}
		if i, known := c.byName[strings.ToLower(l.ID)]; known {
			seen[i] = true
			c.relearnLocked(&c.models[i], l)
			continue
		}
		m := unlisted(provider, l.ID)
		if c.endpointLocked(provider) {
			m.Unlisted, m.Status, m.JSONObject, m.Price = false, providers.StatusActive, l.JSONObject, l.Price
			m.Local, m.Loaded = l.Local, l.Loaded
			c.learned[m.ID] = true
		}
		m.ContextWindow, m.MaxOutput = cmp.Or(l.ContextWindow, unlistedWindow), l.MaxOutput
		m.Images, m.Functions, m.Thinking = l.Images, l.Functions && !c.noFunctions[l.ID], l.Thinking
		seen[len(c.models)] = true
		_ = c.add(m) // the name is free: it was looked up under this lock
	}
	for i := range c.models {
		if m := &c.models[i]; m.Provider == provider {
			m.Unavailable = !seen[i] || c.refused[m.ID] && !m.Local // on this machine it may have been loaded since
		}
	}
}

// MarkRefused marks a model that the vendor has just answered not to have.
func (c *Catalog) MarkRefused(m providers.Model) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[m.ID] = true
	if i, known := c.byName[strings.ToLower(m.ID)]; known {
		c.models[i].Unavailable = true
	}
}

// MarkServed takes the marks from a model that has just answered.
func (c *Catalog) MarkServed(m providers.Model) {
	c.mu.RLock()
	i, known := c.byName[strings.ToLower(m.ID)]
	marked := known && c.models[i].Unavailable
	c.mu.RUnlock()
	if marked {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.refused, m.ID)
		c.models[i].Unavailable = false
	}
}

// Retired reports whether a model is gone today.
func (c *Catalog) Retired(m providers.Model) bool {
	return m.Status == providers.StatusRetired || c.past(m.RetiredOn) || c.past(m.RetiresOn)
}

func (c *Catalog) past(day string) bool {
	t, err := time.Parse(time.DateOnly, day)
	return err == nil && !c.now().UTC().Before(t)
}

// Current follows a retired model to the one that replaces it today, with a note that says so; a model that retires
// soon gets a note too. A retired model without a replacement stays what it is.
func (c *Catalog) Current(m providers.Model) (providers.Model, []string) {
	var notes []string
	for seen := []string{m.ID}; c.Retired(m) && m.Replacement != ""; seen = append(seen, m.ID) {
		next, ok := c.Lookup(m.Replacement)
		if !ok || slices.Contains(seen, next.ID) { // a chain in a MODELS_FILE may be a ring
			break
		}
		notes = append(notes, retiredNote(m, next))
		m = next
	}
	if note := c.retiring(m); note != "" {
		notes = append(notes, note)
	}
	return m, notes
}

func retiredNote(from, to providers.Model) string {
	day := cmp.Or(from.RetiredOn, from.RetiresOn)
	if day == "" {
		return fmt.Sprintf("%s is retired; %s answers in its place.", from.ID, to.ID)
	}
	return fmt.Sprintf("%s was retired on %s; %s answers in its place.", from.ID, day, to.ID)
}

// retiring is the note about a model whose end is near, "" when it is not.
func (c *Catalog) retiring(m providers.Model) string {
	end, err := time.Parse(time.DateOnly, m.RetiresOn)
	if err != nil || c.Retired(m) || end.Sub(c.now()) > providers.RetirementNotice {
		return ""
	}
	note := fmt.Sprintf("%s retires on %s", m.ID, m.RetiresOn)
	if m.Replacement != "" {
		note += "; use " + m.Replacement + " instead"
	}
	return note + "."
}

// Retiring lists the models that end within RetirementNotice from today.
func (c *Catalog) Retiring() []providers.Model {
	var soon []providers.Model
	for _, m := range c.Models("") {
		if c.retiring(m) != "" {
			soon = append(soon, m)
		}
	}
	return soon
}

// BuiltinModels lists the embedded rows of one vendor, for its provider's Models.
func BuiltinModels(provider string) []providers.Model { return modelsOf(builtin(), provider) }
