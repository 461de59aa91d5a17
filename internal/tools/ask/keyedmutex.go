package ask

import (
	"context"
	"sync"
)

// keyedMutex is a mutex for each key, of which a wait ends with its context. Its zero value is ready.
type keyedMutex struct {
	mu      sync.Mutex
	entries map[string]*keyedEntry
}

// keyedEntry is there as long as somebody holds the key or waits for it.
type keyedEntry struct {
	held  chan struct{} // holds one token while somebody has the key
	users int
}

// Lock locks a key. It returns false when ctx ends before the key is free.
func (m *keyedMutex) Lock(ctx context.Context, key string) bool {
	m.mu.Lock()
	e := m.entries[key]
	if e == nil {
		e = &keyedEntry{held: make(chan struct{}, 1)}
		if m.entries == nil {
			m.entries = map[string]*keyedEntry{}
		}
		m.entries[key] = e
	}
	e.users++
	m.mu.Unlock()

	select {
	case e.held <- struct{}{}:
		return true
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.releaseLocked(key, e)
	return false
}

// Unlock lets the next one have the key, which must be locked.
func (m *keyedMutex) Unlock(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	<-e.held
	m.releaseLocked(key, e)
}

// releaseLocked forgets a key that nobody holds or waits for any more.
func (m *keyedMutex) releaseLocked(key string, e *keyedEntry) {
	if e.users--; e.users == 0 {
		delete(m.entries, key)
	}
}
