package bucket

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Tags and locks are said when an upload is created, and belong to the object that it becomes. Services are known that
// lose them on the way without a word; there the object gets them once it is there. What it does not show counts as
// lost, since to write it again changes nothing.

// headers are those of the creation, without what is known not to reach the object, and the tags that come after it.
func (u *upload) headers() (http.Header, map[string]string) {
	w, q := u.w, u.client.Quirks()
	if q.NoUploadLocks {
		w.LockMode, w.LockUntil, w.LegalHold = "", time.Time{}, ""
	}
	if q.NoUploadTags {
		return w.Attributes.header(nil), w.Tags
	}
	return w.headers()
}

// restoreLost gives the object what it was promised and has not. The lock comes first: without it anybody who may
// write can take the rest away.
func (u *upload) restoreLost(ctx context.Context, written *Written) error {
	lost, err := u.lostLock(ctx, *written)
	if err == nil && lost {
		err = u.client.lock(ctx, u.key, written.VersionID, u.w.Attributes)
	}
	if err != nil {
		return err
	}
	late := u.late
	if lost, err = u.lostTags(ctx, *written); lost {
		late = u.w.Tags
	}
	if err != nil {
		return err
	}
	return u.client.tagLate(ctx, u.key, written, u.w, late)
}

func (u *upload) lostLock(ctx context.Context, written Written) (bool, error) {
	if !u.w.locks() {
		return false, nil
	}
	keeps := func(ctx context.Context) bool {
		there, err := u.client.Head(ctx, u.key, Pin{VersionID: written.VersionID})
		return err == nil && there.LegalHold == u.w.LegalHold && there.LockMode == u.w.LockMode &&
			!there.LockUntil.Before(u.w.LockUntil.Truncate(time.Second))
	}
	return u.client.loses(ctx, u.client.service.uploadLocks, func(q *Quirks) *bool { return &q.NoUploadLocks }, keeps)
}

func (u *upload) lostTags(ctx context.Context, written Written) (bool, error) {
	if len(u.w.Tags) == 0 || len(u.late) > 0 {
		return false, nil
	}
	keeps := func(ctx context.Context) bool {
		tags, err := u.client.Tags(ctx, u.key, Pin{VersionID: written.VersionID})
		return err == nil && maps.Equal(tags, u.w.Tags)
	}
	return u.client.loses(ctx, u.client.service.uploadTags, func(q *Quirks) *bool { return &q.NoUploadTags }, keeps)
}

// loses tells whether the service has a quirk. One that is not known is asked, by an object that would show it.
func (c *Client) loses(ctx context.Context, ask *question, quirk func(*Quirks) *bool, keeps func(context.Context) bool) (bool, error) {
	if c.service.unknown.Load() {
		ask.ask(ctx, func() error {
			if keeps(ctx) {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			c.cfg.Logger.Debug("service loses tags or locks of uploads", "bucket", c.name)
			c.service.learn(func(q *Quirks) { *quirk(q) = true })
			return nil
		})
	}
	q := c.Quirks()
	return *quirk(&q), ctx.Err()
}

// locks tells whether the object is to be kept from being deleted.
func (a Attributes) locks() bool { return a.LockMode != "" || a.LegalHold == "ON" }

// lock puts the retention and the legal hold of a on an object that is there.
func (c *Client) lock(ctx context.Context, key, versionID string, a Attributes) error {
	if a.LockMode != "" {
		if err := c.Retain(ctx, key, versionID, a.LockMode, a.LockUntil); err != nil {
			return err
		}
	}
	if a.LegalHold != "ON" {
		return nil
	}
	in := &s3.PutObjectLegalHoldInput{Bucket: &c.name, Key: &key, VersionId: versionOf(versionID),
		LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOn}}
	if err := c.findsRetention(ctx, key, in.VersionId); err != nil {
		return err
	}
	return c.call(ctx, "hold", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := c.api.PutObjectLegalHold(ctx, in, opts...)
		if err != nil {
			return err
		}
		return tookPlace(out.ResultMetadata)
	})
}
