package s3test

import (
	"iter"
	"slices"
	"strings"
)

// blockSize is where a block splits. Moving that many entries is cheaper than a node for each.
const blockSize = 512

// index holds a bucket's keys in byte order: sorted blocks of sorted entries. Finding is O(log n); inserting and
// removing move at most a block, and rarely the list of blocks. A million keys make some four thousand blocks.
type index struct {
	blocks [][]*entry
	count  int
}

// entry is a key with its versions, oldest first. It has at least one.
type entry struct {
	key      string
	versions []*version
}

func (e *entry) latest() *version { return e.versions[len(e.versions)-1] }

// position is where an entry is, or would be.
type position struct{ block, slot int }

// seek finds the first entry whose key is not before key.
func (ix *index) seek(key string) position {
	block, _ := slices.BinarySearchFunc(ix.blocks, key, func(b []*entry, key string) int {
		return strings.Compare(b[len(b)-1].key, key)
	})
	if block == len(ix.blocks) {
		return position{block, 0}
	}
	slot, _ := slices.BinarySearchFunc(ix.blocks[block], key, func(e *entry, key string) int {
		return strings.Compare(e.key, key)
	})
	return position{block, slot}
}

// at is the entry at p, or nil at the end.
func (ix *index) at(p position) *entry {
	if p.block >= len(ix.blocks) {
		return nil
	}
	return ix.blocks[p.block][p.slot]
}

func (ix *index) next(p position) position {
	if p.slot+1 < len(ix.blocks[p.block]) {
		return position{p.block, p.slot + 1}
	}
	return position{p.block + 1, 0}
}

// all yields every entry. The index must not be changed meanwhile.
func (ix *index) all() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, block := range ix.blocks {
			for _, e := range block {
				if !yield(e) {
					return
				}
			}
		}
	}
}

func (ix *index) get(key string) *entry {
	if e := ix.at(ix.seek(key)); e != nil && e.key == key {
		return e
	}
	return nil
}

// ensure returns the entry with the key, which has no versions if it is new.
func (ix *index) ensure(key string) *entry {
	p := ix.seek(key)
	if e := ix.at(p); e != nil && e.key == key {
		return e
	}
	e := &entry{key: key}
	ix.insert(p, e)
	return e
}

func (ix *index) insert(p position, e *entry) {
	ix.count++
	if p.block == len(ix.blocks) {
		if p.block == 0 {
			ix.blocks = append(ix.blocks, []*entry{e})
			return
		}
		p = position{p.block - 1, len(ix.blocks[p.block-1])}
	}
	block := slices.Insert(ix.blocks[p.block], p.slot, e)
	ix.blocks[p.block] = block
	if len(block) < blockSize {
		return
	}
	// Keys that arrive in order fill the blocks that they leave behind.
	half := blockSize / 2
	if p.slot == len(block)-1 {
		half = len(block) - 1
	}
	ix.blocks = slices.Insert(ix.blocks, p.block+1, slices.Clone(block[half:]))
	clear(block[half:])
	ix.blocks[p.block] = block[:half:half]
}

func (ix *index) remove(key string) {
	p := ix.seek(key)
	if e := ix.at(p); e == nil || e.key != key {
		return
	}
	ix.count--
	block := slices.Delete(ix.blocks[p.block], p.slot, p.slot+1)
	ix.blocks[p.block] = block
	if len(block) == 0 {
		ix.blocks = slices.Delete(ix.blocks, p.block, p.block+1)
	}
}

// afterPrefix is the first key that comes after all keys with the prefix. There is none, and ok is false, if the prefix
// consists of 0xff bytes only.
func afterPrefix(prefix string) (key string, ok bool) {
	end := []byte(prefix)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	if len(end) == 0 {
		return "", false
	}
	end[len(end)-1]++
	return string(end), true
}
