package main

import (
	"bytes"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// newLogger logs JSON lines to w from LOG_LEVEL on, and beside it to the other cores at their own levels. No line holds a
// key, whatever was logged.
func newLogger(cfg *config.Config, w io.Writer, others ...zapcore.Core) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(cfg.Logs.Level)
	if err != nil {
		return nil, err
	}
	form := zap.NewProductionEncoderConfig()
	form.TimeKey, form.EncodeTime = "time", zapcore.ISO8601TimeEncoder
	form.EncodeDuration = zapcore.StringDurationEncoder
	sink := zapcore.Lock(zapcore.AddSync(maskingWriter{w, maskOf(cfg.Secrets())}))
	cores := append([]zapcore.Core{zapcore.NewCore(zapcore.NewJSONEncoder(form), sink, level)}, others...)
	return zap.New(zapcore.NewTee(cores...)), nil
}

// maskOf returns what takes secrets out of a line. It is a net below those who keep them out in the first place.
func maskOf(secrets []string) func(line []byte) []byte {
	var texts [][]byte
	for _, s := range secrets {
		if len(s) >= 8 { // a shorter one is no key, and may be part of a word
			texts = append(texts, []byte(s))
		}
	}
	return func(line []byte) []byte {
		for _, text := range texts {
			line = bytes.ReplaceAll(line, text, []byte("********"))
		}
		return line
	}
}

type maskingWriter struct {
	w    io.Writer
	mask func([]byte) []byte
}

func (m maskingWriter) Write(line []byte) (int, error) {
	if _, err := m.w.Write(m.mask(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
