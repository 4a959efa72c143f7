package sigv4

import (
	"encoding/hex"
)

// Chunks is the chain of signatures over the chunks of a streaming body. It is not safe for concurrent use.
type Chunks struct {
	key      []byte
	prefix   string // time and scope, as they stand in every string to sign
	previous string
}

// Chunks starts the chain at s, the signature over the request's headers.
func (s *Signature) Chunks(secret string) *Chunks {
	return &Chunks{
		key:      s.key(secret),
		prefix:   "\n" + s.Time.Format(TimeFormat) + "\n" + s.Scope.String() + "\n",
		previous: s.Value,
	}
}

// Chunk gives the signature of the next chunk, whose data has the hex SHA-256 hash. The last chunk has no data.
func (c *Chunks) Chunk(hash string) string {
	return c.sign(Algorithm + "-PAYLOAD" + c.prefix + c.previous + "\n" + EmptyPayload + "\n" + hash)
}

// Trailer gives the signature of the trailer, where lines holds "name:value\n" for each of its fields.
func (c *Chunks) Trailer(lines string) string {
	return c.sign(Algorithm + "-TRAILER" + c.prefix + c.previous + "\n" + hexSHA256(lines))
}

func (c *Chunks) sign(text string) string {
	c.previous = hex.EncodeToString(hmacSHA256(c.key, text))
	return c.previous
}
