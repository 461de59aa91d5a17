package server

import (
	"context"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap/zapcore"
)

// Client is the client at the other end, for those who are made before the server is: the workspace asks it for its
// roots, the logger tells it what happened. The zero Client is a client that never connects.
type Client struct {
	conn atomic.Pointer[conn]
}

// Roots are the folders that the client works in, as paths of this system. It waits up to two seconds for the first
// answer and after each change; false means that the client has not told any.
func (c *Client) Roots(ctx context.Context) ([]string, bool) {
	conn := c.conn.Load()
	if conn == nil {
		return nil, false
	}
	return conn.roots.get(ctx)
}

// LogCore is a zap core that sends entries to the client as logging notifications, at the level that the client chose.
// From revision 2026-07-28 on log messages belong to a request that asks for them; ours are the server's, so a client of
// that revision gets none.
func (c *Client) LogCore() zapcore.Core { return &logCore{client: c} }

type logCore struct {
	client *Client
	fields []zapcore.Field
}

// Enabled tells whether the client wants entries of this level now.
func (l *logCore) Enabled(level zapcore.Level) bool {
	conn := l.client.conn.Load()
	if conn == nil || conn.state.ProtocolVersion() == "" {
		return false
	}
	return mcpLevel(level).ShouldSendTo(conn.state.GetLogLevel())
}

func (l *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{client: l.client, fields: append(append([]zapcore.Field(nil), l.fields...), fields...)}
}

func (l *logCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(entry.Level) {
		return checked.AddCore(entry, l)
	}
	return checked
}

// Write offers the entry to the client; one that is far behind misses it.
func (l *logCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	conn := l.client.conn.Load()
	if conn == nil {
		return nil
	}
	data := zapcore.NewMapObjectEncoder()
	for _, f := range append(append([]zapcore.Field(nil), l.fields...), fields...) {
		f.AddTo(data)
	}
	data.Fields["message"] = entry.Message
	params := map[string]any{"level": mcpLevel(entry.Level), "data": data.Fields}
	if entry.LoggerName != "" {
		params["logger"] = entry.LoggerName
	}
	line, err := encode(map[string]any{"jsonrpc": "2.0", "method": "notifications/message", "params": params})
	if err != nil {
		return err
	}
	conn.out.offer(line)
	return nil
}

func (l *logCore) Sync() error { return nil }

// mcpLevel is MCP's word for a zap level.
func mcpLevel(level zapcore.Level) mcp.LoggingLevel {
	switch {
	case level < zapcore.InfoLevel:
		return mcp.LoggingLevelDebug
	case level == zapcore.InfoLevel:
		return mcp.LoggingLevelInfo
	case level == zapcore.WarnLevel:
		return mcp.LoggingLevelWarning
	case level == zapcore.ErrorLevel:
		return mcp.LoggingLevelError
	}
	return mcp.LoggingLevelCritical
}
