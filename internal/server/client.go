package server

import (
	"context"
	"encoding/json"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
	"go.uber.org/zap/zapcore"
)

// Client is the connected client, for what is created before the server: the workspace asks it for its roots, the logger
// sends it log messages. The zero Client never connects.
type Client struct {
	conn atomic.Pointer[conn]
}

// Roots are the folders that the client works in, as paths of this system. It waits up to two seconds for the first
// answer and after each change; false means that the client has not named any.
func (c *Client) Roots(ctx context.Context) ([]string, bool) {
	conn := c.conn.Load()
	if conn == nil {
		return nil, false
	}
	return conn.roots.get(ctx)
}

// LogCore is a zap core that sends entries to the client as logging notifications, at the level that the client chose. From
// revision 2026-07-28 on log messages belong to a request that asks for them: only entries with its request_id go out.
func (c *Client) LogCore() zapcore.Core { return &logCore{client: c} }

// requestIDField is the name of the field that ties a log entry to a request, as the client wrote its id.
const requestIDField = "request_id"

type logCore struct {
	client *Client
	fields []zapcore.Field
}

// Enabled reports whether the client may want entries of this level now.
func (l *logCore) Enabled(level zapcore.Level) bool {
	conn := l.client.conn.Load()
	return conn != nil && (conn.listeners.Load() > 0 || conn.state.wantsLog(level))
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
	id, _ := data.Fields[requestIDField].(string)
	data.Fields["message"] = entry.Message
	params := map[string]any{"level": mcpLevel(entry.Level), "data": data.Fields}
	if entry.LoggerName != "" {
		params["logger"] = entry.LoggerName
	}
	line, err := encode(map[string]any{"jsonrpc": "2.0", "method": "notifications/message", "params": params})
	if err != nil {
		return err
	}
	if conn.state.wantsLog(entry.Level) {
		conn.out.offer(line)
	} else {
		conn.notifyListener(id, mcpLevel(entry.Level), line)
	}
	return nil
}

// wantsLog reports whether a client with a handshake wants entries of this level.
func (s *session) wantsLog(level zapcore.Level) bool {
	return s.ProtocolVersion() != "" && mcpLevel(level).ShouldSendTo(s.GetLogLevel())
}

// listen sends a call log entries about it while it runs, if it asked for that in the stateless way.
func (c *conn) listen(ctx context.Context, k *call) (stop func()) {
	info := mcpserver.RequestProtocolInfoFromContext(ctx)
	if info == nil || info.LogLevel == "" {
		return func() {}
	}
	c.mu.Lock()
	k.logLevel = info.LogLevel
	c.mu.Unlock()
	c.listeners.Add(1)
	return func() { c.listeners.Add(-1) }
}

// notifyListener sends a log message about a call to the client, if the call asked for log messages.
func (c *conn) notifyListener(id string, level mcp.LoggingLevel, line []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.calls[idKey(json.RawMessage(id))]
	if k != nil && level.ShouldSendTo(k.logLevel) {
		c.out.offer(line)
	}
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
