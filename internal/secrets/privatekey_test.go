package secrets

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const (
	begin = "-----BEGIN " + "RSA PRIVATE KEY-----"
	end   = "-----END " + "RSA PRIVATE KEY-----"
	body  = "MIIEowIBAAKCAQEAq7Zk2WmX9vB4nT6rYc1Hd8Lp3Js5FgQaUeRoIyKzGtNbVxCw"
	tail  = "MhSjDfPlE0q7Zk2WmX9vB4nT6r=="
)

func TestPrivateKeyMasksEachLine(t *testing.T) {
	for name, block := range map[string][2]string{
		"plain":     {begin + "\n" + body + "\n" + body + "\n" + tail + "\n" + end, "[]\n[]\n[]\n[]\n[]"},
		"crlf":      {begin + "\r\n" + body + "\r\n" + tail + "\r\n" + end, "[]\r\n[]\r\n[]\r\n[]"},
		"indented":  {"  k: |\n    " + begin + "\n    " + body + "\n    " + tail + "\n    " + end + "\n  x: 1", "  k: |\n    []\n    []\n    []\n    []\n  x: 1"},
		"literal":   {"k = `" + begin + "\n" + body + "\n" + tail + "\n" + end + "`\nx()", "k = `[]\n[]\n[]\n[]`\nx()"},
		"added":     {`"` + begin + `\n" +` + "\n\t" + `"` + body + `\n" +` + "\n\t" + `"` + tail + `\n" +` + "\n\t" + `"` + end + `"`, "\"[]\\n\" +\n\t\"[]\\n\" +\n\t\"[]\\n\" +\n\t\"[]\""},
		"diff":      {" a\n+" + begin + "\n+" + body + "\n+" + tail + "\n+" + end + "\n b", " a\n+[]\n+[]\n+[]\n+[]\n b"},
		"removed":   {"-" + begin + "\n-" + body + "\n-" + end, "-[]\n-[]\n-[]"},
		"numbered":  {"   1| " + begin + "\n   2| " + body + "\n   3| " + end, "   1| []\n   2| []\n   3| []"},
		"comment":   {"# " + begin + "\n# " + body + "\n# " + end, "# []\n# []\n# []"},
		"one line":  {`"key": "` + begin + `\n` + body + `\n` + tail + `\n` + end + `\n",`, `"key": "[]\n",`},
		"spaces":    {"KEY=" + begin + " " + body + " " + body + " " + end, "KEY=[]"},
		"headers":   {begin + "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0011\n\n" + body + "\n" + end, "[]\n[]\n[]\n\n[]\n[]"},
		"armored":   {"-----BEGIN " + "PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n" + body + "\n" + tail + "\n=aB3d\n-----END " + "PGP PRIVATE KEY BLOCK-----", "[]\n[]\n\n[]\n[]\n[]\n[]"},
		"no end":    {begin + "\n" + body + "\n" + tail + "\nfunc", "[]\n[]\n[]\nfunc"},
		"no begin":  {"@@ -3 +3 @@\n " + body + "\n-" + tail + "\n " + end + "\n x", "@@ -3 +3 @@\n []\n-[]\n []\n x"},
		"within":    {"@@ -9,4 +9,4 @@ " + body + "\n " + body + "\n-" + body + "\n+" + body + "\n " + body + "\n@@ -30 +30 @@ x\n-a\n+b", "@@ -9,4 +9,4 @@ []\n []\n-[]\n+[]\n []\n@@ -30 +30 @@ x\n-a\n+b"},
		"behind":    {"@@ -9,2 +9,3 @@ " + body + "\r\n " + end + "\n x\n+y", "@@ -9,2 +9,3 @@ []\r\n " + end + "\n x\n+y"},
		"few lines": {"@@ -1 +1,2 @@\n " + body + "\n+" + body, "@@ -1 +1,2 @@\n " + body + "\n+" + body},
		"digests":   {"@@ -1,4 +1,4 @@\n" + strings.Repeat(" "+hexes+hexes[:16]+"\n", 5), "@@ -1,4 +1,4 @@\n" + strings.Repeat(" "+hexes+hexes[:16]+"\n", 5)},
		"public part": {
			"@@ -1,4 +1,4 @@\n " + body + "\n-" + body + "\n+" + body + "\n " + body + "\n -----END PUBLIC KEY-----",
			"@@ -1,4 +1,4 @@\n " + body + "\n-" + body + "\n+" + body + "\n " + body + "\n -----END PUBLIC KEY-----",
		},
		"marker":    {`if strings.HasPrefix(s, "` + begin + `") {` + "\n\treturn\n}\n" + body, `if strings.HasPrefix(s, "` + begin + `") {` + "\n\treturn\n}\n" + body},
		"prose":     {"It begins with " + begin + " and ends with\n" + end + ".", "It begins with " + begin + " and ends with\n" + end + "."},
		"templates": {begin + "\n{{ .Key }}\n" + end, begin + "\n{{ .Key }}\n" + end},
		"public":    {"-----BEGIN PUBLIC KEY-----\n" + body + "\n-----END PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----\n" + body + "\n-----END PUBLIC KEY-----"},
	} {
		t.Run(name, func(t *testing.T) {
			masked, found := Mask(block[0])
			assert.Equal(t, strings.ReplaceAll(block[1], "[]", "[secret: private-key]"), masked)
			assert.Len(t, found, strings.Count(block[1], "[]"))
		})
	}
}

func TestPrivateKeyLineNumbers(t *testing.T) {
	_, found := Mask("a\n" + begin + "\n" + body + "\n" + end + "\nghp_" + letters[:36])
	assert.Equal(t, []Found{
		{2, privateKey}, {3, privateKey}, {4, privateKey}, {5, "github-pat"},
	}, found)
}
