// Package emulator imitates the HTTP APIs of Z.ai (GLM), of Moonshot (Kimi) and of a third vendor, the lab, well enough to test and to
// demonstrate a client without a key: the wire shapes are the vendors', requests that a vendor refuses are refused with
// its status and code, replies can be scripted, and every way in which a vendor was seen to fail can be had by name.
//
// The lab stands for OpenAI-compatible servers in general: it holds to OpenAI's newer parameters, and does otherwise what
// these servers were seen to do.
//
// It is an independent witness: it must not import the packages that it checks (openaicompat, glm, kimi) nor go-openai,
// and it follows the vendors' documents, never a client's convenience. All waiting goes through timers of package time
// and no goroutine outlives Close, so it runs over a net.Pipe listener inside testing/synctest.
package emulator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Vendor is one of the vendors that are imitated.
type Vendor string

// The vendors.
const (
	GLM  Vendor = "glm"  // Z.ai, formerly Zhipu
	Kimi Vendor = "kimi" // Moonshot
	Lab  Vendor = "lab"  // an OpenAI-compatible server
)

// The paths below which each vendor's API lives, as on the real hosts.
const (
	GLMBase  = "/api/paas/v4"
	KimiBase = "/v1"
	LabBase  = "/v1"
)

// The keys that are accepted unless Keys sets others.
const (
	GLMKey  = "emulated0glm0key.notasecret"
	KimiKey = "sk-emulated-kimi-not-a-secret"
	LabKey  = "sk-emulated-lab-not-a-secret"
)

func vendors() []Vendor { return []Vendor{GLM, Kimi, Lab} }

// Emulator is all vendors. It is safe for concurrent use.
type Emulator struct {
	models       map[string]facts
	keys         map[Vendor]string
	visible      map[string]bool // nil: every model that the vendor serves
	parallel     map[Vendor]int  // 0: no limit
	mainland     bool
	reading      bool
	membership   Membership // "": Kimi is the platform
	maxFiles     int
	maxFileBytes int
	loadTime     time.Duration
	ownServer    map[Vendor]*http.Server
	done         chan struct{}
	running      sync.WaitGroup // Serve loops

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever anything below changes
	closed   bool
	urls     map[Vendor]string
	conns    map[Vendor]int
	balance  map[Vendor]float64
	busy     map[Vendor]int // requests past the strict checks, for Concurrency
	arrived  int            // requests ever, also those that are no longer kept
	log      []*exchange
	queue    []*rule         // replies that answer once
	standing []*rule         // replies that answer always
	issued   int             // counter behind every id
	loaded   map[string]bool // models of the lab that have answered
	usedIDs  map[string]bool
	prefixes map[[32]byte]bool
	files    map[Vendor][]*file
}

// Option sets an emulator up.
type Option func(*Emulator)

// Keys sets the API keys that are accepted; an empty one leaves that vendor's default.
func Keys(glm, kimi string) Option {
	return func(e *Emulator) {
		if glm != "" {
			e.keys[GLM] = glm
		}
		if kimi != "" {
			e.keys[Kimi] = kimi
		}
	}
}

// Models restricts what the keys can see and call to these model ids, as for an account that was registered after a
// series was closed to new users. Without it, everything that the vendors serve is there.
func Models(ids ...string) Option {
	return func(e *Emulator) {
		e.visible = map[string]bool{}
		for _, id := range ids {
			e.visible[id] = true
		}
	}
}

// Concurrency makes a vendor refuse chats beyond n at once: GLM with 429 and code 1302, Kimi with 429 and
// rate_limit_reached_error.
func Concurrency(v Vendor, n int) Option {
	return func(e *Emulator) { e.parallel[v] = n }
}

// Balance sets what is left on an account; at 0 or below, chats are refused as unpaid (GLM 1113, Kimi
// exceeded_current_quota_error, both with HTTP 429).
func Balance(v Vendor, amount float64) Option {
	return func(e *Emulator) { e.balance[v] = amount }
}

// MainlandChina makes GLM answer as open.bigmodel.cn does where it differs from api.z.ai: search engines, file
// purposes, the older models, and the language of its refusals (Accept-Language: en changes that).
func MainlandChina() Option {
	return func(e *Emulator) { e.mainland = true }
}

// MaxFiles sets how many files a Kimi account may hold (1,000 at the vendor).
func MaxFiles(n int) Option {
	return func(e *Emulator) { e.maxFiles = n }
}

// MaxFileBytes sets how large an upload may be (100 MiB at both vendors), for tests that would rather move less.
func MaxFileBytes(n int) Option {
	return func(e *Emulator) { e.maxFileBytes = n }
}

// LoadTime sets how long the lab takes to load a model (UsualLoadTime), for tests on slow machines.
func LoadTime(d time.Duration) Option {
	return func(e *Emulator) { e.loadTime = d }
}

// New makes an emulator that listens nowhere yet: use Serve, or Handler in a server of your own.
func New(opts ...Option) *Emulator {
	e := &Emulator{
		models:       table(),
		keys:         map[Vendor]string{GLM: GLMKey, Kimi: KimiKey, Lab: LabKey},
		loaded:       map[string]bool{},
		loadTime:     UsualLoadTime,
		parallel:     map[Vendor]int{},
		maxFiles:     1000,
		maxFileBytes: vendorFileBytes,
		ownServer:    map[Vendor]*http.Server{},
		done:         make(chan struct{}),
		changed:      make(chan struct{}),
		urls:         map[Vendor]string{},
		conns:        map[Vendor]int{},
		balance:      map[Vendor]float64{GLM: 49.58, Kimi: 49.58, Lab: 49.58},
		busy:         map[Vendor]int{},
		usedIDs:      map[string]bool{},
		prefixes:     map[[32]byte]bool{},
		files:        map[Vendor][]*file{},
	}
	for _, v := range vendors() {
		e.ownServer[v] = e.newServer(v)
	}
	for _, o := range opts {
		o(e)
	}
	return e
}

// Start makes an emulator that serves all vendors on loopback ports of their own. The caller must Close it.
func Start(opts ...Option) (*Emulator, error) {
	e := New(opts...)
	for _, v := range vendors() {
		l, err := loopback()
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("start the %s emulator: %w", v, err)
		}
		e.Serve(v, l)
	}
	return e, nil
}

// loopback listens on a free port that only this machine can reach.
func loopback() (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
}

// Serve answers one vendor's requests on a listener, in the background, until Close. The vendor's URL becomes
// http://ADDRESS with its base path.
func (e *Emulator) Serve(v Vendor, l net.Listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		l.Close()
		return
	}
	e.urls[v] = "http://" + l.Addr().String() + e.basePath(v)
	e.running.Go(func() {
		// It ends with ErrServerClosed at Close, or with the listener's own error when that was closed by its owner;
		// either way there is nobody left to tell.
		_ = e.ownServer[v].Serve(l)
	})
}

// Handler is one vendor's API, for a server of the caller's. Resets, cuts and the upload faults need HTTP/1.
func (e *Emulator) Handler(v Vendor) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.serveHTTP(v, w, r) })
}

// GLMURL is the base URL to configure for GLM, without a slash at its end; "" before Serve.
func (e *Emulator) GLMURL() string { return e.URL(GLM) }

// KimiURL is the base URL to configure for Kimi, without a slash at its end; "" before Serve.
func (e *Emulator) KimiURL() string { return e.URL(Kimi) }

// URL is a vendor's base URL.
func (e *Emulator) URL(v Vendor) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.urls[v]
}

// Key is the API key that a vendor accepts.
func (e *Emulator) Key(v Vendor) string { return e.keys[v] }

// Close ends every request and connection and returns when nothing of the emulator runs any more. It may be called
// more than once. A function given to Always that never returns keeps it waiting.
func (e *Emulator) Close() {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		close(e.done)
	}
	e.mu.Unlock()
	for _, s := range e.ownServer {
		_ = s.Close() // it fails only when a listener was closed by its owner before
	}
	e.running.Wait()
	e.wait(nil, func() bool { return e.openLocked() == 0 })
}

// Connections is how many connections clients hold open to the listeners given to Serve.
func (e *Emulator) Connections() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.openLocked()
}

func (e *Emulator) openLocked() (open int) {
	for _, n := range e.conns {
		open += n
	}
	return open
}

func (e *Emulator) basePath(v Vendor) string {
	switch {
	case v == GLM:
		return GLMBase
	case v == Kimi && e.membership != "":
		return KimiCodeBase
	}
	return KimiBase
}

func (e *Emulator) newServer(v Vendor) *http.Server {
	return &http.Server{
		Handler:           e.Handler(v),
		ReadHeaderTimeout: time.Minute,
		ConnContext:       withConn,
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				e.countConn(v, 1)
			case http.StateClosed:
				e.countConn(v, -1)
			default: // a hijacked connection is counted down where it is closed
			}
		},
	}
}

func (e *Emulator) countConn(v Vendor, by int) {
	e.mu.Lock()
	e.conns[v] += by
	e.signal()
	e.mu.Unlock()
}

// signal wakes everyone in wait. e.mu must be held.
func (e *Emulator) signal() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// wait blocks until cond, which is called with e.mu held, is true; or until stop is closed, which it reports as false.
func (e *Emulator) wait(stop <-chan struct{}, cond func() bool) bool {
	for {
		e.mu.Lock()
		ok, changed := cond(), e.changed
		e.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-stop:
			return false
		}
	}
}

// nextID counts everything that gets an id, so that ids are unique and a test's run is repeatable.
func (e *Emulator) nextID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.issued++
	return e.issued
}
