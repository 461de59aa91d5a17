package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// printed is what a running command has printed so far.
type printed struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *printed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(text)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// page starts exai-mcp ui and returns its address and what ends it.
func (s *site) page(args ...string) (address string, stop func() (code int)) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	var out, errs printed
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, append([]string{"ui", "--no-open"}, args...), s.environ, strings.NewReader(""), &out, &errs)
	}()
	require.Eventually(s.t, func() bool {
		if m := regexp.MustCompile(`The page is at (http://\S+)\n`).FindStringSubmatch(out.String()); m != nil {
			address = m[1]
		}
		return address != ""
	}, scaled(10*time.Second), 5*time.Millisecond, "no address: %s", &errs)
	return address, func() int {
		cancel()
		select {
		case code := <-done:
			s.noKeyIn(out.String() + errs.String())
			return code
		case <-time.After(scaled(10 * time.Second)):
			s.t.Fatal("it did not end")
			return -1
		}
	}
}

// The page over real sockets, beside a server that works: its calls appear while they run and when they have ended.
func TestPage(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	code, _, errs := s.run("", "call", "chat", `{"prompt":"What is on the page?"}`)
	require.Equal(t, exitOK, code, errs)
	address, stop := s.page()
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/\?token=[0-9a-f]{64}$`, address)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar}
	get := func(url string) (int, string) {
		resp, err := client.Get(url)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		s.noKeyIn(string(text))
		return resp.StatusCode, string(text)
	}
	status, body := get(address)
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "What is on the page?")
	assert.Contains(t, body, "Nothing is running.")
	other, err := http.Get(address)
	require.NoError(t, err)
	other.Body.Close()
	assert.Equal(t, http.StatusForbidden, other.StatusCode, "the token works once")

	p := s.serveHere()
	p.initialize()
	s.vendors.On(emulator.Match{Text: "hold on"}, emulator.Say("(emulated) done").With(emulator.DelayHeaders(time.Second)))
	answer := p.ask("chat", object{"prompt": "hold on"})
	root := address[:strings.Index(address, "/?")]
	require.Eventually(t, func() bool {
		_, body := get(root + "/running")
		return strings.Contains(body, ">chat<") && regexp.MustCompile(`>\d+ s</td>`).MatchString(body)
	}, scaled(10*time.Second), 20*time.Millisecond, "it shows what runs, with the time that is left")
	p.await(answer)
	require.Eventually(t, func() bool {
		_, body := get(root + "/running")
		return strings.Contains(body, "Nothing is running.")
	}, scaled(10*time.Second), 20*time.Millisecond)
	p.closeInput()
	_, body = get(root + "/calls")
	assert.Equal(t, 2, strings.Count(body, ">chat</a>"), "both calls' requests")
	assert.Equal(t, exitOK, stop())

	code, _, errs = s.run("", "ui", "--port", "70000")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "--port 70000")
}
