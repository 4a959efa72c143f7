// Package ttlmap stands in for go.omarpolo.com/ttlmap, which the module proxy
// does not serve. plakar keeps download addresses of its web interface in it;
// the tests do not use them.
package ttlmap

import (
	"sync"
	"time"
)

// Map holds values that expire a fixed time after they were added. It is safe
// for concurrent use.
type Map[K comparable, V any] struct {
	ttl time.Duration

	mu     sync.Mutex
	values map[K]value[V]
}

type value[V any] struct {
	value   V
	expires time.Time
}

// New makes a map whose values live for ttl.
func New[K comparable, V any](ttl time.Duration) *Map[K, V] {
	return &Map[K, V]{ttl: ttl, values: make(map[K]value[V])}
}

// Add sets the value of a key and drops what has expired.
func (m *Map[K, V]) Add(key K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for k, old := range m.values {
		if now.After(old.expires) {
			delete(m.values, k)
		}
	}
	m.values[key] = value[V]{value: v, expires: now.Add(m.ttl)}
}

// Get returns the value of a key that has not expired.
func (m *Map[K, V]) Get(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	if !ok || time.Now().After(v.expires) {
		var none V
		return none, false
	}
	return v.value, true
}

// Delete forgets a key.
func (m *Map[K, V]) Delete(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
}

// AutoExpire is there for its callers: Add drops what has expired.
func (m *Map[K, V]) AutoExpire() {}
