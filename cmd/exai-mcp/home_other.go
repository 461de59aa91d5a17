//go:build !windows

package main

// homeVariable names the user's home folder.
const homeVariable = "HOME"
