package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// job uploads one file. It belongs to no call: several may wait for it, or none.
type job struct {
	key     string
	request Request
	file    item // as it was when the job began
	started time.Time
	ctx     context.Context
	stop    context.CancelCauseFunc
	sent    atomic.Int64

	// Guarded by Queue.mu.
	waiting  int // calls
	work     *activity.Work
	finished time.Time // zero while it is under way

	done   chan struct{} // closed, with the lock held, when what follows is settled
	id     string
	text   string
	masked masked
	err    error
}

// findOrStart returns the job of a file, a new one if there is none.
func (q *Queue) findOrStart(key string, r Request, it *item) (*job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, &providers.Error{Kind: providers.KindCancelled, Message: "The server is stopping."}
	}
	maps.DeleteFunc(q.jobs, func(_ string, old *job) bool {
		return !old.finished.IsZero() && time.Since(old.finished) > resultLifetime
	})
	j := q.jobs[key]
	if j == nil {
		j = &job{key: key, request: r, file: *it, started: time.Now(), done: make(chan struct{})}
		// The job outlives its call, of which it keeps only the tool's name.
		j.ctx, j.stop = context.WithCancelCause(providers.WithBudget(q.ctx, providers.Budget{Tool: r.Tool}))
		q.jobs[key] = j
		q.active.Add(1)
		go q.run(j)
	}
	j.waiting++
	return j, nil
}

// release gives a call the outcome of its job. A job that is under way is detached from its last call, or stopped.
func (q *Queue) release(it *item, detach bool) {
	j := it.job
	q.mu.Lock()
	defer q.mu.Unlock()
	j.waiting--
	if !j.finished.IsZero() {
		q.dropLocked(j)
		it.ID, it.Text, it.masked, it.Err = j.id, j.text, j.masked, j.err
		return
	}
	it.Pending, it.Sent = true, min(j.sent.Load(), it.Size)
	if j.waiting > 0 {
		return
	}
	if !detach {
		q.dropLocked(j)
		j.stop(errAbandoned)
		return
	}
	if j.work == nil && q.events != nil {
		j.work = q.events.Start(activity.Call{
			ID: "upload " + uuid.NewString(), Tool: j.request.Tool, Provider: j.request.Vendor, Started: j.started, Background: true,
			Limit: q.cfg.Timeouts.BackgroundLimit().Value,
		})
	}
}

// dropLocked removes a job, so that no call finds it.
func (q *Queue) dropLocked(j *job) {
	if q.jobs[j.key] == j {
		delete(q.jobs, j.key)
	}
}

// run carries a file, and tidies up detach it.
func (q *Queue) run(j *job) {
	defer q.active.Done()
	defer j.stop(nil)
	kept := q.transfer(j)
	q.mu.Lock()
	j.finished = time.Now()
	if j.waiting > 0 || kept {
		q.dropLocked(j)
	}
	work := j.work
	close(j.done)
	q.mu.Unlock()

	end := activity.End{Status: "success", Provider: j.request.Vendor}
	var e *providers.Error
	if errors.As(j.err, &e) {
		end.Status, end.ErrorCode = "error", string(e.Kind)
	} else if j.err != nil {
		end.Status, end.ErrorCode = "error", string(providers.KindInvalidRequest)
	}
	work.Finish(end)
	if j.id != "" && j.request.Extract && !q.cfg.KimiFiles.Keep {
		q.remove(j)
	}
}

// transfer uploads the file and fetches its text, once a slot is free. It reports whether the text is kept.
func (q *Queue) transfer(j *job) (kept bool) {
	defer func() {
		if p := recover(); p != nil {
			j.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	slot := q.slots[j.request.Vendor]
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	case <-j.ctx.Done():
		j.err = &providers.Error{Kind: providers.KindCancelled, Message: "The upload was cancelled.", Err: context.Cause(j.ctx)}
		return false
	}
	p, err := q.registry.Provider(j.request.Vendor)
	if err != nil {
		j.err = err
		return false
	}
	if j.err = q.send(j, p); j.err != nil || !j.request.Extract {
		return false
	}
	if j.text, j.err = q.fetch(j, p); j.err != nil {
		return false
	}
	return q.texts.put(j.key, entry{Vendor: j.request.Vendor, Name: j.file.Name, FileID: j.id, Text: j.text, Masked: j.masked, Created: time.Now()})
}

// send uploads the file. It fails when the file is no longer the one that the job was started for.
func (q *Queue) send(j *job, p providers.Provider) error {
	to, ok := p.(providers.Uploader)
	if !ok {
		return errNoUploads
	}
	it, vendor := &j.file, j.request.Vendor
	return it.with(func(f *workspace.File, _ fs.FileInfo) error {
		if !it.unchanged(j.ctx, f) {
			return changed(it.Path)
		}
		what, found, err := q.clean(it, f)
		if err != nil {
			return err
		}
		if j.masked = found; !it.unchanged(j.ctx, f) { // it may have been read while it was written
			return changed(it.Path)
		}
		ref, err := calls.Do(j.ctx, q.caller, vendor, "upload", q.cfg.Timeouts.Upload(vendor),
			func(ctx context.Context) (providers.FileRef, error) {
				j.sent.Store(0)
				return to.Upload(ctx, providers.File{
					Name: it.Name, Purpose: j.request.Purpose, Size: what.size, Sent: j.sent.Store,
					// Reading at offsets, since the last read of an attempt that failed may still be under way in the next.
					Body: io.NewSectionReader(what.body, 0, what.size),
				})
			})
		if err != nil {
			return err
		}
		j.id = ref.ID
		if !it.unchanged(j.ctx, f) {
			return changed(it.Path)
		}
		return nil
	})
}

// fetch gets the text of an uploaded file, asking again while the vendor may still be parsing it.
func (q *Queue) fetch(j *job, p providers.Provider) (string, error) {
	from, ok := p.(providers.Extractor)
	if !ok {
		return "", errNoUploads
	}
	set := q.cfg.KimiFiles
	delay := set.FetchDelay
	for try := 0; ; try++ {
		text, err := calls.Do(j.ctx, q.caller, j.request.Vendor, "extract", q.cfg.Timeouts.Fetch(),
			func(ctx context.Context) (string, error) { return from.Extract(ctx, j.id) })
		if err == nil && strings.TrimSpace(text) == "" {
			err = &providers.Error{
				Kind: providers.KindProviderError, Provider: j.request.Vendor,
				Message: fmt.Sprintf("The vendor found no text in %q.", j.file.Path),
				Hint:    "Check that it holds text, and that the vendor reads files of its type.",
			}
		}
		if err == nil {
			return text, nil
		}
		if try >= set.FetchRetries || !mayBeParsing(err) {
			return "", err
		}
		wait := time.NewTimer(delay)
		select {
		case <-wait.C:
		case <-j.ctx.Done():
			wait.Stop()
			return "", err
		}
		delay = time.Duration(float64(delay) * (1 + set.FetchBackoff))
	}
}

// mayBeParsing reports whether the same request may succeed later: the vendor has no error of its own for a file that it
// still parses. Retryable failures were retried before.
func mayBeParsing(err error) bool {
	var e *providers.Error
	if !errors.As(err, &e) || e.Retry && e.Kind != providers.KindTimeout {
		return false
	}
	switch e.Kind {
	case providers.KindInvalidRequest, providers.KindProviderError, providers.KindTimeout:
		return true
	}
	return false
}

// removeTimeout is how long deleting a file at the vendor may take.
const removeTimeout = 10 * time.Second

// remove deletes a file at the vendor: an account holds only so many.
func (q *Queue) remove(j *job) {
	ctx, cancel := context.WithTimeout(q.cleanup, removeTimeout)
	defer cancel()
	p, err := q.registry.Provider(j.request.Vendor)
	if err == nil {
		if from, ok := p.(providers.Extractor); ok {
			_, err = calls.Do(ctx, q.caller, j.request.Vendor, "delete", q.cfg.Timeouts.Vendor(j.request.Vendor),
				func(ctx context.Context) (struct{}, error) { return struct{}{}, from.DeleteFile(ctx, j.id) })
		}
	}
	if err != nil {
		q.log.Warn("a file that was uploaded only to be read could not be deleted at the vendor",
			zap.String("provider", j.request.Vendor), zap.String("file_id", j.id), zap.Error(err))
	}
}
