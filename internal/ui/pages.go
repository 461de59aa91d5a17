package ui

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/activity"
)

//go:embed templates/*.html
var sources embed.FS

// page is what every template gets.
type page struct {
	View  string // its template's name
	Store string
	Data  any
}

// pages are the templates, by the view's name. Each view is a set of its own with the layout, so that their parts don't mix.
type pages struct{ views map[string]*template.Template }

// viewNames are the views, each a file of templates.
var viewNames = []string{"overview", "calls", "cost", "conversations", "conversation", "issues", "issue", "message"}

func parsePages() (*pages, error) {
	p := &pages{views: map[string]*template.Template{}}
	shared, err := template.New("layout.html").Funcs(functions).ParseFS(sources, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("templates of the page: %w", err)
	}
	for _, name := range viewNames {
		t, err := shared.Clone()
		if err == nil {
			t, err = t.ParseFS(sources, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("template of the view %s: %w", name, err)
		}
		p.views[name] = t
	}
	p.views["running"] = shared.Lookup("running") // a part alone, which the script fetches
	return p, nil
}

// write makes a view whole before it sends anything of it. Keys are masked in what is sent.
func (p *pages) write(w http.ResponseWriter, status int, name string, data page, masks *activity.Redactor) error {
	var b bytes.Buffer
	t := p.views[name]
	var err error
	if name == "running" {
		err = t.Execute(&b, data.Data)
	} else {
		err = t.Execute(&b, data)
	}
	if err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return fmt.Errorf("view %s: %w", name, err)
	}
	text := b.String()
	if masks != nil {
		text = masks.String(text)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err = w.Write([]byte(text))
	return err
}

var functions = template.FuncMap{
	"visible": escapeControls, "oneLine": oneLine, "clip": clip, "clipped": clipped, "usd": usd, "tokens": tokens, "when": when, "utc": utc,
	"seconds": seconds, "json": jsonText, "query": query, "word": word,
	"safeQuery": func(encoded string) template.URL { return template.URL(encoded) }, // of url.Values.Encode
}

// escapeControls is a text in which characters that hide or reorder others are shown as their code: control characters but line
// breaks and tabs, and the marks of bidirectional text.
func escapeControls(text string) string {
	if !strings.ContainsFunc(text, hides) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hides(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hides(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' || r == '\ufeff'
}

// maxShown is how many characters of one text a page shows, of which browsers are still quick.
const maxShown = 200_000

func clip(text string) string {
	if !clipped(text) {
		return text
	}
	n := maxShown
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

func clipped(text string) bool { return len(text) > maxShown }

// oneLine is a text's beginning on one line, for a list.
func oneLine(text string) string {
	text = escapeControls(strings.Join(strings.Fields(clip(text)), " "))
	if r := []rune(text); len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return text
}

func usd(amount float64) string {
	switch {
	case amount == 0:
		return "0"
	case amount < 0.01:
		return fmt.Sprintf("%.4f", amount)
	case amount < 1:
		return fmt.Sprintf("%.3f", amount)
	}
	return fmt.Sprintf("%.2f", amount)
}

func tokens(n int) string {
	switch f := float64(n); {
	case n < 10_000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f k", f/1e3)
	default:
		return fmt.Sprintf("%.1f M", f/1e6)
	}
}

// when is a time as people here read it.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

func jsonText(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// query is a query of names and values, for a link. What is empty is left out.
func query(pairs ...string) template.URL {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return template.URL(q.Encode()) // #nosec G203 -- encoded
}

// word is a machine's word as people read it: "in progress" for in_progress.
func word(s any) string { return oneLine(strings.ReplaceAll(fmt.Sprint(s), "_", " ")) }
