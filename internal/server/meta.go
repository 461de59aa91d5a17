package server

import (
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
)

// requestMeta is what a request says in _meta about itself and its client, which from revision 2026-07-28 on takes the
// place of a handshake. It holds for this request alone: what an earlier one declared never counts (MCP specification
// 2026-07-28, basic).
type requestMeta struct {
	revision     revision        // as named, whether it is spoken or not; "" when none is
	capabilities json.RawMessage // the client's, an object; nil when there is none
	logLevel     json.RawMessage // nil when no log messages are wanted
}

// metaOf reads the _meta of a request's params.
func metaOf(params json.RawMessage) (m requestMeta) {
	for key, value := range members(params) {
		if key != "_meta" || value[0] != '{' {
			continue
		}
		for key, value := range members(value) {
			switch key {
			case mcp.MetaKeyProtocolVersion:
				name, _ := text(value)
				m.revision = revision(name)
			case mcp.MetaKeyClientCapabilities:
				if value[0] == '{' {
					m.capabilities = value
				}
			case mcp.MetaKeyLogLevel:
				m.logLevel = value
			}
		}
	}
	return m
}

// declares reports whether the client has a capability, which it names at this path of names.
func (m requestMeta) declares(path ...string) bool {
	at := m.capabilities
	for _, name := range path {
		var found json.RawMessage
		if len(at) > 0 && at[0] == '{' {
			for key, value := range members(at) {
				if key == name {
					found = value
				}
			}
		}
		if at = found; at == nil || string(at) == "null" {
			return false
		}
	}
	return true
}

// badLogLevel reports whether a stateless request wants log messages from a level that does not exist.
func (m requestMeta) badLogLevel() bool {
	if m.logLevel == nil || !m.revision.stateless() {
		return false
	}
	level, _ := text(m.logLevel)
	return !mcp.LoggingLevel(level).ShouldSendTo(mcp.LoggingLevelDebug)
}

// badLogLevelText answers a request with an unknown log level.
const badLogLevelText = "_meta." + mcp.MetaKeyLogLevel +
	" must be debug, info, notice, warning, error, critical, alert or emergency"
