package secrets

import "strings"

// matcher finds any of many words in a text, whatever their case. Words are lower case, of two bytes or more.
type matcher struct {
	first [1 << 16]uint16 // by a word's first two bytes, its place in buckets; 0 is none
	words [][]wordOf
}

// wordOf is a word with the number that it was given.
type wordOf struct {
	text string
	id   int
}

func newMatcher(words []wordOf) *matcher {
	m := &matcher{words: make([][]wordOf, 1)}
	for _, w := range words {
		for _, a := range bothCases(w.text[0]) {
			for _, b := range bothCases(w.text[1]) {
				at := &m.first[int(a)<<8|int(b)]
				if *at == 0 {
					m.words = append(m.words, nil)
					*at = uint16(len(m.words) - 1)
				}
				m.words[*at] = append(m.words[*at], w)
			}
		}
	}
	return m
}

// bothCases are the two forms of a lower-case letter, and any other byte alone.
func bothCases(b byte) []byte {
	if 'a' <= b && b <= 'z' {
		return []byte{b, b - 'a' + 'A'}
	}
	return []byte{b}
}

// each calls f with the id and the place of each word in s[from:to], in order of place.
func (m *matcher) each(s string, from, to int, f func(id, at int)) {
	for i := from; i+1 < to; i++ {
		bucket := m.first[int(s[i])<<8|int(s[i+1])]
		if bucket == 0 {
			continue
		}
		for _, w := range m.words[bucket] {
			if len(w.text) <= to-i && strings.EqualFold(s[i:i+len(w.text)], w.text) {
				f(w.id, i)
			}
		}
	}
}

// has reports whether s holds any of the words.
func (m *matcher) has(s string) (found bool) {
	m.each(s, 0, len(s), func(int, int) { found = true })
	return found
}
