// Package ui serves the local page: what runs, what was asked, what it cost, conversations and issues, all linked. It reads
// the store and the activity log and changes neither; it knows no tool and no vendor.
//
// The page is made on the server. Whatever a model or a client wrote is text in it, never HTML.
package ui

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// Usage is what the page reads of requests.
type Usage interface {
	TotalsBy(ctx context.Context, days int, by ...usage.By) ([][]usage.Total, error)
	Requests(ctx context.Context, f usage.Filter) ([]usage.Request, error)
	Exceeded(ctx context.Context, days int) ([]usage.Count, error)
	UnderWay(ctx context.Context) ([]usage.Request, error)
}

// Running lists the work in progress on this machine.
type Running func(ctx context.Context, now time.Time) ([]activity.Running, error)

// Options are what the page shows.
type Options struct {
	Usage         Usage
	Conversations conversation.Store
	Issues        issue.Store
	Running       Running
	Host          string             // this machine, for the list of running calls
	Store         string             // where everything is stored, for people
	DayLimitUSD   float64            // MAX_COST_PER_DAY_USD; 0 for none
	Redactor      *activity.Redactor // masks keys in what is shown
	Log           *zap.Logger        // nil logs nothing
}

// Server is the page's handler. Make one with New.
type Server struct {
	o     Options
	pages *pages
	mux   *http.ServeMux

	session string // the cookie's value

	mu    sync.Mutex
	token string // in the address that is opened first; "" when it was used
}

// New returns a Server. Its first address is Path.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	p, err := parsePages()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, pages: p, session: secret(), token: secret(), mux: http.NewServeMux()}
	s.routes()
	return s, nil
}

// Path is the path to open first. Its token works once: it is exchanged for a cookie and leaves the address.
func (s *Server) Path() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "/?token=" + s.token
}

// secret is a random value that nobody guesses.
func secret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

const cookieName = "exai_page"

// policy allows the page what it is made of: styles, scripts and data of its own address. Nothing is loaded from elsewhere,
// nothing inline runs, and nobody may frame it.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP implements http.Handler. Only GET and HEAD are answered, only under a loopback name, only to the page itself
// and to people, and only with the cookie.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	switch {
	case !loopbackHost(r.Host):
		http.Error(w, "unknown host", http.StatusForbidden)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "this page is read-only", http.StatusMethodNotAllowed)
	case foreign(r):
		http.Error(w, "requests of other pages are not answered", http.StatusForbidden)
	case s.exchange(w, r):
	case !s.signedIn(r):
		http.Error(w, "Open the address that exai-mcp ui printed. It works once; start exai-mcp ui again for another.", http.StatusForbidden)
	default:
		s.mux.ServeHTTP(w, r)
	}
}

// loopbackHost reports whether a Host header names this machine. A name that somebody else's DNS leads here does not. The
// port is not compared, since ssh -L may give the page another.
func loopbackHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	switch name {
	case "localhost", "127.0.0.1", "::1", "[::1]":
		return true
	}
	return false
}

// foreign reports whether a browser says that another page made the request. Cookies don't keep ports of one machine apart.
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return true
}

// exchange gives the cookie for the token, once, and reports whether it answered.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) bool {
	given := r.URL.Query().Get("token")
	if r.URL.Path != "/" || given == "" {
		return false
	}
	s.mu.Lock()
	ok := s.token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(s.token)) == 1
	if ok && r.Method == http.MethodGet {
		s.token = ""
	}
	s.mu.Unlock()
	switch {
	case ok:
		http.SetCookie(w, &http.Cookie{Name: cookieName, Value: s.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	case !s.signedIn(r):
		return false
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return true
}

func (s *Server) signedIn(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	return err == nil && subtle.ConstantTimeCompare([]byte(c.Value), []byte(s.session)) == 1
}
