//go:build linux

package main

import (
	"fmt"
	"html"
	"os"
	"strings"
)

// The files that -write changes, from the repository's root.
const (
	tableFile = "docs/benchmarks.md"
	plotFile  = "docs/benchmarks.svg"
)

// publish puts the figures into the documents.
func publish(figures []figure) error {
	text, err := os.ReadFile(tableFile)
	if err != nil {
		return err
	}
	const begin, end = "<!-- bench -->\n", "<!-- /bench -->"
	head, rest, found := strings.Cut(string(text), begin)
	_, foot, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s lacks the marks %s and %s", tableFile, strings.TrimSpace(begin), end)
	}
	changed := head + begin + table(figures) + end + foot
	if err := os.WriteFile(tableFile, []byte(changed), 0o644); err != nil { //nolint:gosec // a document
		return err
	}
	return os.WriteFile(plotFile, []byte(plot(figures)), 0o644) //nolint:gosec // a document
}

// table is the figures in Markdown.
func table(figures []figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s.\n\n| figure | measured | bound | holds | how |\n|---|---|---|---|---|\n", machine())
	for _, f := range figures {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", f.what, f.value, f.bound, f.mark(), f.details)
	}
	return b.String()
}

// plot is an SVG with a bar for each figure, as its share of the bound. It draws its own background, so that it is readable
// on light and on dark pages.
func plot(figures []figure) string {
	const (
		width, row, top = 960, 34, 62
		left, scale     = 330, 360 // where bars begin; how long one is that reaches its bound
		most            = 1.1      // of the bound; longer bars are cut
	)
	height := top + row*len(figures) + 16
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="Each figure as a share of its bound">
<style>
  .ground { fill: #ffffff; stroke: #d0d7de }
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .faint { fill: #59636e }
  .holds { fill: #2f81c7 }
  .broken { fill: #c9372c }
  .bound { stroke: #59636e; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .faint { fill: #9198a1 }
    .holds { fill: #4493f8 }
    .broken { fill: #f85149 }
    .bound { stroke: #9198a1 }
  }
</style>
<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>
<text class="title" x="16" y="26">Each figure as a share of its bound</text>
<text class="faint" x="16" y="46">%s</text>
<text class="faint" x="%d" y="46" text-anchor="middle">bound</text>
<line class="bound" x1="%d" y1="52" x2="%d" y2="%d"/>
`, width, height, width, height, width-1, height-1, html.EscapeString(machine()), left+scale, left+scale, left+scale, height-10)
	for i, f := range figures {
		y := top + row*i
		class := "holds"
		if !f.ok() {
			class = "broken"
		}
		long := min(f.share, most) * scale
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-10, y+17, html.EscapeString(f.what))
		fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="20" rx="3"/>`+"\n", class, left, y+2, max(long, 2))
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`+"\n", left+long+8, y+17, html.EscapeString(f.value))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
