package emulator

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"
)

// refusal is a request that the vendor refuses.
type refusal struct {
	rule    string // in a few words, for Request.Refused
	status  int
	code    string // GLM's code, or Kimi's type
	message string
	chinese string // the message as open.bigmodel.cn has it; "" where it is not known
	body    []byte // instead of code and message, where the vendor's gateway answers
}

// Error makes a refusal an error, so that handlers return one or the other.
func (r *refusal) Error() string { return r.rule }

// result is the answer to anything but a chat: a JSON value, a JSON value made of search hits, or a body of another kind.
type result struct {
	json any
	hits func([]Hit) any // nil hits: the ones that would be found without a script
	raw  []byte
	kind string // of raw
}

// handler answers one operation. id is the part of the path that names a file or a formula.
type handler func(x *exchange, id string) (*result, error)

func (e *Emulator) serveHTTP(v Vendor, w http.ResponseWriter, r *http.Request) {
	x := e.begin(v, w, r)
	defer x.end()
	id := x.identify()
	x.header()
	op := x.snapshot().Op
	out, err := x.dispatch(op, id)
	if err != nil {
		x.fail(err)
		return
	}
	if out != nil {
		x.send(out)
	}
}

// dispatch does what stands before every operation (path, key, body), and the operation.
func (x *exchange) dispatch(op Op, id string) (*wire, error) {
	v := x.record.Vendor
	if op == OpUnknown {
		return nil, x.e.unknownPath(v, x.r)
	}
	if err := x.authorize(); err != nil {
		return nil, err
	}
	if op != OpUpload {
		if err := x.readBody(); err != nil {
			return nil, err
		}
	}
	if op == OpChat {
		return x.chat()
	}
	res, err := handlers()[op](x, id)
	if err != nil {
		return nil, err
	}
	return x.plain(res), nil
}

func handlers() map[Op]handler {
	return map[Op]handler{
		OpSearch: (*exchange).search, OpReader: (*exchange).glmReader, OpTokens: (*exchange).countTokens,
		OpModels: (*exchange).listModels, OpBalance: (*exchange).kimiBalance,
		OpUpload: (*exchange).upload, OpFiles: (*exchange).listFiles, OpFile: (*exchange).getFile,
		OpFileContent: (*exchange).fileContent, OpFileDelete: (*exchange).deleteFile,
		OpFormulaTools: (*exchange).formulaTools, OpFormulaRun: (*exchange).runFormula,
	}
}

// identify finds the operation of a path, and the id in it. It looks at the path as sent: the slash and the colon of a
// formula's name must not be percent-encoded.
func (x *exchange) identify() string {
	rec := x.snapshot()
	op, id := OpUnknown, ""
	if rest, ok := strings.CutPrefix(rec.Path, x.e.basePath(rec.Vendor)+"/"); ok {
		op, id = x.e.route(rec.Vendor, rec.Method, rest)
	}
	x.note(func(r *Request) { r.Op = op })
	return id
}

// route finds the operation of a path below a vendor's base. A membership has chats and the list of models alone.
func (e *Emulator) route(v Vendor, method, path string) (Op, string) {
	op, id := route(v, method, path)
	if v == Kimi && e.membership != "" && op != OpChat && op != OpModels {
		return OpUnknown, ""
	}
	return op, id
}

func route(v Vendor, method, path string) (Op, string) {
	type key struct {
		v            Vendor
		method, path string
	}
	fixed := map[key]Op{
		{GLM, "POST", "chat/completions"}: OpChat, {Kimi, "POST", "chat/completions"}: OpChat, {Lab, "POST", "chat/completions"}: OpChat,
		{GLM, "GET", "models"}: OpModels, {Kimi, "GET", "models"}: OpModels, {Lab, "GET", "models"}: OpModels,
		{GLM, "POST", "files"}: OpUpload, {Kimi, "POST", "files"}: OpUpload,
		{GLM, "GET", "files"}: OpFiles, {Kimi, "GET", "files"}: OpFiles,
		{GLM, "POST", "web_search"}: OpSearch, {Kimi, "POST", "tools/search"}: OpSearch, {Kimi, "POST", "tools/search_pro"}: OpSearch,
		{GLM, "POST", "reader"}: OpReader, {GLM, "POST", "tokenizer"}: OpTokens,
		{Kimi, "POST", "tokenizers/estimate-token-count"}: OpTokens, {Kimi, "GET", "users/me/balance"}: OpBalance,
	}
	if op, ok := fixed[key{v, method, path}]; ok {
		return op, ""
	}
	if rest, ok := strings.CutPrefix(path, "files/"); ok && v != Lab {
		return routeFile(v, method, rest)
	}
	rest, ok := strings.CutPrefix(path, "formulas/")
	if !ok || v != Kimi {
		return OpUnknown, ""
	}
	if name, ok := strings.CutSuffix(rest, "/tools"); ok && method == "GET" {
		return OpFormulaTools, name
	}
	if name, ok := strings.CutSuffix(rest, "/fibers"); ok && method == "POST" {
		return OpFormulaRun, name
	}
	return OpUnknown, ""
}

func routeFile(v Vendor, method, rest string) (Op, string) {
	id, tail, _ := strings.Cut(rest, "/")
	switch {
	case method == "GET" && tail == "content":
		return OpFileContent, id
	case method == "DELETE" && tail == "" && !strings.HasSuffix(rest, "/"):
		return OpFileDelete, id
	case method == "GET" && tail == "" && v == Kimi:
		return OpFile, id
	}
	return OpUnknown, ""
}

// unknownPath is what each vendor's gateway says to a path or a method that it does not have.
func (e *Emulator) unknownPath(v Vendor, r *http.Request) error {
	known := func(method string) bool {
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), e.basePath(v)+"/")
		op, _ := e.route(v, method, rest)
		return ok && op != OpUnknown
	}
	status, rule := http.StatusNotFound, "no such path"
	if known("GET") || known("POST") || known("DELETE") {
		rule = "no such method on this path"
		if v == GLM {
			status = http.StatusMethodNotAllowed
		}
	}
	if v == Lab {
		return &refusal{rule: rule, status: status, body: mustJSON(map[string]string{"detail": "Not Found"})}
	}
	if v == GLM {
		return &refusal{rule: rule, status: status, body: mustJSON(map[string]any{
			"timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000+00:00"), "status": status,
			"error": http.StatusText(status), "path": strings.TrimPrefix(r.URL.Path, "/api/paas"),
		})}
	}
	return &refusal{rule: rule, status: status, body: mustJSON(map[string]any{
		"code": 5, "error": "url.not_found", "message": "没找到对象", "method": r.Method, "scode": "0x5", "status": false,
		"ua": r.UserAgent(), "url": r.URL.Path,
	})}
}

// authorize checks the key. Both vendors take it as Bearer token.
func (x *exchange) authorize() error {
	v := x.record.Vendor
	sent := x.r.Header.Get("Authorization")
	key, bearer := strings.CutPrefix(sent, "Bearer ")
	if bearer && key == x.e.keys[v] {
		x.note(func(r *Request) { r.KeyOK = true })
		return nil
	}
	switch {
	case v == Lab:
		return &refusal{rule: "wrong key", status: 401, body: labError("invalid_request_error", "invalid_api_key", "", "Incorrect API key provided.")}
	case v == GLM && sent == "":
		return &refusal{
			rule: "no key", status: 401, code: "1001",
			message: "Authentication parameter not received in Header, unable to authenticate",
		}
	case v == GLM && !bearer:
		return &refusal{rule: "no Bearer key", status: 401, code: "1002", message: "Invalid Authentication Token, please confirm that it is correctly transmitted"}
	case v == GLM:
		return &refusal{rule: "wrong key", status: 401, code: "401", message: "token expired or incorrect"}
	case !bearer:
		return &refusal{rule: "no key", status: 401, code: "incorrect_api_key_error", message: "Incorrect API key provided"}
	}
	return &refusal{rule: "wrong key", status: 401, code: "invalid_authentication_error", message: "Invalid Authentication"}
}

// readBody reads a JSON body, at the pace that a queued reply's upload fault sets.
func (x *exchange) readBody() error {
	if x.r.Method != http.MethodPost {
		return nil
	}
	v := x.record.Vendor
	kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return badRequest(v, "content type is not JSON", "1210", "Content-Type must be application/json")
	}
	body, err := io.ReadAll(x.body())
	x.note(func(r *Request) { r.Body = body[:min(len(body), maxBody)] })
	if err != nil {
		panic(http.ErrAbortHandler) // nobody is left to answer
	}
	x.sent = body
	return nil
}

// body is the request's body, counted.
func (x *exchange) body() io.Reader {
	in := x.e.bodyReadFor(x.snapshot())
	if tcp, ok := own(x.r.Context()).(*net.TCPConn); ok && in != nil {
		_ = tcp.SetReadBuffer(4096) // best effort: the kernel would take in for us what we leave unread
	}
	return counted{x, in}
}

// header sets what each vendor puts on every answer: the ids that its support asks for.
func (x *exchange) header() {
	h := x.w.Header()
	n := x.e.nextID()
	switch x.record.Vendor {
	case GLM:
		h.Set("X-Log-Id", hexID("", n, 30))
		return
	case Lab:
		h.Set("X-Request-Id", hexID("req_", n, 32))
		return
	}
	h.Set("Msh-Request-Id", hexID("", n, 32))
	h.Set("X-Msh-Trace-Id", hexID("", n+1<<20, 32))
}

// plain makes the wire form of an answer to anything but a chat, with the faults of the reply that was scripted for it.
func (x *exchange) plain(res *result) *wire {
	rec := x.snapshot()
	w := &wire{vendor: rec.Vendor, status: http.StatusOK, header: http.Header{}}
	reply := x.e.reply(rec)
	body := res.raw
	switch {
	case reply.JSON != "":
		body, res.kind = []byte(reply.JSON), ""
	case res.hits != nil:
		body = mustJSON(res.hits(reply.Hits))
	case body == nil:
		body = mustJSON(res.json)
	}
	w.header.Set("Content-Type", "application/json")
	if res.kind != "" {
		w.header.Set("Content-Type", res.kind)
	}
	w.frames = pieces(body)
	return w.with(reply.Faults)
}

func (w *wire) with(faults []Fault) *wire {
	for _, f := range faults {
		if f.wire != nil {
			f.wire(w)
		}
	}
	return w
}

// fail answers with a refusal.
func (x *exchange) fail(err error) {
	var r *refusal
	if !errors.As(err, &r) {
		panic(err) // handlers return refusals alone
	}
	x.note(func(rec *Request) { rec.Refused = r.rule })
	body, message := r.body, r.message
	if r.chinese != "" && x.e.mainland && !strings.HasPrefix(x.r.Header.Get("Accept-Language"), "en") {
		message = r.chinese
	}
	if body == nil {
		body = errorBody(x.record.Vendor, r.code, message)
	}
	x.send(&wire{
		status: r.status, frames: frames(frame{data: body}),
		header: http.Header{"Content-Type": {"application/json"}},
	})
}

// badRequest is a 400: with GLM's code, or the others' invalid_request_error.
func badRequest(v Vendor, rule, glmCode, message string) error {
	if v != GLM {
		return &refusal{rule: rule, status: 400, code: "invalid_request_error", message: message}
	}
	return &refusal{rule: rule, status: 400, code: glmCode, message: message}
}
