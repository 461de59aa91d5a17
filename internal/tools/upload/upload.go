// Package upload uploads the user's files to vendors that store them, and fetches their text.
//
// A call uploads files (Upload) and waits for them within its limit. Those that are not done by then continue in the
// background, each within its own limits, and the same call sent again waits for them: files are identified by their
// content. An extracted text is kept in the state folder. Close ends what is under way.
//
// It knows no protocol and no tool; the tools import it.
package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Options are what a Queue needs.
type Options struct {
	Config   *config.Config
	Registry *calls.Registry
	Caller   *calls.Caller
	Activity *activity.Log // records uploads in the background; may be nil
	Log      *zap.Logger   // nil logs nothing
}

// Queue is the service: one for a process. It is safe for concurrent use.
type Queue struct {
	cfg      *config.Config
	registry *calls.Registry
	caller   *calls.Caller
	events   *activity.Log
	log      *zap.Logger
	texts    *texts
	slots    map[string]chan struct{} // by vendor: how many of its files are under way at once

	ctx         context.Context // of every job
	stop        context.CancelCauseFunc
	cleanup     context.Context // of what is done after a job, such as deleting the file at the vendor
	stopCleanup context.CancelFunc
	active      sync.WaitGroup

	mu     sync.Mutex
	closed bool
	jobs   map[string]*job // by what they carry: under way, or finished and not collected yet
}

// filesAtOnce is how many files go to a vendor at once, so that uploads leave slots to its models. Kimi has a setting.
const filesAtOnce = 2

// New returns a Queue.
func New(o Options) *Queue {
	q := &Queue{
		cfg: o.Config, registry: o.Registry, caller: o.Caller, events: o.Activity, log: o.Log,
		slots: map[string]chan struct{}{}, jobs: map[string]*job{},
	}
	for _, vendor := range o.Config.VendorRows() {
		q.slots[vendor.Name] = make(chan struct{}, filesAtOnce)
	}
	q.slots["kimi"] = make(chan struct{}, max(o.Config.KimiFiles.MaxParallel, 1))
	if q.log == nil {
		q.log = zap.NewNop()
	}
	q.texts = newTexts(o.Config, q.log)
	q.ctx, q.stop = context.WithCancelCause(context.Background())
	q.cleanup, q.stopCleanup = context.WithCancel(context.Background())
	return q
}

// Request is what to do with a call's files.
type Request struct {
	Tool      string
	Vendor    string // "glm" or "kimi"
	Purpose   string // the vendor's word for it
	Files     []workspace.Ref
	Extract   bool // the text is wanted, not the file: it is deleted at the vendor afterwards, unless KIMI_FILES_KEEP
	SizeLimit SizeLimit
}

// SizeLimit is the maximum size of a file.
type SizeLimit struct {
	Setting string  // the variable that says so
	MB      float64 // 0: as large as the vendor takes it
	Refuse  bool    // one that is larger fails the whole request, before anything is sent
}

// File is the outcome of one of a request's files.
type File struct {
	Path    string // as the host names it
	Name    string
	Size    int64
	ID      string // the vendor's
	Text    string // where it was wanted
	Err     error  // a *workspace.Error, *providers.Error or *reply.Error
	Pending bool   // it continues in the background, or starts with the next call that uploads it
	Sent    int64  // bytes of it that are sent; a pending one's
	masked
}

// MaskNote says what was masked in uploaded files, and which of them could not be checked; "" if there is nothing to say.
func MaskNote(files []File) string {
	count, texts, others := 0, []string{}, []string{}
	for _, f := range files {
		switch {
		case f.Secrets > 0:
			count += f.Secrets
			texts = append(texts, f.Path)
		case f.NotChecked && !f.Pending && f.Err == nil:
			others = append(others, f.Path)
		}
	}
	var parts []string
	if count > 0 {
		parts = append(parts, fmt.Sprintf("Secrets that were masked as [secret: kind] in the uploaded text: %d (%s).", count, strings.Join(texts, ", ")))
	}
	if len(others) > 0 {
		parts = append(parts, "Images and binary documents can't be checked for secrets; sent as they are: "+strings.Join(others, ", ")+".")
	}
	return strings.Join(parts, " ")
}

var (
	errStopped   = errors.New("the server is stopping")
	errAbandoned = errors.New("the call was cancelled")
)

// Upload sends files to a vendor and waits for them until the call's reserve. The result is in the order of the files,
// and a file that fails does not fail the others. It fails if the vendor is not configured, a file exceeds a
// limit that refuses it, or the call is cancelled, which stops its uploads.
func (q *Queue) Upload(ctx context.Context, r Request) ([]File, error) {
	if _, err := q.registry.Provider(r.Vendor); err != nil {
		return nil, err
	}
	if p := providers.PreviewFrom(ctx); p != nil {
		return q.preview(ctx, r, p)
	}
	wait, cancel := untilReserve(ctx)
	defer cancel()
	list := q.inspect(wait, r)
	for _, it := range list {
		var e *reply.Error
		if r.SizeLimit.Refuse && errors.As(it.Err, &e) && e.Code == reply.CodeTooLarge {
			return nil, e
		}
	}
	for _, it := range list {
		if it.Err == nil && wait.Err() == nil {
			q.start(wait, r, it)
		}
	}
	q.await(ctx, wait, list)

	files := make([]File, len(list))
	for i, it := range list {
		if it.job != nil {
			q.release(it, !errors.Is(ctx.Err(), context.Canceled))
		} else if it.Err == nil && it.ID == "" && it.Text == "" {
			it.Pending = true
		}
		files[i] = it.File
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return files, nil
}

// preview adds the files that would be uploaded to a preview. Where their text is wanted it is the one that is kept, or that
// of a text file; what the vendor would make of another file is not known before.
func (q *Queue) preview(ctx context.Context, r Request, p *providers.Preview) ([]File, error) {
	var files []File
	for _, it := range q.inspect(ctx, r) {
		if it.Err == nil {
			it.Err = q.foresee(ctx, r, it)
		}
		if it.Err != nil {
			p.Note(fmt.Sprintf("%s would not be uploaded: %v", it.Path, it.Err))
		} else {
			p.File(providers.PlannedFile{Path: it.Path, Bytes: it.Size, Tokens: providers.EstimateTokens(it.Text)})
			if it.ID == "" {
				p.Request(providers.PlannedRequest{Op: "upload", Provider: r.Vendor})
			}
			if r.Extract && it.Text == "" {
				p.Note(fmt.Sprintf("The text of %s is not known before %s has read it; its tokens are not counted.", it.Path, q.cfg.VendorTitle(r.Vendor)))
			}
		}
		files = append(files, it.File)
	}
	if r.Extract {
		return files, nil
	}
	return nil, providers.ErrPreview
}

// foresee finds the text that a vendor would extract, as far as that is known before: one that is kept has the file's id.
func (q *Queue) foresee(ctx context.Context, r Request, it *item) error {
	if !r.Extract {
		return nil
	}
	if kept, ok, err := q.kept(ctx, r, it); ok || err != nil {
		it.ID, it.Text, it.masked = kept.FileID, kept.Text, kept.Masked
		return err
	}
	return it.with(func(f *workspace.File, _ fs.FileInfo) error {
		send, found, err := q.clean(it, f)
		if it.masked = found; err != nil {
			return err
		}
		if _, binary, err := textOf(it, f); err != nil || binary {
			it.NotChecked = binary
			return err
		}
		text, err := io.ReadAll(io.NewSectionReader(send.body, 0, send.size))
		if err != nil {
			return unreadable(it.Path, err)
		}
		it.Text = extracted(it.Name, string(text))
		return nil
	})
}

// extracted is a text as Kimi gives it back: in a JSON object.
func extracted(name, text string) string {
	var b strings.Builder
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	_ = out.Encode(map[string]string{"content": text, "file_type": "text/plain", "filename": name, "title": "", "type": "file"}) // texts marshal
	return b.String()
}

// untilReserve returns a context that ends where the call's reserve begins.
func untilReserve(ctx context.Context) (context.Context, context.CancelFunc) {
	if b, ok := providers.BudgetFrom(ctx); ok {
		return context.WithDeadline(ctx, b.AnswerBy())
	}
	return context.WithCancel(ctx)
}

// Close stops every upload, deletes files that were uploaded only to be read, and waits for both until ctx ends. Later
// calls fail.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.stop(errStopped)
	defer q.stopCleanup()
	if err := bounded.Wait(ctx, &q.active); err != nil {
		return fmt.Errorf("stopping uploads: %w", err)
	}
	return nil
}

// resultLifetime is how long a result that nobody waited for is kept for the call that comes back for it.
const resultLifetime = 10 * time.Minute
