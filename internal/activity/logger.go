package activity

import (
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// NewLogger makes the program's logger: JSON lines on w from LOG_LEVEL up, times in UTC, secrets hidden.
func NewLogger(cfg *config.Config, w io.Writer) *zap.Logger {
	level, err := zapcore.ParseLevel(cfg.Logs.Level)
	if err != nil {
		level = zapcore.InfoLevel
	}
	out := zapcore.Lock(zapcore.AddSync(w))
	enc := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey: "ts", LevelKey: "level", NameKey: "logger", MessageKey: "msg", StacktraceKey: "stack",
		LineEnding:     zapcore.DefaultLineEnding,
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.SecondsDurationEncoder,
		EncodeTime: func(t time.Time, to zapcore.PrimitiveArrayEncoder) {
			to.AppendString(t.UTC().Format(stampLayout))
		},
	})
	core := NewRedactor(cfg.Secrets()...).Core(zapcore.NewCore(enc, out, level))
	return zap.New(core, zap.ErrorOutput(out))
}
