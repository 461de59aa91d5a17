package emulator

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// GLM's limits of images, from Z.ai's chat completion reference.
const (
	glmImageBytes = 5 << 20
	glmImageSide  = 6000
	glmFileURLs   = 50
)

func glmMedia(in *inquiry) error {
	images, videos, files := in.c.media("image_url"), in.c.media("video_url"), in.c.media("file_url")
	for _, m := range in.c.Messages {
		for _, p := range m.Parts {
			if err := in.glmPart(p); err != nil {
				return err
			}
		}
	}
	mostVideos := 2
	if in.c.Model == "glm-4.5v" {
		mostVideos = 1
	}
	switch {
	case images > max(in.f.Images, 0):
		return glmInvalid("too many images", "The number of images exceeds the limit")
	case videos > mostVideos:
		return glmInvalid("too many videos", "The number of videos exceeds the limit")
	case files > glmFileURLs:
		return glmInvalid("too many files", "The number of files exceeds the limit")
	case files > 0 && images+videos > 0:
		return glmInvalid("files with images", "file_url cannot be used together with image_url or video_url")
	}
	return nil
}

func (in *inquiry) glmPart(p Part) error {
	kinds := []string{"text"}
	if in.f.Images > 0 {
		kinds = append(kinds, "image_url")
	}
	if in.f.Video {
		kinds = append(kinds, "video_url")
	}
	if in.f.FileURL {
		kinds = append(kinds, "file_url")
	}
	if !slices.Contains(kinds, p.Type) {
		return glmInvalid(p.Type+" to a model that does not take it",
			fmt.Sprintf("messages.content.type is illegal, allowed values ['%s']", strings.Join(kinds, "', '")))
	}
	switch {
	case p.Type == "image_url" && !isWeb(p.URL):
		return glmImage(p.URL)
	case p.Type != "text" && p.Type != "image_url" && !isWeb(p.URL):
		return glmInvalid(p.Type+" is not a web address", p.Type+".url must be a URL")
	}
	return nil
}

func isWeb(s string) bool {
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return false // not worth parsing: it may be megabytes of base64
	}
	u, err := url.Parse(s)
	return err == nil && u.Host != ""
}

// glmImage checks a base64 image, bare or as data URL.
func glmImage(s string) error {
	_, data, err := decodeImage(s)
	if err != nil {
		return glmInvalid("image is not base64", "Image input format/parsing error")
	}
	if len(data) >= glmImageBytes {
		return glmInvalid("image of 5 MB or more", "Image size exceeds the limit")
	}
	var c image.Config
	switch http.DetectContentType(data) {
	case "image/png":
		c, err = png.DecodeConfig(bytes.NewReader(data))
	case "image/jpeg":
		c, err = jpeg.DecodeConfig(bytes.NewReader(data))
	default:
		return glmInvalid("image is neither jpg nor png", "Image input format/parsing error")
	}
	if err != nil {
		return glmInvalid("broken image", "Image input format/parsing error")
	}
	if c.Width > glmImageSide || c.Height > glmImageSide {
		return glmInvalid("image over 6000 pixels", "Image pixels exceed the limit")
	}
	return nil
}

// decodeImage reads a data URL or bare base64: the MIME type that it names ("" when bare) and the bytes.
func decodeImage(s string) (kind string, data []byte, err error) {
	if rest, ok := strings.CutPrefix(s, "data:"); ok {
		head, tail, ok := strings.Cut(rest, ",")
		kind, ok2 := strings.CutSuffix(head, ";base64")
		if !ok || !ok2 {
			return "", nil, fmt.Errorf("a data URL that is not base64")
		}
		data, err = base64.StdEncoding.DecodeString(tail)
		return kind, data, err
	}
	data, err = base64.StdEncoding.DecodeString(s)
	return "", data, err
}

// kimiImages are the types that Kimi's vision guide names.
var kimiImages = []string{"image/png", "image/jpeg", "image/webp", "image/gif"}

func kimiMedia(in *inquiry) error {
	for i, m := range in.c.Messages {
		for _, p := range m.Parts {
			var err error
			switch p.Type {
			case "text":
			case "image_url":
				err = in.kimiPicture(p, "image", in.f.Images > 0)
			case "video_url":
				err = in.kimiPicture(p, "video", in.f.Video)
			default:
				err = kimiBad("unknown content part", "Invalid request: unsupported content type '%s' in the message at position %d", p.Type, i)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// kimiPicture checks an image or a video: base64 as data URL, or ms:// and the id of a file that was uploaded for it.
// Web addresses are refused.
func (in *inquiry) kimiPicture(p Part, what string, can bool) error {
	if !can {
		return kimiBad(what+" to a model that can't see it", "Invalid request: %s input not supported for model %s", what, in.c.Model)
	}
	if id, ok := strings.CutPrefix(p.URL, "ms://"); ok {
		if f := in.e.findFile(Kimi, id); f == nil || f.purpose != what {
			return kimiBad("ms:// of no such file", "Invalid request: file %s is not found", id)
		}
		return nil
	}
	kind, data, err := decodeImage(p.URL)
	if err != nil || kind == "" {
		return kimiBad(what+" is no data URL", "Invalid request: unsupported %s url: %.64s", what, p.URL)
	}
	if what == "video" {
		return nil
	}
	if !slices.Contains(kimiImages, kind) || http.DetectContentType(data) != kind {
		return kimiBad("image type", "Invalid request: unsupported image type %s", kind)
	}
	return nil
}
