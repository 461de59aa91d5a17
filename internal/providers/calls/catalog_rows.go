package calls

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// readModels reads files of rows, each merged on top of those before it.
func readModels(vendors []config.VendorRow, files ...[]byte) (models []providers.Model, err error) {
	rows, order := map[string]row{}, []string(nil)
	for _, text := range files {
		over, ids, err := readRows(text)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if rows[id] == nil {
				rows[id], order = row{}, append(order, id)
			}
			maps.Copy(rows[id], over[id])
		}
	}
	for _, id := range order {
		m, err := rows[id].model(vendors)
		if err != nil {
			return nil, fmt.Errorf("model %q: %w", id, err)
		}
		models = append(models, m)
	}
	return models, nil
}

// row is one model as the file has it, so that a row merged on top of another changes only the fields that it names.
type row map[string]json.RawMessage

// readRows reads a JSON array of rows, or an object that holds one under "models".
func readRows(text []byte) (map[string]row, []string, error) {
	var list []row
	if trimmed := bytes.TrimSpace(text); bytes.HasPrefix(trimmed, []byte("{")) {
		var file struct {
			Models []row `json:"models"`
		}
		if err := json.Unmarshal(text, &file); err != nil {
			return nil, nil, err
		}
		list = file.Models
	} else if err := json.Unmarshal(text, &list); err != nil {
		return nil, nil, err
	}
	rows, order := map[string]row{}, []string(nil)
	for i, r := range list {
		var id string
		if err := json.Unmarshal(r["id"], &id); err != nil || strings.TrimSpace(id) == "" {
			return nil, nil, fmt.Errorf("row %d has no id", i+1)
		}
		if rows[id] == nil {
			order = append(order, id)
		}
		rows[id] = r
	}
	return rows, order, nil
}

// model is the model that the row describes.
func (r row) model(vendors []config.VendorRow) (m providers.Model, err error) {
	text, err := json.Marshal(r)
	if err == nil {
		err = decodeStrictly(text, &m)
	}
	if err == nil {
		err = complete(&m, vendors)
	}
	return m, err
}

func decodeStrictly(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// complete fills in what a row may leave out, and refuses what no row may say.
func complete(m *providers.Model, vendors []config.VendorRow) error {
	if m.Provider == "" {
		m.Provider = vendorOfModel(vendors, m.ID)
	}
	i := slices.IndexFunc(vendors, func(v config.VendorRow) bool { return v.Name == m.Provider })
	if i < 0 {
		var names []string
		for _, v := range vendors {
			names = append(names, strconv.Quote(v.Name))
		}
		return errors.New("provider must be " + strings.Join(names, " or "))
	}
	if v := vendors[i]; v.IsEndpoint() && !v.OwnsModel(m.ID) {
		return fmt.Errorf("the id of an endpoint's model begins with the endpoint: %s/%s", v.Name, m.ID)
	}
	if m.Status == "" {
		m.Status = providers.StatusActive
	}
	for _, day := range []string{m.RetiresOn, m.RetiredOn} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return fmt.Errorf("%q is not a date (YYYY-MM-DD)", day)
		}
	}
	if p := m.Price; p != nil && min(p.Input, p.CachedInput, p.Output) < 0 {
		return fmt.Errorf("price %g: expected USD per million tokens, 0 or more", min(p.Input, p.CachedInput, p.Output))
	}
	return nil
}
