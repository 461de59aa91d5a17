package server

import (
	"context"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// session is what the handshake agreed on, as mcp-go sets and reads it.
type session struct {
	initialized  atomic.Bool
	revision     atomic.Pointer[string]
	client       atomic.Pointer[mcp.Implementation]
	capabilities atomic.Pointer[mcp.ClientCapabilities]
	level        atomic.Pointer[mcp.LoggingLevel]
}

func (s *session) SessionID() string { return "stdio" }
func (s *session) Initialize()       { s.initialized.Store(true) }
func (s *session) Initialized() bool { return s.initialized.Load() }

func (s *session) ProtocolVersion() string           { return loaded(&s.revision) }
func (s *session) SetProtocolVersion(version string) { s.revision.Store(&version) }

func (s *session) GetClientInfo() mcp.Implementation     { return loaded(&s.client) }
func (s *session) SetClientInfo(info mcp.Implementation) { s.client.Store(&info) }

func (s *session) GetClientCapabilities() mcp.ClientCapabilities     { return loaded(&s.capabilities) }
func (s *session) SetClientCapabilities(caps mcp.ClientCapabilities) { s.capabilities.Store(&caps) }

func (s *session) SetLogLevel(level mcp.LoggingLevel) { s.level.Store(&level) }

// GetLogLevel is the level that the client chose. One that chose none gets only errors.
func (s *session) GetLogLevel() mcp.LoggingLevel {
	if level := s.level.Load(); level != nil {
		return *level
	}
	return mcp.LoggingLevelError
}

// answersRoots reports whether the client has roots and answers when it is asked for them. The official Python SDK, up to
// version 1.2, declares them, has nothing that answers, and reads no line after the question, so that every later call would
// hang (its shared/session.py). From 1.3 on it declares sampling besides, and answers.
func (s *session) answersRoots() bool {
	has, info := s.GetClientCapabilities(), s.GetClientInfo()
	early := s.ProtocolVersion() == mcp.ProtocolVersion20241105 && info.Name == "mcp" && info.Version == "0.1.0" && has.Sampling == nil
	return has.Roots != nil && !early
}

func loaded[T any](p *atomic.Pointer[T]) T {
	if v := p.Load(); v != nil {
		return *v
	}
	var none T
	return none
}

// requestSession is the session as one request sees it: it queues mcp-go's own notifications about the request, which are
// sent before its answer.
type requestSession struct {
	*session
	stateless     bool
	notifications chan mcp.JSONRPCNotification
}

func newRequestSession(s *session, stateless bool) *requestSession {
	return &requestSession{session: s, stateless: stateless, notifications: make(chan mcp.JSONRPCNotification, 4)}
}

// SetClientInfo stores the handshake's client. mcp-go calls it for each stateless request, too, whose client is
// named for that request alone.
func (s *requestSession) SetClientInfo(info mcp.Implementation) {
	if !s.stateless {
		s.session.SetClientInfo(info)
	}
}

// SetClientCapabilities is like SetClientInfo.
func (s *requestSession) SetClientCapabilities(caps mcp.ClientCapabilities) {
	if !s.stateless {
		s.session.SetClientCapabilities(caps)
	}
}

func (s *requestSession) NotificationChannel() chan<- mcp.JSONRPCNotification { return s.notifications }

var (
	_ mcpserver.SessionWithLogging         = (*requestSession)(nil)
	_ mcpserver.SessionWithClientInfo      = (*requestSession)(nil)
	_ mcpserver.SessionWithProtocolVersion = (*requestSession)(nil)
)

// clientName is who sent a request, "name version", for the logs.
func clientName(ctx context.Context, s *session) string {
	info := s.GetClientInfo()
	if own := mcpserver.RequestProtocolInfoFromContext(ctx); own != nil && own.Modern {
		info = mcp.Implementation{}
		if own.ClientInfo != nil {
			info = *own.ClientInfo
		}
	}
	if info.Version == "" {
		return info.Name
	}
	return info.Name + " " + info.Version
}
