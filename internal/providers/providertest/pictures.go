package providertest

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// webp is the smallest picture of its kind; there is no encoder at hand.
const webp = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="

// pictures are one of each kind that callers may give. The MIME types are as wrong as a file's name can be.
func pictures(t *testing.T) []providers.Image {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, 8, 8), color.Palette{color.Black, color.White})
	var asPNG, asJPEG, asGIF bytes.Buffer
	require.NoError(t, png.Encode(&asPNG, img))
	require.NoError(t, jpeg.Encode(&asJPEG, img, nil))
	require.NoError(t, gif.Encode(&asGIF, img, nil))
	asWebP, err := base64.StdEncoding.DecodeString(webp)
	require.NoError(t, err)
	return []providers.Image{
		{MIME: "image/png", Data: asPNG.Bytes()},
		{MIME: "image/png", Data: asJPEG.Bytes()},
		{MIME: "image/gif", Data: asGIF.Bytes()},
		{MIME: "image/webp", Data: asWebP},
	}
}
