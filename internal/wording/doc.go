// Package wording has only a test: it keeps phrases out of the repository that readers have to decode, such as archaic
// words and private idioms. banned.txt lists them with what to write instead; AGENTS.md has the glossary.
package wording
