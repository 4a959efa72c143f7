package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
)

// mayRefuseChecksums tells refusals that can be about a checksum header.
func mayRefuseChecksums(err error) bool {
	var refused *OpError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Status {
	case http.StatusNotImplemented:
		return true
	case http.StatusBadRequest:
		return refused.Kind == nil && strings.Contains(strings.ToLower(refused.cause()), "checksum")
	}
	return false
}

// refusesPartSums tells refusals that can be about the checksums of parts in the
// document that completes an upload: Swift takes its schema at its word, which
// has none.
func refusesPartSums(err error) bool {
	var refused *OpError
	return errors.As(err, &refused) && refused.Code == "MalformedXML"
}

// withChecksums runs a write. One that an unknown service refuses, twice and in
// a way that may be about the checksum, is run again without. When it then
// succeeds, none is sent from here on; the first that is stored with one ends
// the doubt. Twice, because a refusal that was of the moment must not cost the
// checksums of everything that follows.
func (c *Client) withChecksums(write func(with bool) error) error {
	if c.noChecksums() {
		return write(false)
	}
	asks := c.service.unknown.Load() && !c.service.checksums.settled.Load()
	err := write(true)
	if asks && mayRefuseChecksums(err) {
		err = write(true)
	}
	if err == nil {
		c.service.checksums.settled.Store(true)
	}
	if !asks || !mayRefuseChecksums(err) || write(false) != nil {
		return err
	}
	c.service.checksums.settled.Store(true)
	c.cfg.Logger.Debug("service refuses checksums", "bucket", c.name)
	c.service.learn(func(q *Quirks) { q.NoChecksums = true })
	return nil
}

func (c *Client) noChecksums() bool { return c.cfg.NoChecksums || c.Quirks().NoChecksums }

// etagsLie finds out whether an ETag that looks like an MD5 and is not that of
// the bytes is one of an unknown service that makes no MD5s: what is stored then
// are the bytes all the same.
func (c *Client) etagsLie(ctx context.Context, key string, pin Pin, body []byte) bool {
	if !c.service.unknown.Load() {
		return false
	}
	c.service.etags.ask(ctx, func() error {
		object, err := c.Get(ctx, key, pin)
		if err != nil {
			return err
		}
		defer object.Body.Close()
		stored, err := io.ReadAll(io.LimitReader(object.Body, int64(len(body))+1))
		if err != nil {
			return err
		}
		if !bytes.Equal(stored, body) {
			return errOpen
		}
		c.cfg.Logger.Debug("ETags of the service are no MD5s", "bucket", c.name)
		c.service.learn(func(q *Quirks) { q.OpaqueETags = true })
		return nil
	})
	return c.Quirks().OpaqueETags
}

// keepsConditions finds out whether an unknown service looks at the conditions
// of writes, by one that must fail: it is for an object that does not exist, to
// replace it. Only a service that does not look makes that object, which is then
// removed.
func (c *Client) keepsConditions(ctx context.Context, key string) bool {
	if c.service.unknown.Load() {
		c.service.conditions.ask(ctx, func() error { return c.breakConditions(ctx, key+".s3kloset-"+rand.Text()) })
	}
	return !c.Quirks().NoConditions
}

// noETag is the ETag of no object.
const noETag = "00000000000000000000000000000000"

func (c *Client) breakConditions(ctx context.Context, scratch string) error {
	for _, w := range []Write{{IfMatch: noETag}, {IfNoneMatch: true}} {
		_, err := c.put(ctx, scratch, nil, w)
		if refusesCondition(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if w.IfMatch != "" {
			defer c.discard(ctx, scratch)
		}
	}
	c.cfg.Logger.Debug("service ignores conditions of writes", "bucket", c.name)
	c.service.learn(func(q *Quirks) { q.NoConditions = true })
	return nil
}

// refusesCondition tells errors of writes whose condition did not hold. Any
// other error tells nothing of conditions.
func refusesCondition(err error) bool {
	return errors.Is(err, ErrAlreadyExists) || errors.Is(err, ErrChanged) ||
		errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBucketNotFound)
}

// discard removes what a question left behind, also after the context has ended.
func (c *Client) discard(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if err := c.Delete(ctx, key); err != nil {
		c.cfg.Logger.Warn("cannot remove the object of a question to the service", "bucket", c.name, "key", key, "error", err)
	}
}

// fewParts is what services take at least that take fewer parts than S3.
const fewParts = 1000

// countsParts finds out, before an upload of more parts than any service takes,
// whether an unknown one takes them: by a part with the last number of S3, in an
// upload of its own that is aborted.
func (c *Client) countsParts(ctx context.Context, key string, parts int64) {
	if !c.service.unknown.Load() || parts <= fewParts {
		return
	}
	c.service.parts.ask(ctx, func() error {
		u := &upload{client: c, key: key, sums: c.partSumsFor(Checksum{})}
		if err := u.begin(ctx); err != nil {
			return err
		}
		defer func() {
			if err := u.abort(ctx); err != nil {
				c.cfg.Logger.Warn("cannot abort the upload of a question to the service", "bucket", c.name, "key", key, "error", err)
			}
		}()
		err := u.sendPart(ctx, &part{number: MaxParts}, []byte("part"))
		var refused *OpError
		if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest || refused.Kind != nil {
			return err
		}
		c.cfg.Logger.Debug("service takes fewer parts than S3", "bucket", c.name, "parts", fewParts)
		c.service.learn(func(q *Quirks) { q.MaxParts = fewParts })
		return nil
	})
}
