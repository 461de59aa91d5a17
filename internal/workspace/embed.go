package workspace

import (
	"context"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Budget bounds what Embed sends.
type Budget struct {
	Tokens       int // of all files together
	MaxFiles     int // 0: bounded by Tokens alone
	MaxFileBytes int // of each file; a longer one is cut. 0: bounded by Tokens alone
	LineNumbers  bool
}

const (
	fileOverhead  = conversation.FileTokens
	usefulShare   = 400 // tokens: of many files, some get so much and the rest nothing, rather than all a few lines
	minShare      = 150 // tokens: a smaller piece of a file helps nobody
	bytesPerToken = 6   // at most, of ordinary text: reading more than the budget times this is wasted
)

// mimeText is the type of every text attachment; images have their own.
const mimeText = "text/plain"

// Embed reads files and folders for a model, within a budget: files that the caller named before those found in folders,
// whole ones as long as there is room, the large ones cut at a line with a mark. already holds what the conversation has, by
// path: what is still the same is not sent again. The manifest says what became of each file. Secrets are masked. Embed
// fails when ctx ends, and with SECRETS_IN_CONTEXT=refuse when a file holds a secret.
func (w *Workspace) Embed(ctx context.Context, refs []Ref, budget Budget, already map[string]conversation.Attachment) ([]conversation.Attachment, Manifest, error) {
	items, left, err := w.expand(ctx, refs, maxFiles)
	if err != nil {
		return nil, Manifest{}, err
	}
	e := embedding{w: w, top: w.WorkTree(refs), budget: budget, already: already, manifest: Manifest{LeftOut: left}}
	if err := e.read(ctx, e.choose(items)); err != nil {
		return nil, Manifest{}, err
	}
	e.share()
	return e.sent, e.manifest, nil
}

// embedding is the state of one Embed.
type embedding struct {
	w        *Workspace
	top      string // models are shown paths relative to it
	budget   Budget
	already  map[string]conversation.Attachment
	pieces   []piece
	manifest Manifest
	sent     []conversation.Attachment
}

// piece is a file that was read and waits for its share of the budget.
type piece struct {
	item
	text    string
	other   string // text with line numbers where it has none, and without where it has; "" where old is nil
	size    int64
	tokens  int
	cut     bool   // text is only the beginning
	moving  bool   // the file was being written
	charset string // "" for UTF-8
	old     *conversation.Attachment
}

// limited is an item with the bytes that may be read of it.
type limited struct {
	item
	limit int64
	old   *conversation.Attachment
}

// choose decides how many bytes of which file are worth reading, so that neither a thousand files nor a huge one cost more
// than the budget can hold.
func (e *embedding) choose(items []item) []limited {
	if n := e.budget.MaxFiles; n > 0 && len(items) > n {
		items = e.keepNamed(items, n)
	}
	var out []limited
	var sizes []int
	var named []bool
	for _, it := range items {
		l := limited{item: it, limit: min(it.size, maxTextBytes)}
		if old, ok := e.already[it.at.host]; ok {
			l.old = &old
		}
		if e.budget.MaxFileBytes > 0 {
			l.limit = min(l.limit, int64(e.budget.MaxFileBytes))
		}
		out = append(out, l)
		if l.old != nil {
			sizes = append(sizes, 0) // most likely unchanged: it costs nothing
		} else {
			sizes = append(sizes, int(l.limit))
		}
		named = append(named, it.named)
	}
	granted := allotTiers(sizes, named, e.budget.Tokens*bytesPerToken, smallestShare(e.budget.Tokens)*bytesPerToken)
	kept := out[:0]
	for i, l := range out {
		if granted[i] == leftOut {
			e.leaveOut(l.item, overBudget(e.budget.Tokens))
			continue
		}
		if l.old != nil {
			l.limit = min(l.limit, max(int64(len(l.old.Data))*2, int64(e.budget.Tokens)*bytesPerToken))
		} else {
			l.limit = min(l.limit, int64(granted[i]))
		}
		kept = append(kept, l)
	}
	return kept
}

// keepNamed keeps n items, those that the caller named first.
func (e *embedding) keepNamed(items []item, n int) []item {
	var kept []item
	for _, named := range []bool{true, false} {
		for _, it := range items {
			if it.named != named {
				continue
			}
			if len(kept) < n {
				kept = append(kept, it)
			} else {
				e.leaveOut(it, fmt.Sprintf("at most %d files are sent", n))
			}
		}
	}
	return kept
}

func (e *embedding) leaveOut(it item, reason string) {
	e.manifest.LeftOut = append(e.manifest.LeftOut, Entry{Path: it.at.host, Reason: reason, Bytes: it.size})
}

// read reads the files, sets aside what is unchanged, and counts the tokens of the rest.
func (e *embedding) read(ctx context.Context, files []limited) error {
	for _, l := range files {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		t, kind, err := l.at.readText(l.limit)
		if err != nil {
			e.manifest.LeftOut = append(e.manifest.LeftOut, failed(l.at.host, err))
			continue
		}
		if kind != "" {
			e.leaveOut(l.item, "binary: "+kind)
			continue
		}
		text, err := e.w.Mask(l.at.host, t.Content)
		if err != nil {
			return err
		}
		p := piece{item: l.item, text: text, size: t.Size, cut: t.Cut, moving: t.Changed, charset: namedCharset(t.Encoding), old: l.old}
		if e.budget.LineNumbers || p.old != nil {
			p.other = numbered(p.text)
		}
		if e.budget.LineNumbers {
			p.text, p.other = p.other, p.text
		}
		if p.old != nil && !p.cut && (hashOf(p.text) == p.old.SHA256 || hashOf(p.other) == p.old.SHA256) {
			e.manifest.Unchanged = append(e.manifest.Unchanged, Entry{Path: p.at.host, Bytes: p.size})
			continue
		}
		p.tokens = providers.EstimateTokens(p.text) + fileOverhead
		e.pieces = append(e.pieces, p)
	}
	return nil
}

// smallestShare is the smallest share worth giving out of a budget.
func smallestShare(tokens int) int { return max(min(usefulShare, tokens), minShare) }

// share gives each piece its part of the budget and makes the attachments.
func (e *embedding) share() {
	var sizes []int
	var named []bool
	for _, p := range e.pieces {
		sizes, named = append(sizes, p.tokens), append(named, p.named)
	}
	for i, granted := range allotTiers(sizes, named, e.budget.Tokens, smallestShare(e.budget.Tokens)) {
		p := e.pieces[i]
		if granted == leftOut {
			e.leaveOut(p.item, overBudget(e.budget.Tokens))
			continue
		}
		e.send(p, granted)
	}
}

// send attaches a piece, cut where it is longer than its share or was read in part.
func (e *embedding) send(p piece, granted int) {
	entry := Entry{Path: p.at.host, Lines: countLines(p.text), Encoding: p.charset}
	data := p.text
	if p.cut || granted < p.tokens {
		data, entry.Lines = cutText(p.text, granted-fileOverhead, p.size)
		entry.Reason = firstLines(entry.Lines)
		if p.old != nil && sameBeginning(*p.old, p, data) {
			e.manifest.Unchanged = append(e.manifest.Unchanged, Entry{Path: p.at.host, Bytes: p.size, Reason: "its beginning was sent"})
			return
		}
	}
	if p.moving && entry.Reason == "" {
		entry.Reason = "whole, but it was being written meanwhile"
	}
	entry.Tokens, entry.Bytes = providers.EstimateTokens(data)+fileOverhead, int64(len(data))
	entry.Masked = e.w.masks(data)
	e.manifest.send(entry)
	e.sent = append(e.sent, conversation.Attachment{
		Path: p.at.host, Name: nameBelow(e.top, p.at.host), SHA256: hashOf(data), MIME: mimeText, Size: p.size, Data: []byte(data),
	})
}

// sameBeginning reports whether the conversation has the beginning of this very file already, with line numbers or
// without, and no less of it than data is.
func sameBeginning(old conversation.Attachment, p piece, data string) bool {
	head, wasCut := withoutCutNote(string(old.Data))
	return wasCut && old.Size == p.size && len(old.Data) >= len(data)*3/4 &&
		(strings.HasPrefix(p.text, head) || strings.HasPrefix(p.other, head))
}
