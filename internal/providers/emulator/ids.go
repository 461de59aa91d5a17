package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// hexID is an id that looks like a vendor's and is the same in every run: length hexadecimal digits, at most 64.
func hexID(prefix string, n, length int) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(n)))
	return prefix + hex.EncodeToString(sum[:])[:length]
}
