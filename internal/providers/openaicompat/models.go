package openaicompat

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// ListedModel is what a vendor's list says of a model: its id, and from Moonshot its window and abilities (Moonshot API
// docs, models).
type ListedModel struct {
	ID        string
	Window    int // tokens; 0 when it is not told
	Images    bool
	Reasoning bool
}

// UnmarshalJSON implements json.Unmarshaler. A model may be a mere id, and a field may be of an odd type; what is no model
// has no ID.
func (m *ListedModel) UnmarshalJSON(b []byte) error {
	var id text
	if _ = id.UnmarshalJSON(b); id != "" {
		*m = ListedModel{ID: string(id)}
		return nil
	}
	var fields struct {
		ID        text  `json:"id"`
		Window    count `json:"context_length"`
		Images    flag  `json:"supports_image_in"`
		Reasoning flag  `json:"supports_reasoning"`
	}
	_ = json.Unmarshal(b, &fields)
	*m = ListedModel{string(fields.ID), int(fields.Window), bool(fields.Images), bool(fields.Reasoning)}
	return nil
}

// Models asks for the models that the key may use, by GET /models. A vendor without that endpoint lists none.
func (c *Client) Models(ctx context.Context) ([]ListedModel, error) {
	r := Request{Op: "the model list", Method: http.MethodGet, Path: "/models"}
	body, err := c.Do(ctx, r)
	if IsStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list struct {
		Data   []ListedModel `json:"data"`
		Models []ListedModel `json:"models"`
	}
	if json.Unmarshal(body, &list.Data) != nil { // not a bare list, as some gateways send it
		list.Data = nil
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, c.decodeFailure(r, body, err)
		}
	}
	var named []ListedModel
	for _, m := range append(list.Data, list.Models...) {
		if m.ID != "" {
			named = append(named, m)
		}
	}
	return named, nil
}

// decodeFailure is the error of an answer that is not what its API documents.
func (c *Client) decodeFailure(r Request, body []byte, err error) error {
	return c.failure(offline(http.StatusOK), ask{r.Op, r.Model}, &quoted{fmt.Errorf("%w: %w", errUnreadable, err), string(body)})
}
