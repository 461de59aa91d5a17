//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pageViews are the page's lists, searches and plots, each at the most that it has to read.
var pageViews = []string{
	"/", "/running", "/calls", "/calls?limit=KIMI_TIMEOUT_SECS", "/calls?conversation=nobody", "/cost", "/cost?days=365", "/conversations",
	"/conversations?q=jitter", "/conversations/5e55a001-0000-4000-8000-000000000000", "/issues", "/issues?status=all&q=number+4999",
	"/issues?status=all&page=900", "/issues/1010",
}

// page is how long the local page takes for each view, with 100,000 requests and 50,000 issues.
func (b *bench) page() ([]figure, error) {
	const rounds = 5
	state := filepath.Join(b.dir, "page")
	fill := exec.Command("go", "run", "./scripts/page", "-dir", state, "-requests", "100000", "-issues", "50000") //nolint:noctx // runs to its end
	if out, err := fill.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("fill the store: %w\n%s", err, out)
	}
	cmd := exec.Command(b.exai, "ui", "--no-open") //nolint:noctx // it is killed
	cmd.Env, cmd.Dir = b.environ(nil, "page"), b.dir
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "The page is at ")
	if err != nil || !ok {
		return nil, fmt.Errorf("the page did not say its address: %q, %w", line, err)
	}
	jar, _ := cookiejar.New(nil) // it never fails
	client := &http.Client{Jar: jar}
	if _, err := view(client, address); err != nil { // which also opens the store
		return nil, err
	}
	origin, _, _ := strings.Cut(address, "/?")
	var slowest, longest, most time.Duration
	var worst string
	for _, path := range pageViews {
		var took []time.Duration
		before, err := cpuTime(cmd.Process.Pid)
		if err != nil {
			return nil, err
		}
		for range rounds {
			one, err := view(client, origin+path)
			if err != nil {
				return nil, err
			}
			took = append(took, one)
		}
		after, err := cpuTime(cmd.Process.Pid)
		if err != nil {
			return nil, err
		}
		longest, most = max(longest, percentile(took, 1)), max(most, (after-before)/rounds)
		if m := median(took); m > slowest {
			slowest, worst = m, path
		}
	}
	return []figure{within("a view of the local page, the slowest", slowest, time.Second,
		fmt.Sprintf("%s of %d views, with 100,000 requests and 50,000 issues; medians of %d; the longest single one %s; at most %s of processor time",
			worst, len(pageViews), rounds, shown(longest), shown(most)))}, nil
}

// view gets a view whole.
func view(client *http.Client, address string) (time.Duration, error) {
	begin := time.Now()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", address, resp.Status)
	}
	return time.Since(begin), err
}

// cpuTime is the processor time that a process has used so far. Linux counts it in hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name before may hold spaces
	fields := strings.Fields(after)
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
