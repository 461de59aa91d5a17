package secrets

// shortestRun is the least number of bytes without which nothing on a line can be a secret.
const shortestRun = 15

// tokenBytes are the bytes that tokens, passwords and URLs with a secret in them are made of.
var tokenBytes = func() (set [256]bool) {
	for _, b := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+/=.~%|:@-!#$&*^?") {
		set[b] = true
	}
	return set
}()

// run is a part of a line that consists of token bytes.
type run struct{ start, end int }

// nextRun returns the next run of shortestRun bytes or more that begins at from or later; its end is 0 if there is none.
// It looks at the byte where a run would end first, so that short words cost little.
func nextRun(s string, from int) run {
	for i := from; i+shortestRun <= len(s); {
		j := i + shortestRun - 1
		for j >= i && tokenBytes[s[j]] {
			j--
		}
		if j >= i {
			i = j + 1
			continue
		}
		end := i + shortestRun
		for end < len(s) && tokenBytes[s[end]] {
			end++
		}
		return run{i, end}
	}
	return run{}
}

// word reports whether a byte is a letter, a digit or an underscore.
func word(b byte) bool {
	return b == '_' || '0' <= b && b <= '9' || 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z'
}
