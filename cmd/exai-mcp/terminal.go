package main

import (
	"os"
	"strconv"

	"golang.org/x/term"
)

// Widths in columns: of output that goes to no terminal, and what is taken for the width of one.
const (
	defaultWidth = 80
	minWidth     = 40
	maxWidth     = 400
)

// width is how many columns a line of output may have: COLUMNS, else the terminal's width, else 80.
func (a *app) width() int {
	n, err := strconv.Atoi(a.getenv("COLUMNS"))
	if err != nil {
		if n, _, err = term.GetSize(a.stdoutFD()); err != nil || n <= 0 { // 0 where a terminal does not know
			return defaultWidth
		}
	}
	return min(max(n, minWidth), maxWidth)
}

// stdoutFD is stdout's file descriptor, -1 where stdout is no file.
func (a *app) stdoutFD() int {
	if f, ok := a.stdout.(*os.File); ok {
		return int(f.Fd())
	}
	return -1
}
