package identity

import (
	"container/list"
	"crypto/sha256"
	"sync"

	"github.com/sallyport-gateway/sallyport/internal/gate"
)

// tokenCacheSize bounds the verified tokens that are remembered, about 1 KiB
// each: enough for the agents that one gateway serves within an hour.
const tokenCacheSize = 4096

// cached is a token that was verified: by its hash, never the token. It belongs
// to one generation of issuers, counts only while the issuer's key set is the one
// it was verified with, and its times are checked at every use. Revocation is
// not part of it and is asked every time.
type cached struct {
	hash      [sha256.Size]byte
	issuer    *issuer
	version   uint64
	principal *gate.Principal
	times     times
}

// tokenCache forgets the least recently used.
type tokenCache struct {
	size int

	mu     sync.Mutex
	order  list.List                           // guarded by mu; of *cached, latest first
	byHash map[[sha256.Size]byte]*list.Element // guarded by mu
}

func newTokenCache(size int) *tokenCache {
	return &tokenCache{size: size, byHash: map[[sha256.Size]byte]*list.Element{}}
}

func (c *tokenCache) get(hash [sha256.Size]byte) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byHash[hash]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached)
}

// put remembers a verified token, in place of what was known of it.
func (c *tokenCache) put(entry *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byHash[entry.hash]; ok {
		e.Value = entry
		c.order.MoveToFront(e)
		return
	}
	c.byHash[entry.hash] = c.order.PushFront(entry)
	if c.order.Len() > c.size {
		last := c.order.Back()
		delete(c.byHash, c.order.Remove(last).(*cached).hash)
	}
}
