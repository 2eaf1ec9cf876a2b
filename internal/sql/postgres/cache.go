package postgres

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/sallyport-gateway/sallyport/internal/gate"
	"github.com/sallyport-gateway/sallyport/internal/sql/postgres/lex"
)

// The bounds of the shape cache. A shape holds its template and facts, some 4
// KiB; the whole is a few tens of MiB at most.
const (
	cacheShards      = 16
	shapesPerShard   = 512
	variantsPerShape = 32
	maxShapeBytes    = 64 << 10 // longer texts are not remembered
	maxTemplates     = 8
)

// shapeCache remembers what was found of a shape. A shape has variants: one for
// each combination of the literals whose values mattered. An analysis reads
// literals one after the other, and which one it reads next depends only on the
// shape and on those before; so two texts of one shape that agree on the
// literals that the first one's analysis read have the same analysis.
type shapeCache struct {
	seed   maphash.Seed
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu     sync.RWMutex
	shapes map[string]*shapeEntry // guarded by mu
	ring   []string               // in order of arrival; guarded by mu
	hand   int                    // guarded by mu
}

// shapeEntry is immutable but for its list of variants, which grows.
type shapeEntry struct {
	mu       sync.RWMutex
	variants []*variant // guarded by mu
}

// variant is what was found for one combination of literals.
type variant struct {
	literals []int32 // which literals mattered, by their number in the shape
	values   []string
	shape    *Shape
	analysed *analysed
}

// analysed is what rendering needs.
type analysed struct {
	in       *Inspector
	edits    []edit
	pins     []pin
	refusals []refusal
	labels   labelSet
	costly   labelSet // of the costs that EXPLAIN leaves out
	always   bool     // the text changes whatever the masks are

	mu        sync.RWMutex
	templates map[string]*lex.Template // by mask of each label; guarded by mu
	secrets   []tokenSpan              // password literals
}

func newShapeCache() *shapeCache {
	c := &shapeCache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].shapes = make(map[string]*shapeEntry)
	}
	return c
}

func (c *shapeCache) shard(key []byte) *cacheShard {
	return &c.shards[maphash.Bytes(c.seed, key)%cacheShards]
}

// find returns the variant for a text, or nil.
func (c *shapeCache) find(key []byte, tokens *lex.Tokens) *variant {
	s := c.shard(key)
	s.mu.RLock()
	e := s.shapes[string(key)]
	s.mu.RUnlock()
	if e == nil {
		return nil
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, v := range e.variants {
		if v.matches(tokens) {
			return v
		}
	}
	return nil
}

func (v *variant) matches(tokens *lex.Tokens) bool {
	slots := tokens.Literals()
	for i, n := range v.literals {
		if int(n) >= len(slots) || string(tokens.Text(int(slots[n]))) != v.values[i] {
			return false
		}
	}
	return true
}

// put remembers a variant.
func (c *shapeCache) put(key []byte, v *variant) {
	if len(key) > maxShapeBytes {
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	e := s.shapes[string(key)]
	if e == nil {
		e = &shapeEntry{}
		k := string(key)
		s.shapes[k] = e
		if len(s.ring) < shapesPerShard {
			s.ring = append(s.ring, k)
		} else {
			delete(s.shapes, s.ring[s.hand])
			s.ring[s.hand] = k
			s.hand = (s.hand + 1) % shapesPerShard
		}
	}
	s.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.variants { // another session was faster
		if slices.Equal(x.literals, v.literals) && slices.Equal(x.values, v.values) {
			return
		}
	}
	if len(e.variants) >= variantsPerShape {
		e.variants = append(e.variants[:0:0], e.variants[1:]...)
	}
	e.variants = append(e.variants, v)
}

// template returns the text with the edits for these masks.
func (a *analysed) template(tokens *lex.Tokens, masks gate.Masks) (*lex.Template, error) {
	var buf [256]byte
	key := buf[:0]
	for i, n := range a.in.labels.names {
		if a.labels&(1<<i) != 0 {
			key = append(append(key, masks.For(n)...), 0)
		}
	}
	a.mu.RLock()
	t := a.templates[string(key)]
	a.mu.RUnlock()
	if t != nil {
		return t, nil
	}
	t, err := lex.NewTemplate(tokens, appendPins(a.in.lexEdits(a.edits, masks), a.pins))
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.templates == nil || len(a.templates) >= maxTemplates {
		a.templates = make(map[string]*lex.Template)
	}
	a.templates[string(key)] = t
	return t, nil
}
