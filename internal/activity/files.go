package activity

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	rotateAt   = 10 << 20               // bytes
	maxRotated = 5                      // rotated files, .1 the newest
	queueSize  = 1024                   // lines that may wait for the disk
	closeWait  = 500 * time.Millisecond // for them to be written at the end
)

// files writes lines to files from a goroutine of its own, so that a slow or failed disk delays no call. It is started by
// the first line and ended by close.
//
// Rotation is ours and not a library's because several servers share one log: each line goes to whatever file has the
// name now, even if another process has just rotated it, and nothing is left running after close.
type files struct {
	logger *zap.Logger
	lines  chan line
	done   chan struct{}
	lost   atomic.Int64

	mu      sync.Mutex // guards what follows, and that nothing is sent on lines after its close
	running bool
	closed  bool
	warned  bool // of the writer goroutine alone
}

// line is a line for a file, or with synced a request to close it once all lines before it are written.
type line struct {
	to     *rotating
	text   []byte
	synced chan<- struct{}
}

func newFiles(logger *zap.Logger) *files {
	return &files{logger: logger, lines: make(chan line, queueSize), done: make(chan struct{})}
}

// add queues a line, or drops it when the queue is full.
func (f *files) add(to *rotating, text []byte) {
	if !f.send(line{to: to, text: text}) {
		f.lost.Add(1)
	}
}

func (f *files) send(l line) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	if !f.running {
		f.running = true
		go f.run()
	}
	select {
	case f.lines <- l:
		return true
	default:
		return false
	}
}

// flush waits until what was added is written, at most until a disk is known to fail.
func (f *files) flush() {
	f.mu.Lock()
	idle := !f.running || f.closed
	f.mu.Unlock()
	if idle {
		return
	}
	synced := make(chan struct{})
	wait := time.NewTimer(closeWait)
	defer wait.Stop()
	retry := time.NewTicker(closeWait / 100) // for a queue that is full
	defer retry.Stop()
	for sent := f.send(line{synced: synced}); ; sent = sent || f.send(line{synced: synced}) {
		select {
		case <-synced:
			return
		case <-wait.C:
			return
		case <-retry.C:
		}
	}
}

func (f *files) close() error {
	f.mu.Lock()
	running := f.running && !f.closed
	if !f.closed {
		f.closed = true
		close(f.lines)
	}
	f.mu.Unlock()
	if !running {
		return nil
	}
	wait := time.NewTimer(closeWait)
	defer wait.Stop()
	select {
	case <-f.done:
		return nil
	case <-wait.C:
		return fmt.Errorf("close the logs: the last lines could not be written within %s", closeWait)
	}
}

func (f *files) dropped() int { return int(f.lost.Load()) }

// run is the goroutine. It owns every rotating.
func (f *files) run() {
	defer close(f.done)
	open := map[*rotating]bool{}
	for l := range f.lines {
		if l.synced != nil {
			close(l.synced)
			continue
		}
		open[l.to] = true
		if err := l.to.write(l.text); err != nil {
			f.lost.Add(1)
			if !f.warned { // once: a full disk would fill stderr, too
				f.warned = true
				f.logger.Warn("a log file cannot be written; its lines are lost until it can", zap.Error(err))
			}
		}
	}
	for r := range open {
		r.close()
	}
}

// rotating is a log file with older ones beside it: path, then path.1 to path.5.
type rotating struct {
	path string
	file *os.File
	info os.FileInfo // of file, when it was opened
}

func (r *rotating) write(text []byte) error {
	now, err := os.Stat(r.path)
	if r.file != nil && (err != nil || !os.SameFile(now, r.info)) {
		r.close() // another process rotated it, or somebody deleted it
	}
	if err == nil && now.Size() > 0 && now.Size()+int64(len(text)) > rotateAt {
		r.rotate()
	}
	if r.file == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	_, err = r.file.Write(text)
	return err
}

func (r *rotating) open() error {
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(r.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	r.file, r.info = f, info
	// A process that was killed in the middle of a line must not spoil the next one.
	last := []byte{'\n'}
	if info.Size() > 0 {
		if _, err := f.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			_, err = f.WriteString("\n")
			return err
		}
	}
	return nil
}

func (r *rotating) close() {
	if r.file != nil {
		r.file.Close()
		r.file, r.info = nil, nil
	}
}

// rotate moves the file to .1 and the older ones on. Where the system does not let go of a file that another process
// has open, it stays and grows: the first step fails, and nothing has changed.
func (r *rotating) rotate() {
	r.close()
	r.shift()
	if os.Rename(r.path, rotatedPath(r.path, 0)) == nil {
		r.shift()
	}
}

// shift makes room for .0, the file that is on its way to become .1.
func (r *rotating) shift() {
	if _, err := os.Lstat(rotatedPath(r.path, 0)); err != nil {
		return
	}
	for n := maxRotated; n > 0; n-- {
		_ = os.Rename(rotatedPath(r.path, n-1), rotatedPath(r.path, n)) // one that is not there leaves a gap, which does not matter
	}
}

func rotatedPath(path string, n int) string { return fmt.Sprintf("%s.%d", path, n) }
