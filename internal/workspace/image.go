package workspace

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"strings"

	"golang.org/x/image/webp"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

// Image reads a picture: a path, or a data: URL. Its type is what its content says (png, jpeg, gif, webp), whatever it is
// called. More than 20 MiB or 50 million pixels is too_large. The attachment of a data: URL has no path.
func (w *Workspace) Image(ctx context.Context, ref string) (conversation.Attachment, error) {
	if data, ok := cutPrefixFold(ref, "data:"); ok {
		raw, err := fromDataURL(data)
		if err != nil {
			return conversation.Attachment{}, err
		}
		return asImage("", raw)
	}
	if strings.Contains(ref, "://") && !strings.HasPrefix(strings.ToLower(ref), "file:") {
		return conversation.Attachment{}, invalid(shortened(ref), "Images at web addresses are not fetched.", "Save the picture to a file and name that, or give it as a data: URL.")
	}
	r, err := w.ref(ctx, ref)
	if err != nil {
		return conversation.Attachment{}, err
	}
	at := r.at
	f, info, err := at.open()
	if err != nil {
		return conversation.Attachment{}, err
	}
	defer f.Close()
	if info.Size() > maxImageBytes {
		return conversation.Attachment{}, imageTooLarge(at.host, fmt.Sprintf("it has %d bytes", info.Size()))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxImageBytes+1))
	if err != nil {
		return conversation.Attachment{}, systemError(at.asked, err)
	}
	return asImage(at.host, data)
}

// asImage checks a picture's bytes.
func asImage(path string, data []byte) (conversation.Attachment, error) {
	name := path
	if name == "" {
		name = "the image given inline"
	}
	if len(data) > maxImageBytes {
		return conversation.Attachment{}, imageTooLarge(name, "it has more than 20 MiB")
	}
	mime := http.DetectContentType(data)
	var read func(io.Reader) (image.Config, error)
	switch mime {
	case "image/png":
		read = png.DecodeConfig
	case "image/jpeg":
		read = jpeg.DecodeConfig
	case "image/gif":
		read = gif.DecodeConfig
	case "image/webp":
		read = webp.DecodeConfig
	default:
		return conversation.Attachment{}, invalid(name, quoted(name)+" is no picture that models take.", "Give a png, jpeg, gif or webp file; its content counts, not its name.")
	}
	size, err := read(bytes.NewReader(data))
	if err != nil || size.Width <= 0 || size.Height <= 0 {
		return conversation.Attachment{}, &Error{
			Code: CodeInvalid, Path: name, Err: err,
			Message: quoted(name) + " begins like " + mime + " but is damaged.", Hint: "Save the picture again.",
		}
	}
	if int64(size.Width)*int64(size.Height) > maxPixels {
		return conversation.Attachment{}, imageTooLarge(name, fmt.Sprintf("it has %d x %d pixels", size.Width, size.Height))
	}
	return conversation.Attachment{Path: path, SHA256: hashOf(string(data)), MIME: mime, Size: int64(len(data)), Data: data}, nil
}

func imageTooLarge(path, why string) *Error {
	return &Error{
		Code: CodeTooLarge, Path: path, Message: quoted(path) + " is too large an image: " + why + ".",
		Hint: "Images may have 20 MiB and 50 million pixels; scale it down.",
	}
}

// fromDataURL decodes what follows "data:". The type it claims is not believed.
func fromDataURL(rest string) ([]byte, error) {
	head, body, ok := strings.Cut(rest, ",")
	if _, base := cutSuffixFold(head, ";base64"); !ok || !base {
		return nil, invalid("data:"+shortened(head), "The data: URL can't be read.", "Give data:image/png;base64,... with the picture's bytes in base64.")
	}
	if len(body) > maxImageBytes/3*4+maxImageBytes/32 { // with room for line breaks
		return nil, imageTooLarge("the image given inline", "it has more than 20 MiB")
	}
	body = strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\n', '\r', '\t', '=':
			return -1
		case '-':
			return '+'
		case '_':
			return '/'
		}
		return r
	}, body)
	data, err := base64.RawStdEncoding.DecodeString(body)
	if err != nil {
		return nil, invalid("data:"+shortened(head), "The base64 of the data: URL is damaged.", "Send the whole picture, or name a file.")
	}
	return data, nil
}

func cutSuffixFold(s, suffix string) (string, bool) {
	if len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix) {
		return s[:len(s)-len(suffix)], true
	}
	return s, false
}

// shortened keeps a value from filling an error message.
func shortened(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
