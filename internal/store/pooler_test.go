package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
)

// pooler is a transaction pooler, as Supabase puts one on port 6543: whoever begins a transaction gets the server
// connection that has been idle for longest, and loses it with the transaction. Nothing may be left on it.
type pooler struct {
	dsn      string
	idle     chan *pgconn.HijackedConn
	switches atomic.Int64 // how often a client got another connection than before
}

// startPooler listens with a few server connections until the test ends, and returns the pooler's address.
func startPooler(t *testing.T, dsn string, connections int) (*pooler, string) {
	t.Helper()
	p := &pooler{dsn: dsn, idle: make(chan *pgconn.HijackedConn, connections)}
	for range connections {
		p.idle <- p.connect(t)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var g errgroup.Group
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			g.Go(func() error {
				defer c.Close()
				p.serve(t, c)
				return nil
			})
		}
		_ = g.Wait()
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for range connections {
			(<-p.idle).Conn.Close()
		}
	})
	return p, l.Addr().String()
}

func (p *pooler) connect(t *testing.T) *pgconn.HijackedConn {
	c, err := pgconn.Connect(context.Background(), p.dsn)
	require.NoError(t, err)
	h, err := c.Hijack()
	require.NoError(t, err)
	return h
}

// serve speaks with one client until it leaves.
func (p *pooler) serve(t *testing.T, c net.Conn) {
	client := pgproto3.NewBackend(c, c)
	if !greet(c, client) {
		return
	}
	var server, last *pgconn.HijackedConn
	defer func() {
		if server != nil { // left in the middle of a transaction
			server.Conn.Close()
			p.idle <- p.connect(t)
		}
	}()
	for {
		msg, err := client.Receive()
		if err != nil {
			return
		}
		if _, bye := msg.(*pgproto3.Terminate); bye {
			return
		}
		if server == nil {
			server = <-p.idle
			if last != nil && last != server {
				p.switches.Add(1)
			}
			last = server
		}
		server.Frontend.Send(msg)
		switch msg.(type) {
		case *pgproto3.Sync, *pgproto3.Query:
			free, err := relay(server, client)
			if err != nil {
				return
			}
			if free {
				p.idle <- server
				server = nil
			}
		}
	}
}

// greet answers a client's first messages; false means that there is nothing more to say.
func greet(c net.Conn, client *pgproto3.Backend) bool {
	for {
		msg, err := client.ReceiveStartupMessage()
		if err != nil {
			return false
		}
		switch msg.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := c.Write([]byte("N")); err != nil {
				return false
			}
		case *pgproto3.StartupMessage:
			client.Send(&pgproto3.AuthenticationOk{})
			for name, value := range map[string]string{
				"server_version": "15.0", "client_encoding": "UTF8",
				"standard_conforming_strings": "on", "DateStyle": "ISO, MDY", "TimeZone": "UTC",
			} {
				client.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
			}
			client.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
			client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			return client.Flush() == nil
		default: // a cancellation
			return false
		}
	}
}

// relay passes a server's answer on, and reports whether its transaction is over.
func relay(server *pgconn.HijackedConn, client *pgproto3.Backend) (free bool, err error) {
	if err := server.Frontend.Flush(); err != nil {
		return false, err
	}
	for {
		msg, err := server.Frontend.Receive()
		if err != nil {
			return false, err
		}
		client.Send(msg)
		if ready, ok := msg.(*pgproto3.ReadyForQuery); ok {
			return ready.TxStatus == 'I', client.Flush()
		}
	}
}

func TestTransactionPooler(t *testing.T) {
	p, addr := startPooler(t, storetest.Postgres(t), 3)
	c := config.Conversations{Backend: "supabase", DatabaseURL: config.Secret(fmt.Sprintf("postgres://me:secret@%s/db?sslmode=disable", addr))}

	// More processes open the fresh database at once than the pooler has connections.
	stores := make([]*Store, 6)
	g, ctx := errgroup.WithContext(later(t))
	for i := range stores {
		g.Go(func() (err error) {
			stores[i], err = Open(ctx, c)
			return err
		})
	}
	require.NoError(t, g.Wait())
	g, ctx = errgroup.WithContext(later(t))
	for i, s := range stores {
		g.Go(func() error {
			for j := range 10 {
				name := fmt.Sprint(i, " ", j)
				out, err := s.Append(ctx, conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{attach(user(name), file("/f", name)), assistant("a")}})
				if err != nil {
					return err
				}
				_, err1 := s.Load(ctx, "t")
				_, err2 := s.List(ctx, conversation.Filter{Text: name})
				_, err3 := s.Issues().Capture(ctx, []issue.Finding{{Title: fmt.Sprint("the same ", j)}})
				if err := errors.Join(err1, err2, err3, s.Save(ctx, "t", out[1])); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	turns := load(t, stores[0], "t").Turns
	require.Len(t, turns, 120)
	for i := 0; i < len(turns); i += 2 {
		assert.Equal(t, turns[i].Content, string(turns[i].Attachments[0].Data))
	}
	list, err := stores[0].Issues().List(t.Context(), issue.Filter{})
	require.NoError(t, err)
	assert.Len(t, list, 10)
	assert.Greater(t, p.switches.Load(), int64(100), "transactions did move between connections")
	var left []string
	for range 3 {
		h := <-p.idle
		h.Frontend.Send(&pgproto3.Query{String: `SELECT name FROM pg_prepared_statements UNION ALL
			SELECT locktype FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`})
		require.NoError(t, h.Frontend.Flush())
		for ready := false; !ready; {
			msg, err := h.Frontend.Receive()
			require.NoError(t, err)
			switch msg := msg.(type) {
			case *pgproto3.DataRow:
				left = append(left, string(msg.Values[0]))
			case *pgproto3.ReadyForQuery:
				ready = true
			}
		}
		p.idle <- h
	}
	assert.Empty(t, strings.Join(left, ", "), "prepared statements and locks left on the connections")
	for _, s := range stores {
		require.NoError(t, s.Close())
	}
}
