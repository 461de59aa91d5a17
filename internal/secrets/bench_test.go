package secrets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// source returns about a megabyte of this repository's Go source.
func source(b *testing.B) string {
	var out strings.Builder
	for _, pattern := range []string{"../*/*.go", "../*/*/*.go", "../../cmd/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			b.Fatal(err)
		}
		for _, name := range files {
			if strings.Contains(name, "secrets") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				b.Fatal(err)
			}
			if out.Write(text); out.Len() > 1<<20 {
				return out.String()[:1<<20]
			}
		}
	}
	return out.String()
}

func BenchmarkMask(b *testing.B) {
	minified := strings.ReplaceAll(strings.ReplaceAll(source(b), "\n", ""), "\t", "")
	hashes := strings.Repeat("github.com/some/module v1.2.3 h1:q7Zk2WmX9vB4nT6rYc1Hd8Lp3Js5FgQaUeRoIyKzGtN=\n", 1<<20/80)
	for name, text := range map[string]string{
		"source": source(b), "one line": minified, "hashes": hashes,
		"keywords": strings.Repeat("key_token_secret=", 1<<20/17), "runs": strings.Repeat("sk-", 1<<20/3),
		"tokens": strings.Repeat("ghp_"+letters[:36]+"\n", 1<<20/41), "short lines": strings.Repeat("}\n", 1<<19),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Mask(text)
			}
		})
	}
}
