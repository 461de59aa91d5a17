package openaicompat

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// OpChat is the operation of a chat completion in a Fault and in an error's sentence.
const OpChat = "chat"

// parseFault takes a body apart and reports whether it reports an error: OpenAI's {"error":{...}}, with the error as an
// object or as a mere string, or the flat {"code":401,"msg":"..."} of some gateways and of Z.ai. failed says that the
// HTTP status already told of a failure; otherwise a flat body counts only when its code is no success.
func parseFault(body []byte, failed bool) (Fault, bool) {
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte("<")) {
		return Fault{HTML: true}, true
	}
	if list := []json.RawMessage(nil); bytes.HasPrefix(body, []byte("[")) && json.Unmarshal(body, &list) == nil && len(list) > 0 {
		body = list[0] // Gemini's errors are an array of one
	}
	var b struct {
		Error   json.RawMessage `json:"error"`
		Code    json.RawMessage `json:"code"`
		Msg     text            `json:"msg"`
		Message Text            `json:"message"` // Mistral's may be an object or a list
		Detail  Text            `json:"detail"`  // FastAPI's: a text, or a list of objects
		Type    text            `json:"type"`
		Param   text            `json:"param"`
		Request text            `json:"request_id"`
		Choices json.RawMessage `json:"choices"`
		Base    struct {        // MiniMax's, under HTTP 200
			Code    json.RawMessage `json:"status_code"`
			Message text            `json:"status_msg"`
		} `json:"base_resp"`
	}
	if json.Unmarshal(body, &b) != nil {
		return Fault{Message: string(body)}, failed
	}
	if f, ok := faultObject(b.Error); ok {
		f.RequestID, f.Code = string(b.Request), cmp.Or(f.Code, code(b.Code))
		return f, true
	}
	if c := code(b.Base.Code); c != "" && c != "0" {
		return Fault{Code: c, Message: string(b.Base.Message), RequestID: string(b.Request)}, true
	}
	f := Fault{
		RequestID: string(b.Request),
		Code:      code(b.Code), Type: string(b.Type), Param: string(b.Param),
		Message: cmp.Or(string(b.Msg), string(b.Message), string(b.Detail)),
	}
	flat := slices.Contains([]string{"", "null", "[]"}, string(b.Choices)) && f.Message != "" && !slices.Contains([]string{"", "0", "200"}, f.Code)
	return f, failed || flat
}

// faultObject reads the value of an "error" key. An absent, null, false or empty one is no error.
func faultObject(raw json.RawMessage) (Fault, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || slices.Contains([]string{"null", "false", `""`}, string(raw)) {
		return Fault{}, false
	}
	var e struct {
		Code    json.RawMessage `json:"code"`
		Type    text            `json:"type"`
		Status  text            `json:"status"` // Gemini's word for the type
		Message Text            `json:"message"`
		Msg     text            `json:"msg"`
		Param   text            `json:"param"`
		Details details         `json:"details"`
		Meta    metadata        `json:"metadata"`
	}
	if json.Unmarshal(raw, &e) == nil {
		f := Fault{
			Code: code(e.Code), Type: cmp.Or(string(e.Type), string(e.Status)), Param: string(e.Param),
			Message: cmp.Or(string(e.Message), string(e.Msg)), RetryDelay: string(e.Details), resets: e.Meta.Headers,
		}
		if e.Meta.Raw != "" {
			f.Message += " " + string(e.Meta.Raw)
		}
		return f, true
	}
	var word text
	_ = word.UnmarshalJSON(raw)
	return Fault{Message: cmp.Or(string(word), string(raw))}, true
}

// metadata is what OpenRouter adds to an error: what the server behind it said, and headers that its own response lacks. It
// never fails to decode: an error is more than it.
type metadata struct {
	Raw     Text            `json:"raw"`
	Headers map[string]text `json:"headers"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *metadata) UnmarshalJSON(b []byte) error {
	type plain metadata
	var p plain
	if json.Unmarshal(b, &p) == nil {
		*m = metadata(p)
	}
	return nil
}

// details is the wait that Gemini asks for in an error's details, "17s"; "" where they have none.
type details string

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (d *details) UnmarshalJSON(b []byte) error {
	var list []struct {
		Delay text `json:"retryDelay"`
	}
	_ = json.Unmarshal(b, &list) // elsewhere it is something else
	for _, one := range list {
		*d = cmp.Or(*d, details(one.Delay))
	}
	return nil
}

// byStatus is what a fault means where the vendor's own words say nothing.
func byStatus(f Fault) Verdict {
	switch f.Status {
	case 400, 415, 422:
		return Verdict{Kind: providers.KindInvalidRequest}
	case 401, 403:
		return Verdict{Kind: providers.KindAuth}
	case 402:
		return Verdict{Kind: providers.KindBalance}
	case 404:
		if f.Op == OpChat && mentions(f, "model") {
			return Verdict{Kind: providers.KindModelNotFound}
		}
		return Verdict{Kind: providers.KindProviderError, Hint: hintAddress}
	case 413:
		return Verdict{Kind: providers.KindTooLarge}
	case 408, 425:
		return Verdict{Kind: providers.KindNetwork, Retry: true}
	case 429:
		return Verdict{Kind: providers.KindRateLimited, Retry: true, PerMinute: PerMinute(f.Message)}
	case 503, 529:
		return Verdict{Kind: providers.KindOverloaded, Retry: true}
	}
	switch {
	case f.Status >= 500:
		return Verdict{Kind: providers.KindProviderError, Retry: true}
	case f.Status >= 300: // redirects, which are not followed, and what is left of the 4xx
		return Verdict{Kind: providers.KindProviderError, Hint: hintAddress}
	case f.HTML:
		return Verdict{Kind: providers.KindProviderError, Hint: hintAddress}
	}
	return Verdict{Kind: providers.KindProviderError, Retry: true}
}

// perMinute matches what refusals call a limit of requests or tokens per minute: "requests per min (RPM)", "TPM",
// "GenerateRequestsPerMinutePerProjectPerModel".
var perMinute = lazyregexp.New(`(?i)per[ _-]?min|\b[rt]pm\b`)

// PerMinute reports whether a refusal's text names a limit of requests or tokens per minute.
func PerMinute(message string) bool { return perMinute().MatchString(message) }

func mentions(f Fault, word string) bool {
	return strings.Contains(strings.ToLower(f.Message+" "+f.Type+" "+f.Code), word)
}

// aboutMessages matches complaints about the conversation, which happen to use parameters' names as words ("thinking is
// enabled but reasoning_content is missing in ... message at index 3"): leaving a parameter out would not fix them.
var aboutMessages = lazyregexp.New(`(?i)\bmessages?\b|reasoning_content|tool_calls`)

// wordPattern matches what may be a parameter's name in a sentence.
var wordPattern = lazyregexp.New(`[A-Za-z_]+`)

// refusedParam is the wire parameter that a refusal names, "" if none: the body's own param field, else the first word of
// its message that is a parameter which was really sent and can be left out.
func refusedParam(f Fault, sent []string) string {
	droppable := func(name string) bool { return slices.Contains(sent, name) && !slices.Contains(undroppable, name) }
	if top, _, _ := strings.Cut(f.Param, "."); droppable(top) {
		return top
	}
	if aboutMessages().MatchString(f.Message) {
		return ""
	}
	for _, word := range wordPattern().FindAllString(f.Message, -1) {
		if droppable(word) {
			return word
		}
		if name := respelt[strings.ToLower(word)]; droppable(name) {
			return name
		}
	}
	return ""
}

// respelt are parameters under the names that some refusals have for them: xAI's "reasoningEffort", Ollama's "does not
// support thinking".
var respelt = map[string]string{
	"reasoningeffort": "reasoning_effort", "thinking": "reasoning_effort", "responseformat": "response_format", "streamoptions": "stream_options",
	"maxtokens": "max_tokens", "maxcompletiontokens": "max_completion_tokens",
}
