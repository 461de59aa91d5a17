package looks

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// arguments are those of all functions.
type arguments struct {
	Path    string `json:"path"`
	Pattern string `json:"pattern"`
	Glob    string `json:"glob"`
	Commit  string `json:"commit"`
	From    number `json:"from"`
	To      number `json:"to"`
	Depth   number `json:"depth"`
}

// number is an integer that a model may have written as text; 0 for none.
type number int

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	text := strings.Trim(strings.TrimSpace(string(b)), `" `)
	if text == "" || text == "null" {
		*n = 0
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != float64(int(f)) {
		return errors.New("expected an integer, got " + shorten(text, maxAbout))
	}
	*n = number(int(f))
	return nil
}

// parseArguments reads a call's arguments.
func parseArguments(text string) (a arguments, err error) {
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			return a, errors.New("the arguments must be one JSON object")
		case errors.As(err, &kind) && kind.Field != "":
			return a, errors.New(kind.Field + " must not be " + kind.Value)
		case errors.As(err, &kind):
			return a, errors.New("the arguments must be one JSON object")
		}
		return a, err
	}
	return a, nil
}
