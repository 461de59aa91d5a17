package calls

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// failureWindow is how long a vendor whose last call failed is tried second.
const failureWindow = time.Minute

// Registry holds the vendors that are configured and knows which models of theirs may be used. It owns the providers:
// Close closes those that can be closed. It is safe for concurrent use.
type Registry struct {
	cfg       *config.Config
	catalog   *Catalog
	providers []providers.Provider
	now       func() time.Time

	mu           sync.Mutex
	listFailures map[string]string    // endpoint to why its list of models could not be read
	failed       map[string]time.Time // provider to when its last call failed; absent when it went well
}

// NewRegistry takes the vendors' providers, whether their key is set or not (a provider without one can still show what
// it would send), and reads the catalogue. It fails on a bad MODELS_FILE, an unknown name in a restriction, and a
// provider that the configuration knows nothing about.
func NewRegistry(cfg *config.Config, list ...providers.Provider) (*Registry, error) {
	var brought []providers.Model
	for _, p := range list {
		if v := cfg.Vendor(p.Name()); v != nil && v.Row.IsEndpoint() {
			brought = append(brought, p.Models()...)
		}
	}
	catalog, err := newCatalog(cfg.Models.File, cfg.VendorRows(), brought)
	if err != nil {
		return nil, err
	}
	r := &Registry{cfg: cfg, catalog: catalog, now: time.Now, failed: map[string]time.Time{}, listFailures: map[string]string{}}
	for _, v := range cfg.Vendors() { // in the order in which "auto" tries them
		for _, p := range list {
			if p.Name() == v.Row.Name {
				r.providers = append(r.providers, p)
			}
		}
	}
	if len(r.providers) != len(list) {
		return nil, errors.New("a provider has a name that no configuration belongs to")
	}
	for _, p := range r.providers {
		for _, m := range p.Models() {
			if _, known := catalog.byName[strings.ToLower(m.ID)]; !known {
				if err := catalog.add(m); err != nil {
					return nil, fmt.Errorf("models of %s: %w", p.Name(), err)
				}
			}
		}
	}
	return r, r.checkNames()
}

// vendorNames are the short names of all vendors, "glm or kimi".
func (r *Registry) vendorNames(conjunction string) string {
	var names []string
	for _, v := range r.cfg.Vendors() {
		names = append(names, v.Row.Name)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + conjunction + names[last]
}

// checkNames refuses names of vendors and models that mean nothing: typing errors that would go unseen.
func (r *Registry) checkNames() error {
	for variable, names := range map[string][]string{
		"ALLOWED_PROVIDERS": r.cfg.Models.AllowedProviders, "DISABLED_PROVIDERS": r.cfg.Models.DisabledProviders,
	} {
		for _, n := range names {
			if r.cfg.Vendor(strings.ToLower(strings.TrimSpace(n))) == nil {
				return fmt.Errorf("%s=%s: accepted are %s", variable, n, r.vendorNames(" and "))
			}
		}
	}
	if n := r.cfg.Models.Default; Named(n) {
		if _, ok := r.catalog.Lookup(n); !ok && r.bareName(n) == nil {
			form := ""
			if named := r.cfg.Models.Endpoints; len(named) > 0 { // whose lists have not been read
				form = fmt.Sprintf(", an endpoint's as %s/%s", named[0], n)
			}
			return fmt.Errorf("DEFAULT_MODEL=%s: accepted are auto and a model's name%s. %s", n, form, r.suggest(n))
		}
	}
	for _, v := range r.cfg.Vendors() {
		if v.Row.IsEndpoint() {
			continue // whose models are its own list's, which is not known yet
		}
		named := map[string][]string{
			v.Row.Variable("ALLOWED_MODELS"): v.AllowedModels,
			v.Row.Variable("SPEED_MODEL"):    {v.SpeedModel}, v.Row.Variable("QUALITY_MODEL"): {v.QualityModel},
		}
		for variable, names := range named {
			for _, n := range names {
				if m, ok := r.catalog.Lookup(n); n != "" && (!ok || m.Provider != v.Row.Name) {
					return fmt.Errorf("%s=%s: not a %s model", variable, n, v.Row.Title)
				}
			}
		}
	}
	return nil
}

// Catalog is what is known about models, restrictions aside.
func (r *Registry) Catalog() *Catalog { return r.catalog }

// Models lists the models that may be asked: of configured vendors, within the restrictions, not retired.
func (r *Registry) Models() []providers.Model {
	var usable []providers.Model
	for _, m := range r.catalog.Models("") {
		if !r.catalog.Retired(m) && r.disallowed(m) == nil && r.usable(m.Provider) == nil {
			usable = append(usable, m)
		}
	}
	return usable
}

// Provider gives a configured vendor by name, for its own abilities; the error is an *Error that names the variables
// to set.
func (r *Registry) Provider(name string) (providers.Provider, error) {
	if err := r.usable(name); err != nil {
		return nil, err
	}
	return r.lookup(name), nil
}

// Providers lists the vendors that can be called, in the order in which "auto" tries them.
func (r *Registry) Providers() []providers.Provider {
	var ready []providers.Provider
	for _, p := range r.providers {
		if r.usable(p.Name()) == nil {
			ready = append(ready, p)
		}
	}
	return ready
}

// lookup gives a provider whether its key is set or not, nil when there is none.
func (r *Registry) lookup(name string) providers.Provider {
	for _, p := range r.providers {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// usable returns the error of a vendor that cannot be called, nil when it can.
func (r *Registry) usable(name string) *providers.Error { return r.ready(name, false) }

// ready is usable, but a missing key doesn't matter when keyless.
func (r *Registry) ready(name string, keyless bool) *providers.Error {
	v := r.cfg.Vendor(name)
	if v == nil {
		return &providers.Error{
			Kind: providers.KindInvalidRequest, Message: fmt.Sprintf("Unknown provider %q.", name), Hint: "Use " + r.vendorNames(" or ") + ".",
		}
	}
	if variable := r.disabled(name); variable != "" {
		return &providers.Error{
			Kind: providers.KindNotConfigured, Provider: name,
			Message: fmt.Sprintf("%s is switched off by %s.", v.Row.Title, variable),
			Hint:    fmt.Sprintf("Change %s in the server's environment, or name a model of another vendor.", variable),
		}
	}
	if v.Unusable != "" {
		return &providers.Error{
			Kind: providers.KindNotConfigured, Provider: name,
			Message: fmt.Sprintf("%s can't be used: %s.", v.Row.Title, v.Unusable),
			Hint:    fmt.Sprintf("Set %s in the server's environment and restart it.", v.Row.Variable("API_URL")),
		}
	}
	if r.lookup(name) == nil || !v.Configured() && !keyless {
		return &providers.Error{
			Kind: providers.KindNotConfigured, Provider: name,
			Message: fmt.Sprintf("No API key for %s is set.", v.Row.Title),
			Hint:    fmt.Sprintf("Set %s in the server's environment or in %s, and restart the server.", v.MissingSettings(), r.cfg.SettingsFile()),
		}
	}
	return nil
}

// disabled names the variable that switches a vendor off, "" when none does.
func (r *Registry) disabled(name string) string {
	is := func(n string) bool { return strings.EqualFold(strings.TrimSpace(n), name) }
	if slices.ContainsFunc(r.cfg.Models.DisabledProviders, is) {
		return "DISABLED_PROVIDERS"
	}
	if allowed := r.cfg.Models.AllowedProviders; len(allowed) > 0 && !slices.ContainsFunc(allowed, is) {
		return "ALLOWED_PROVIDERS"
	}
	return ""
}

// disallowed returns the error of a model that may not be used although its vendor may, nil when it may. A list may name a model by an
// alias, or by a retired name whose replacement then counts as named.
func (r *Registry) disallowed(m providers.Model) *providers.Error {
	v := r.cfg.Vendor(m.Provider)
	if v == nil || len(v.AllowedModels) == 0 {
		return nil
	}
	var ids []string
	for _, n := range v.AllowedModels {
		if named, ok := r.catalog.Lookup(r.qualified(v, n)); ok {
			current, _ := r.catalog.Current(named)
			if m.ID == named.ID || m.ID == current.ID {
				return nil
			}
			if !slices.Contains(ids, current.ID) {
				ids = append(ids, current.ID)
			}
		}
	}
	variable := v.Row.Variable("ALLOWED_MODELS")
	return &providers.Error{
		Kind: providers.KindModelNotFound, Provider: v.Row.Name, Model: m.ID,
		Message: fmt.Sprintf("%s is not among the models that %s allows.", m.ID, variable),
		Hint:    fmt.Sprintf("Name one of %s, or leave the model out.", strings.Join(ids, ", ")),
	}
}

// recordResult remembers how a vendor's last call went; err nil means well. Failures that are the request's own fault say
// nothing about the vendor, and a refused model only about the model.
func (r *Registry) recordResult(m providers.Model, err *providers.Error) {
	switch {
	case err == nil:
		r.catalog.MarkServed(m)
	case err.Kind == providers.KindModelNotFound:
		r.catalog.MarkRefused(m)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.failed, m.Provider)
		return
	}
	switch err.Kind {
	case providers.KindInvalidRequest, providers.KindContextLength, providers.KindContentFiltered, providers.KindModelNotFound,
		providers.KindTooLarge, providers.KindCancelled:
	default:
		r.failed[m.Provider] = r.now()
	}
}

// failedRecently reports whether a vendor's last call failed within the past minute.
func (r *Registry) failedRecently(provider string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.failed[provider]
	return ok && r.now().Sub(at) < failureWindow
}

// Close closes the providers that can be closed, with their transports.
func (r *Registry) Close() error {
	var errs []error
	for _, p := range r.providers {
		switch c := p.(type) {
		case io.Closer:
			errs = append(errs, c.Close())
		case interface{ Close() }:
			c.Close()
		}
	}
	return errors.Join(errs...)
}
