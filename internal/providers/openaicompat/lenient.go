package openaicompat

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// text is a string as vendors and gateways write it: a string, null, a number, or the list of text parts that some send
// for content. What is none of these is "".
type text string

// UnmarshalJSON implements json.Unmarshaler. It never fails, so that one odd field does not lose an answer.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	switch {
	case len(b) == 0:
	case b[0] == '"':
		var s string
		if json.Unmarshal(b, &s) == nil {
			*t = text(s)
		}
	case b[0] == '[':
		var parts []struct {
			Text text `json:"text"`
		}
		if json.Unmarshal(b, &parts) == nil {
			for _, p := range parts {
				*t += p.Text
			}
		}
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		*t = text(b)
	}
	return nil
}

// Text is JSON written as a string or in place: tool arguments, a formula's output.
type Text string

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil { // also null
		*t = Text(s)
		return nil
	}
	var compact bytes.Buffer
	if json.Compact(&compact, b) == nil {
		*t = Text(compact.String())
	}
	return nil
}

// count is a number of tokens, bytes or places: 5, 5.0 and "5" are five, nonsense and negative numbers are 0.
type count int

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (n *count) UnmarshalJSON(b []byte) error {
	*n = 0
	f, err := strconv.ParseFloat(string(bytes.Trim(b, `"`)), 64)
	if err == nil && f > 0 && f <= math.MaxInt32 {
		*n = count(f)
	}
	return nil
}

// Amount is an amount of money: a number, also one in quotes; what is none is 0.
type Amount float64

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (a *Amount) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(bytes.Trim(b, `"`)), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	*a = Amount(f)
	return nil
}

// flag is yes or no: true, 1 and "true" are yes, everything else is no.
type flag bool

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (f *flag) UnmarshalJSON(b []byte) error {
	yes, err := strconv.ParseBool(string(bytes.Trim(b, `"`)))
	*f = flag(yes && err == nil)
	return nil
}

// code is an error code, whatever its type: "1302", 1302 and 1302.0 are "1302"; null and other kinds are "".
func code(raw json.RawMessage) string {
	var s text
	_ = s.UnmarshalJSON(bytes.TrimSpace(raw))
	return strings.TrimSuffix(string(s), ".0")
}

// arguments is a tool call's arguments as the wire wants them back: never empty.
func arguments(s string) string {
	if strings.TrimSpace(s) == "" {
		return "{}"
	}
	return s
}
