//go:build linux

package main

import (
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"strings"
	"time"
)

// The files that -write changes, from the repository's root.
const (
	tableFile  = "docs/benchmarks.md"
	plotFile   = "docs/benchmarks.svg"
	growthFile = "docs/growth.svg"
)

// publish puts the figures into the documents.
func publish(figures []figure, growing []series) error {
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
	return errors.Join(
		os.WriteFile(plotFile, []byte(plot(figures)), 0o644),         //nolint:gosec // a document
		os.WriteFile(growthFile, []byte(growthPlot(growing)), 0o644), //nolint:gosec // a document
	)
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

// style is both plots', on light and on dark pages.
const style = `<style>
  .ground { fill: #ffffff; stroke: #d0d7de }
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .faint { fill: #59636e }
  .holds { fill: #2f81c7 }
  .broken { fill: #c9372c }
  .bound { stroke: #59636e; stroke-dasharray: 4 3 }
  .line { stroke: #2f81c7; stroke-width: 2; fill: none }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .faint { fill: #9198a1 }
    .holds { fill: #4493f8 }
    .broken { fill: #f85149 }
    .bound { stroke: #9198a1 }
    .line { stroke: #4493f8 }
  }
</style>`

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
%s
<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>
<text class="title" x="16" y="26">Each figure as a share of its bound</text>
<text class="faint" x="16" y="46">%s</text>
<text class="faint" x="%d" y="46" text-anchor="middle">bound</text>
<line class="bound" x1="%d" y1="52" x2="%d" y2="%d"/>
`, width, height, width, height, style, width-1, height-1, html.EscapeString(machine()), left+scale, left+scale, left+scale, height-10)
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

// growthPlot is an SVG with a small plot for each series: both axes are logarithmic, and the dashed line shows linear growth from the
// first point on.
func growthPlot(all []series) string {
	const (
		columns, wide, high = 3, 312, 168
		top, margin         = 62, 12
		plotLeft, plotTop   = 14, 34 // within a small plot
		plotWide, plotHigh  = 284, 96
	)
	width, height := columns*wide+2*margin, top+(len(all)+columns-1)/columns*high+margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="How long calls and commands take as what they read grows">
%s
<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>
<text class="title" x="16" y="26">Time by size, both logarithmic; dashed: linear growth</text>
<text class="faint" x="16" y="46">%s</text>
`, width, height, width, height, style, width-1, height-1, html.EscapeString(machine()))
	for i, s := range all {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", margin+i%columns*wide, top+i/columns*high)
		first, last := s.points[0], s.points[len(s.points)-1]
		across := math.Log(float64(last.n) / float64(first.n))
		// As much time as linear growth takes, so that every plot shows the same slopes.
		at := func(n int, took time.Duration) (x, y float64) {
			x = plotLeft + plotWide*math.Log(float64(n)/float64(first.n))/across
			y = plotTop + plotHigh - plotHigh*math.Log(float64(took)/float64(first.took))/across
			return x, min(max(y, plotTop-8), plotTop+plotHigh)
		}
		fmt.Fprintf(&b, `<text x="%d" y="18">%s</text>`+"\n", plotLeft, html.EscapeString(s.what))
		fmt.Fprintf(&b, `<line class="bound" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", plotLeft, plotTop+plotHigh, plotLeft+plotWide, plotTop)
		var line []string
		for _, p := range s.points {
			x, y := at(p.n, p.took)
			line = append(line, fmt.Sprintf("%.1f,%.1f", x, y))
			fmt.Fprintf(&b, `<circle class="holds" cx="%.1f" cy="%.1f" r="3.5"/>`+"\n", x, y)
		}
		fmt.Fprintf(&b, `<polyline class="line" points="%s"/>`+"\n", strings.Join(line, " "))
		fmt.Fprintf(&b, `<text class="faint" x="%d" y="%d">%d %s: %s</text>`+"\n", plotLeft, plotTop+plotHigh+20, first.n, html.EscapeString(s.of), shown(first.took))
		fmt.Fprintf(&b, `<text class="faint" x="%d" y="%d" text-anchor="end">%d: %s</text>`+"\n</g>\n", plotLeft+plotWide, plotTop+plotHigh+20, last.n, shown(last.took))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
