package workspace

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tinyWebP is a 1x1 picture.
const tinyWebP = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="

func pictures(t *testing.T) map[string][]byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 3, 2))
	var p, j, g bytes.Buffer
	require.NoError(t, png.Encode(&p, img))
	require.NoError(t, jpeg.Encode(&j, img, nil))
	require.NoError(t, gif.Encode(&g, img, nil))
	w, err := base64.StdEncoding.DecodeString(tinyWebP)
	require.NoError(t, err)
	return map[string][]byte{"image/png": p.Bytes(), "image/jpeg": j.Bytes(), "image/gif": g.Bytes(), "image/webp": w}
}

func TestImages(t *testing.T) {
	dir := tempDir(t)
	w := newWorkspace(t, dir)
	for mime, data := range pictures(t) {
		name := write(t, string(data), dir, "misnamed.txt")
		got, err := w.Image(t.Context(), name)
		require.NoError(t, err, mime)
		assert.Equal(t, mime, got.MIME)
		assert.Equal(t, data, got.Data)
		assert.Equal(t, name, got.Path)
		assert.Equal(t, hashOf(string(data)), got.SHA256)
		assert.True(t, got.Image())

		encoded := base64.StdEncoding.EncodeToString(data)
		for _, url := range []string{
			"data:" + mime + ";base64," + encoded, "DATA:text/plain;charset=x;BASE64," + strings.TrimRight(encoded, "="),
			"data:;base64," + base64.URLEncoding.EncodeToString(data), "data:image/png;base64," + encoded[:8] + "\r\n " + encoded[8:],
		} {
			inline, err := w.Image(t.Context(), url)
			require.NoError(t, err, url)
			assert.Equal(t, mime, inline.MIME)
			assert.Equal(t, data, inline.Data)
			assert.Empty(t, inline.Path)
		}
	}
}

func TestImagesRefused(t *testing.T) {
	dir := tempDir(t)
	w := newWorkspace(t, dir)
	data := pictures(t)["image/png"]
	for in, code := range map[string]Code{
		write(t, "just text", dir, "a.png"):                             CodeInvalid,
		write(t, "<svg xmlns='http://www.w3.org/2000/svg'/>", dir, "s"): CodeInvalid,
		write(t, string(data[:20]), dir, "cut.png"):                     CodeInvalid,
		write(t, "", dir, "empty.png"):                                  CodeInvalid,
		write(t, string(data), dir, "secret.pem"):                       CodeDenied,
		dir + "/missing.png":                                            CodeNotFound,
		dir:                                                             CodeInvalid,
		"/etc/passwd":                                                   CodeDenied,
		"https://example.com/a.png":                                     CodeInvalid,
		"data:image/png,plain":                                          CodeInvalid,
		"data:image/png;base64":                                         CodeInvalid,
		"data:image/png;base64,***":                                     CodeInvalid,
		"data:image/png;base64,aGVsbG8=":                                CodeInvalid,
		"data:image/png;base64," + strings.Repeat("A", 30<<20):          CodeTooLarge,
	} {
		got, err := w.Image(t.Context(), in)
		e := requireCode(t, code, err)
		assert.Zero(t, got)
		assert.Less(t, len(e.Message), 500)
	}
	claiming := func(width, height uint32) []byte {
		huge := bytes.Clone(data)
		binary.BigEndian.PutUint32(huge[16:], width)
		binary.BigEndian.PutUint32(huge[20:], height)
		binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
		return huge
	}
	_, err := w.Image(t.Context(), write(t, string(claiming(60_000, 60_000)), dir, "bomb.png"))
	e := requireCode(t, CodeTooLarge, err)
	assert.Contains(t, e.Message, `bomb.png" is too large an image: it has 60000 x 60000 pixels.`)
	_, err = w.Image(t.Context(), write(t, string(claiming(50_000, 1_000)), dir, "most.png"))
	require.NoError(t, err, "as many pixels as are allowed")
	_, err = asImage("", claiming(50_000, 1_001))
	e = requireCode(t, CodeTooLarge, err)
	assert.Equal(t, "the image given inline", e.Path)
	const longest = maxImageBytes/3*4 + maxImageBytes/32
	_, err = fromDataURL(";base64," + strings.Repeat(" ", longest))
	require.NoError(t, err)
	_, err = fromDataURL(";base64," + strings.Repeat(" ", longest+1))
	requireCode(t, CodeTooLarge, err)
	_, err = fromDataURL(strings.Repeat("x", 100) + ",")
	assert.Equal(t, "data:"+strings.Repeat("x", 80)+"...", requireCode(t, CodeInvalid, err).Path)
	for suffix, want := range map[string]string{";base64": "x", ";BASE64": "x", "x;base64": ""} {
		rest, ok := cutSuffixFold("x;base64", suffix)
		assert.True(t, ok)
		assert.Equal(t, want, rest)
	}
	_, ok := cutSuffixFold("base64", ";base64")
	assert.False(t, ok)
	big := append(bytes.Clone(data), make([]byte, maxImageBytes+1-len(data))...)
	_, err = w.Image(t.Context(), write(t, string(big), dir, "big.png"))
	e = requireCode(t, CodeTooLarge, err)
	assert.Contains(t, e.Message, "it has 20971521 bytes.")
	_, err = asImage("", big)
	requireCode(t, CodeTooLarge, err)
	_, err = w.Image(t.Context(), write(t, string(big[:maxImageBytes]), dir, "just.png"))
	assert.NoError(t, err)
}
