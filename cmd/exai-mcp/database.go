package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

// reopenAfter is how long a failure to open the database stands before a call tries again.
const reopenAfter = 5 * time.Second

var errClosed = errors.New("the server is shutting down")

// database is the store while it may still be opening: that goes on beside the handshake, and a call that needs the
// store waits for it within its own time.
type database struct {
	settings config.Conversations
	log      *zap.Logger
	ctx      context.Context // ends the opening
	cancel   context.CancelFunc

	mu       sync.Mutex
	latest   *opening
	attempts sync.WaitGroup // until each has been logged
}

// opening is one attempt.
type opening struct {
	done  chan struct{}
	store *store.Store
	err   error
	ended time.Time
}

func newDatabase(settings config.Conversations, log *zap.Logger) *database {
	d := &database{settings: settings, log: log}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// prewarm opens the database in the background, unless it is open or being opened.
func (d *database) prewarm() *opening {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o := d.latest; o != nil && (d.ctx.Err() != nil || !o.stale()) {
		return o
	}
	o := &opening{done: make(chan struct{})}
	d.latest = o
	d.attempts.Go(func() {
		start := time.Now()
		o.store, o.err = store.OpenOrRemember(d.ctx, d.settings)
		o.ended = time.Now()
		close(o.done)
		switch {
		case o.err == nil:
			d.log.Info("database open", zap.String("kind", o.store.Backend()), zap.String("where", o.store.Location()),
				zap.Float64("took_secs", o.ended.Sub(start).Seconds()))
			for _, warning := range o.store.Warnings() {
				d.log.Warn(warning)
			}
		case d.ctx.Err() == nil: // else it was ended by close, which is no failure
			d.log.Error("the database could not be opened; the next call that needs it tries again", zap.Error(o.err))
		}
	})
	return o
}

// stale reports whether an attempt failed long enough ago to make another.
func (o *opening) stale() bool {
	select {
	case <-o.done:
		return o.err != nil && time.Since(o.ended) > reopenAfter
	default:
		return false
	}
}

// get waits for the open store, until ctx ends.
func (d *database) get(ctx context.Context) (*store.Store, error) {
	o := d.prewarm()
	select {
	case <-o.done:
		return o.store, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// close ends the connections, and an attempt to make them. Nothing is opened after it.
func (d *database) close() error {
	d.mu.Lock()
	o := d.latest
	if o == nil {
		o = &opening{done: make(chan struct{}), err: errClosed}
		close(o.done)
		d.latest = o
	}
	d.cancel()
	d.mu.Unlock()
	d.attempts.Wait()
	if o.store != nil {
		return o.store.Close()
	}
	return nil
}
