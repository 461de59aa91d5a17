package glm

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// What GLM takes of pictures: jpg and png, below 5 MB, at most 6000 pixels a side (Z.ai API docs, chat completion).
const (
	imageBytes = 5 << 20
	imageSide  = 6000
	// imagePixels is how many are decoded at most, so that a small file can't fill the memory. Beyond it the picture goes
	// out as it is, for the vendor to judge.
	imagePixels = 25_000_000
)

// format reads one kind of picture.
type format struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

// fitImage makes a picture one that GLM takes. One that fits is left as it is; one that can't be read too.
func fitImage(img providers.Image) providers.Image {
	kind := http.DetectContentType(img.Data)
	f, ok := map[string]format{
		"image/png":  {png.DecodeConfig, png.Decode},
		"image/jpeg": {jpeg.DecodeConfig, jpeg.Decode},
		"image/gif":  {gif.DecodeConfig, gif.Decode},
		"image/webp": {webp.DecodeConfig, webp.Decode},
	}[kind]
	if !ok {
		return img
	}
	size, err := f.config(bytes.NewReader(img.Data))
	if err != nil || size.Width*size.Height > imagePixels {
		return img
	}
	taken := kind == "image/png" || kind == "image/jpeg"
	if taken && len(img.Data) < imageBytes && max(size.Width, size.Height) <= imageSide {
		return img
	}
	decoded, err := f.decode(bytes.NewReader(img.Data))
	if err != nil {
		return img
	}
	if data := shrink(decoded); data != nil {
		return providers.Image{MIME: http.DetectContentType(data), Data: data}
	}
	return img
}

// shrink encodes a picture, smaller and smaller until it fits; nil when that fails. What has few colours stays sharp as
// png, everything else is a jpeg on white.
func shrink(img image.Image) []byte {
	if _, few := img.(*image.Paletted); few && fits(img) {
		var out bytes.Buffer
		if png.Encode(&out, img) == nil && out.Len() < imageBytes {
			return out.Bytes()
		}
	}
	for w, h := img.Bounds().Dx(), img.Bounds().Dy(); w > 0 && h > 0; w, h = w/2, h/2 {
		if max(w, h) > imageSide {
			continue
		}
		canvas := image.NewRGBA(image.Rect(0, 0, w, h))
		draw.Draw(canvas, canvas.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
		draw.ApproxBiLinear.Scale(canvas, canvas.Bounds(), img, img.Bounds(), draw.Over, nil)
		var out bytes.Buffer
		if jpeg.Encode(&out, canvas, &jpeg.Options{Quality: 90}) != nil {
			return nil
		}
		if out.Len() < imageBytes {
			return out.Bytes()
		}
	}
	return nil
}

func fits(img image.Image) bool { return max(img.Bounds().Dx(), img.Bounds().Dy()) <= imageSide }
