package upload_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/upload"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a queue over stub vendors whose uploads take as long as their content says.
type fixture struct {
	*upload.Queue
	t     *testing.T
	cfg   *config.Config
	log   *activity.Log
	files *workspace.Workspace
	dir   string
	kimi  *providertest.Stub

	mu                         sync.Mutex
	uploads, extracts, deletes []string
	atOnce, maxAtOnce          int
}

func newFixture(t *testing.T, set ...func(*config.Config)) *fixture {
	b := &fixture{t: t, cfg: config.Default(), dir: t.TempDir()}
	b.cfg.GLM.APIKey, b.cfg.Kimi.APIKey = "k", "k"
	b.cfg.Calls.MaxRetries = 0
	b.cfg.Files.AllowedRoots = []string{b.dir}
	b.cfg.Conversations.StateDir = t.TempDir()
	for _, s := range set {
		s(b.cfg)
	}
	b.kimi = &providertest.Stub{
		Vendor: "kimi", UploadFunc: b.upload,
		ExtractFunc: func(_ context.Context, id string) (string, error) {
			b.note(&b.extracts, id)
			return "text of " + id, nil
		},
		DeleteFileFunc: func(_ context.Context, id string) error {
			b.note(&b.deletes, id)
			return nil
		},
	}
	b.start()
	return b
}

// start makes the queue, as a new process does.
func (b *fixture) start() {
	reg, err := calls.NewRegistry(b.cfg, &providertest.Stub{Vendor: "glm", UploadFunc: b.upload}, b.kimi)
	require.NoError(b.t, err)
	b.log = activity.Open(b.cfg, nil)
	b.files, err = workspace.New(b.cfg.Files, b.cfg.Conversations.StateDir, "", "", nil, nil)
	require.NoError(b.t, err)
	q := upload.New(upload.Options{
		Config: b.cfg, Registry: reg, Caller: calls.NewCaller(reg, b.cfg, b.log, nil), Activity: b.log,
	})
	log := b.log
	b.Queue = q
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(b.t, q.Close(ctx))
		assert.NoError(b.t, log.Close())
	})
}

func (b *fixture) note(list *[]string, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(*list, what)
}

func (b *fixture) noted(list *[]string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, *list...)
}

// upload takes as long as the file's content says, a quarter of it at a time; "fail" is refused.
func (b *fixture) upload(ctx context.Context, f providers.File) (providers.FileRef, error) {
	b.mu.Lock()
	b.uploads = append(b.uploads, f.Name)
	b.atOnce++
	b.maxAtOnce = max(b.maxAtOnce, b.atOnce)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.atOnce--
		b.mu.Unlock()
	}()
	data, err := io.ReadAll(f.Body)
	if err != nil {
		return providers.FileRef{}, err
	}
	took, err := time.ParseDuration(string(data))
	if err != nil {
		return providers.FileRef{}, &providers.Error{Kind: providers.KindInvalidRequest, Message: "refused"}
	}
	for i := range int64(4) {
		wait := time.NewTimer(took / 4)
		select {
		case <-wait.C:
			f.Sent(f.Size * (i + 1) / 4)
		case <-ctx.Done():
			wait.Stop()
			return providers.FileRef{}, context.Cause(ctx)
		}
	}
	return providers.FileRef{ID: "id-" + f.Name, Name: f.Name, Size: f.Size}, nil
}

// file is one whose upload takes so long.
func (b *fixture) file(name, takes string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(b.t, os.WriteFile(path, []byte(takes), 0o644))
	return path
}

// call is the context of a tool call that begins now.
func (b *fixture) call() context.Context {
	limit := b.cfg.Timeouts.For(config.ClassFile)
	budget := providers.Budget{Limit: limit, Class: config.ClassFile, Start: time.Now()}
	ctx, cancel := context.WithDeadlineCause(b.t.Context(), budget.Deadline(), reply.LimitExceeded(limit))
	b.t.Cleanup(cancel)
	return providers.WithBudget(ctx, budget)
}

func (b *fixture) read(paths ...string) upload.Request {
	return upload.Request{Tool: "t", Vendor: "kimi", Purpose: "file-extract", Files: b.refs(paths...), Extract: true}
}

// refs resolves paths, each by itself, so that one may come twice.
func (b *fixture) refs(paths ...string) (refs []workspace.Ref) {
	for _, path := range paths {
		found, problems := b.files.Resolve(b.t.Context(), []string{path})
		require.Empty(b.t, problems)
		refs = append(refs, found...)
	}
	return refs
}

func (b *fixture) uploadAll(r upload.Request) []upload.File {
	b.t.Helper()
	files, err := b.Upload(b.call(), r)
	require.NoError(b.t, err)
	return files
}

func TestFilesGoAtOnceAndComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t)
		var paths []string
		for i := range 8 {
			paths = append(paths, b.file(fmt.Sprintf("%d.txt", i), fmt.Sprintf("%ds", 8-i)))
		}
		start := time.Now()
		files := b.uploadAll(b.read(paths...))
		assert.Less(t, time.Since(start), 20*time.Second, "36 s one after the other")
		for i, f := range files {
			assert.Equal(t, upload.File{
				Path: paths[i], Name: filepath.Base(paths[i]), Size: 2, ID: "id-" + filepath.Base(paths[i]), Text: "text of id-" + filepath.Base(paths[i]),
			}, f)
		}
		assert.Equal(t, b.cfg.KimiFiles.MaxParallel, b.maxAtOnce)
		synctest.Wait()
		assert.Len(t, b.noted(&b.deletes), 8)
	})
}

func TestOneFailureIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t)
		r := b.read(b.file("a", "1s"), b.file("b", "fail"), b.file("missing", "1s"), b.file("large", "11111111111s"), b.file("c", "1s"))
		require.NoError(t, os.Remove(filepath.Join(b.dir, "missing")))
		r.SizeLimit = upload.SizeLimit{Setting: "KIMI_FILES_MAX_SIZE_MB", MB: 10.0 / (1 << 20)}
		files := b.uploadAll(r)
		var codes []reply.Code
		for _, f := range files {
			if f.Err != nil {
				codes = append(codes, reply.FromError(t.Context(), f.Err).Code)
			} else {
				codes = append(codes, "")
			}
		}
		assert.Equal(t, []reply.Code{"", "invalid_request", "file_not_found", "too_large", ""}, codes)
		assert.Equal(t, "text of id-c", files[4].Text)

		r.SizeLimit.Refuse = true
		b.uploads = nil
		_, err := b.Upload(b.call(), r)
		assert.Equal(t, reply.CodeTooLarge, reply.FromError(t.Context(), err).Code)
		assert.Empty(t, b.noted(&b.uploads), "nothing is sent")
	})
}

// What is not through at the limit goes on, and the same call, sent again, waits for it.
func TestUploadsGoOnBehindTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t)
		quick, slow := b.file("quick", "1s"), b.file("slow", "80s")
		start := time.Now()
		files := b.uploadAll(b.read(quick, slow))
		assert.InDelta(t, 53, time.Since(start).Seconds(), 1, "FILE_TOOL_TIMEOUT_SECS less its reserve")
		assert.Equal(t, "text of id-quick", files[0].Text)
		assert.Equal(t, upload.File{Path: slow, Name: "slow", Size: 3, Pending: true, Sent: 1}, files[1], "half of it is sent")
		running := b.log.Running()
		require.Len(t, running, 1)
		assert.True(t, running[0].Background)
		assert.Equal(t, "t", running[0].Tool)

		// Written again with the same content: it is the same file.
		b.file("slow", "80s")
		files = b.uploadAll(b.read(quick, slow))
		assert.InDelta(t, 80, time.Since(start).Seconds(), 1)
		assert.Equal(t, "text of id-slow", files[1].Text)
		assert.Equal(t, "text of id-quick", files[0].Text)
		assert.ElementsMatch(t, []string{"quick", "slow"}, b.noted(&b.uploads), "each was sent once")
		synctest.Wait()
		assert.Empty(t, b.log.Running())
	})
}

func TestAResultThatNobodyWaitedForIsKept(t *testing.T) {
	store := func(b *fixture, paths ...string) upload.Request {
		return upload.Request{Tool: "t", Vendor: "glm", Purpose: "agent", Files: b.refs(paths...)}
	}
	t.Run("an id", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newFixture(t)
			path := b.file("a", "70s")
			assert.True(t, b.uploadAll(store(b, path))[0].Pending)
			time.Sleep(5 * time.Minute)
			start := time.Now()
			assert.Equal(t, "id-a", b.uploadAll(store(b, path))[0].ID)
			assert.Zero(t, time.Since(start))
			assert.Len(t, b.noted(&b.uploads), 1)
			assert.True(t, b.uploadAll(store(b, path))[0].Pending, "after that, it is another upload")
			assert.Len(t, b.noted(&b.uploads), 2)
		})
	})
	t.Run("not forever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newFixture(t)
			path := b.file("a", "70s")
			b.uploadAll(store(b, path))
			time.Sleep(15 * time.Minute)
			b.uploadAll(store(b, path))
			assert.Len(t, b.noted(&b.uploads), 2)
		})
	})
	t.Run("a failure, once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newFixture(t, func(c *config.Config) { c.Logs.ActivityPath = filepath.Join(t.TempDir(), "activity.jsonl") })
			path := b.file("a", "100s")
			assert.True(t, b.uploadAll(b.read(path))[0].Pending)
			time.Sleep(time.Minute)
			err := b.uploadAll(b.read(path))[0].Err
			e := reply.FromError(t.Context(), err)
			assert.Equal(t, reply.CodeTimeout, e.Code)
			require.NotNil(t, e.Limit)
			assert.Equal(t, "KIMI_FILES_UPLOAD_TIMEOUT_SECS=90s", e.Limit.String())
			assert.Equal(t, 1, b.log.Stats().Limits["KIMI_FILES_UPLOAD_TIMEOUT_SECS"])
			passed, err := b.log.TailActivity(t.Context(), activity.Query{Lines: 1, Filter: regexp.MustCompile("LIMIT_EXCEEDED")})
			require.NoError(t, err)
			require.Len(t, passed, 1)
			assert.Contains(t, passed[0], `"tool":"t"`)
			assert.True(t, b.uploadAll(b.read(path))[0].Pending, "the next call tries again")
		})
	})
}

func TestCancellingStopsUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t)
		path := b.file("a", "40s")
		ctx, cancel := context.WithCancelCause(b.call())
		gone := errors.New("gone")
		time.AfterFunc(10*time.Second, func() { cancel(gone) })
		start := time.Now()
		_, err := b.Upload(ctx, b.read(path))
		assert.ErrorIs(t, err, gone)
		assert.Equal(t, 10*time.Second, time.Since(start))
		synctest.Wait()
		assert.Zero(t, b.atOnce, "stopped at once")

		// But not while somebody else waits for it.
		var other []upload.File
		done := make(chan struct{})
		go func() {
			defer close(done)
			other, _ = b.Upload(b.call(), b.read(path))
		}()
		ctx, cancel = context.WithCancelCause(b.call())
		time.AfterFunc(10*time.Second, func() { cancel(gone) })
		_, err = b.Upload(ctx, b.read(path))
		assert.ErrorIs(t, err, gone)
		<-done
		assert.Equal(t, "text of id-a", other[0].Text)
		assert.Len(t, b.noted(&b.uploads), 2)
	})
}

func TestCloseStopsWhatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t)
		path := b.file("a", "80s")
		assert.True(t, b.uploadAll(b.read(path))[0].Pending)
		start := time.Now()
		require.NoError(t, b.Close(t.Context()))
		assert.Zero(t, time.Since(start))
		assert.Zero(t, b.atOnce)
		files, err := b.Upload(b.call(), b.read(path))
		require.NoError(t, err)
		assert.Error(t, files[0].Err)
	})
}

func TestTextsAreKept(t *testing.T) {
	t.Run("across restarts, by content", func(t *testing.T) {
		b := newFixture(t)
		path := b.file("a.txt", "0s")
		first := b.uploadAll(b.read(path))
		b.start()
		assert.Equal(t, first, b.uploadAll(b.read(path)))
		copied := b.file("elsewhere/a.txt", "0s")
		assert.Equal(t, "text of id-a.txt", b.uploadAll(b.read(copied))[0].Text, "another place")
		assert.Len(t, b.noted(&b.uploads), 1)
		b.uploadAll(b.read(b.file("b.txt", "0s")))
		assert.Len(t, b.noted(&b.uploads), 2, "another name: the vendor's text holds it")
		b.uploadAll(b.read(b.file("a.txt", "1ns")))
		assert.Len(t, b.noted(&b.uploads), 3, "another content")

		kept, err := filepath.Glob(filepath.Join(b.cfg.Conversations.StateDir, "extracted", "*"))
		require.NoError(t, err)
		require.Len(t, kept, 3)
		for _, name := range kept {
			info, err := os.Stat(name)
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
			assert.Equal(t, ".json", filepath.Ext(name))
		}
		inProject, err := os.ReadDir(b.dir)
		require.NoError(t, err)
		assert.Len(t, inProject, 3, "nothing of ours among the user's files")
		// What can't be read counts as not there.
		for _, name := range kept {
			require.NoError(t, os.WriteFile(name, []byte("{"), 0o600))
		}
		b.uploadAll(b.read(copied))
		assert.Len(t, b.noted(&b.uploads), 4)
	})
	t.Run("in memory where nothing is to be written", func(t *testing.T) {
		b := newFixture(t, func(c *config.Config) { c.Conversations.Backend = "memory" })
		path := b.file("a.txt", "0s")
		b.uploadAll(b.read(path))
		b.uploadAll(b.read(path))
		assert.Len(t, b.noted(&b.uploads), 1)
		left, err := os.ReadDir(b.cfg.Conversations.StateDir)
		require.NoError(t, err)
		assert.Empty(t, left)
	})
	t.Run("not forever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newFixture(t)
			path := b.file("a.txt", "0s")
			b.uploadAll(b.read(path))
			time.Sleep(31 * 24 * time.Hour)
			b.uploadAll(b.read(path))
			assert.Len(t, b.noted(&b.uploads), 2)
		})
	})
}

// A file is asked for again while the vendor may still be parsing it.
func TestTextIsFetchedAgain(t *testing.T) {
	parsing := &providers.Error{Kind: providers.KindInvalidRequest, Message: "not yet"}
	for name, c := range map[string]struct {
		fails int
		with  error
		tries int
		took  time.Duration
		ok    bool
	}{
		"parsing":       {2, parsing, 3, 1400 * time.Millisecond, true},
		"never":         {9, parsing, 4, 3020 * time.Millisecond, false},
		"no permission": {9, &providers.Error{Kind: providers.KindAuth, Message: "no"}, 1, 0, false},
		"had its tries": {9, &providers.Error{Kind: providers.KindNetwork, Message: "no", Retry: true}, 1, 0, false},
		"empty":         {1, nil, 2, 500 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newFixture(t)
				tries := 0
				b.kimi.ExtractFunc = func(context.Context, string) (string, error) {
					if tries++; tries <= c.fails {
						return "", c.with
					}
					return "text", nil
				}
				start := time.Now()
				f := b.uploadAll(b.read(b.file("a", "0s")))[0]
				assert.Equal(t, c.tries, tries)
				assert.Equal(t, c.took, time.Since(start))
				assert.Equal(t, c.ok, f.Err == nil)
				synctest.Wait()
				assert.Equal(t, []string{"id-a"}, b.noted(&b.deletes), "deleted either way")
			})
		})
	}
}

func TestKeepLeavesTheFileAtTheVendor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, func(c *config.Config) { c.KimiFiles.Keep = true })
		b.uploadAll(b.read(b.file("a", "0s")))
		synctest.Wait()
		assert.Empty(t, b.noted(&b.deletes))
	})
}

// The reply does not wait for the file to be deleted, but the end of the process does.
func TestDeletingHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t)
		b.kimi.DeleteFileFunc = func(ctx context.Context, id string) error {
			select {
			case <-time.After(3 * time.Second):
				b.note(&b.deletes, id)
			case <-ctx.Done():
			}
			return context.Cause(ctx)
		}
		start := time.Now()
		b.uploadAll(b.read(b.file("a", "1s")))
		assert.Equal(t, time.Second, time.Since(start))
		require.NoError(t, b.Close(t.Context()))
		assert.Equal(t, []string{"id-a"}, b.noted(&b.deletes))

		b.start()
		b.uploadAll(b.read(b.file("b", "1s")))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.Error(t, b.Close(ctx), "but not forever")
		synctest.Wait()
		assert.Len(t, b.noted(&b.deletes), 1)
	})
}

// A file that is written to between its hash and its end is not taken for what it was.
func TestFileThatChangesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t)
		path := b.file("a", "10s")
		go func() {
			time.Sleep(5 * time.Second)
			b.file("a", "20s")
		}()
		f := b.uploadAll(b.read(path))[0]
		require.Error(t, f.Err)
		assert.Contains(t, f.Err.Error(), "changed")
		synctest.Wait()
		assert.Equal(t, []string{"id-a"}, b.noted(&b.deletes))
	})
}

func TestPanicOfAVendorIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t)
		b.kimi.UploadFunc = func(context.Context, providers.File) (providers.FileRef, error) { panic("secret") }
		f := b.uploadAll(b.read(b.file("a", "1s")))[0]
		require.Error(t, f.Err)
		assert.Equal(t, reply.CodeInternal, reply.FromError(t.Context(), f.Err).Code)
	})
}

func TestSameFileTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t)
		path := b.file("a", "1s")
		files := b.uploadAll(b.read(path, path))
		assert.Equal(t, files[0], files[1])
		assert.Equal(t, "text of id-a", files[1].Text)
		assert.Len(t, b.noted(&b.uploads), 1)
	})
}
