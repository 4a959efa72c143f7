package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Entry is one object of a listing.
type Entry struct {
	Key          string
	Size         int64
	ETag         string // without quotes
	LastModified time.Time
	StorageClass string // "" means STANDARD
	// Readable is set for an object of an archive class that has been
	// restored for a while, where the server tells.
	Readable bool
}

// Range says what to list. The zero value is the whole bucket.
type Range struct {
	Prefix string
	After  string // only keys after this one
	Until  string // only keys before this one; "" is no bound
	// Unordered accepts keys in any order, as directory buckets send them.
	// Duplicates are then not noticed.
	Unordered bool
	Most      int // stop after so many; 0 is no bound

	page int // keys a page; 0 is pageSize, tests lower it
}

// pageSize is the largest page that S3 sends.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
const pageSize = 1000

const (
	// pageRetries bounds how often one page is asked for again because its
	// content cannot be believed. Failed requests are retried on their own.
	pageRetries = 3
	// emptyPages bounds pages without keys that promise more: S3 may send
	// them, a broken server may send them for ever.
	emptyPages = 1000
)

// List yields the objects of the range in byte order of their keys, page after
// page. It ends with an error when a page cannot be had or cannot be believed,
// and when the context ends: a listing that ends without one is complete.
func (c *Client) List(ctx context.Context, r Range) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		l := &lister{client: c, rng: r, last: r.After}
		for sent := 0; !l.done; {
			entries, err := l.next(ctx)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, entry := range entries {
				if r.Until != "" && entry.Key >= r.Until && !r.Unordered {
					return
				}
				if !yield(entry, nil) {
					return
				}
				if sent++; sent == r.Most {
					return
				}
			}
		}
	}
}

// lister holds the place in a listing.
type lister struct {
	client *Client
	rng    Range
	last   string // the last key seen, or where to start after
	token  string
	empty  int
	done   bool
}

// next returns the next page. A page that cannot be believed is asked for
// again by the last key seen, without the token that led to it.
func (l *lister) next(ctx context.Context) ([]Entry, error) {
	var err error
	for try := 0; try <= pageRetries; try++ {
		if try > 0 {
			if err := sleep(ctx, backoff(try)); err != nil {
				return nil, err
			}
		}
		var page *s3.ListObjectsV2Output
		page, err = l.fetch(ctx)
		if err == nil {
			var entries []Entry
			if entries, err = l.accept(page); err == nil {
				return entries, nil
			}
		} else if !l.worthRestart(err) {
			return nil, err
		}
		if l.rng.Unordered {
			break // no key to start after
		}
		l.token = ""
	}
	return nil, err
}

// worthRestart tells an answer that could not be read, or a token that the
// server no longer takes, from errors that a retry does not mend.
func (l *lister) worthRestart(err error) bool {
	var failed *OpError
	if !errors.As(err, &failed) {
		return false
	}
	return errors.Is(err, ErrListing) || (l.token != "" && failed.Code == "InvalidArgument")
}

func (l *lister) fetch(ctx context.Context) (*s3.ListObjectsV2Output, error) {
	in := &s3.ListObjectsV2Input{Bucket: &l.client.name, MaxKeys: aws.Int32(int32(l.want()))}
	if l.rng.Prefix != "" {
		in.Prefix = &l.rng.Prefix
	}
	if l.token != "" {
		in.ContinuationToken = &l.token
	} else if l.last != "" {
		in.StartAfter = &l.last
	}
	page, err := l.ask(ctx, in)
	if err == nil && l.client.readsListing(ctx, in, page) {
		page, err = l.ask(ctx, in)
	}
	return page, err
}

// ask asks for a page with its keys encoded, where the service does that well.
func (l *lister) ask(ctx context.Context, in *s3.ListObjectsV2Input) (page *s3.ListObjectsV2Output, err error) {
	in.EncodingType = l.client.Quirks().listEncoding()
	err = l.client.call(ctx, "list", l.rng.Prefix, func(ctx context.Context, opts ...func(*s3.Options)) (err error) {
		attemptsOf(ctx).ownsCuts.Store(true)
		page, err = l.client.listObjects(ctx, in, opts...)
		return err
	})
	if isCut(err) {
		return nil, l.distrust(errNoListing)
	}
	return page, err
}

var errNoListing = errors.New("answer is not the XML of a listing")

func (l *lister) want() int {
	page := cmp.Or(l.rng.page, pageSize)
	if l.rng.Most > 0 {
		return min(l.rng.Most, page)
	}
	return page
}

// accept checks a page and takes its keys.
func (l *lister) accept(page *s3.ListObjectsV2Output) ([]Entry, error) {
	// The SDK makes an empty listing of an empty answer and of a web page.
	if page.IsTruncated == nil {
		return nil, l.distrust(errors.New("answer does not tell whether there is more: it is not a listing, or not all of one"))
	}
	more := aws.ToBool(page.IsTruncated)
	token := aws.ToString(page.NextContinuationToken)
	if more && token == "" {
		return nil, l.distrust(errors.New("there is more, but no token to ask for it"))
	}
	if more && token == l.token {
		return nil, l.distrust(errors.New("the same token again"))
	}
	entries, last, err := l.entries(page)
	if err != nil {
		return nil, err
	}
	if strings.ContainsRune(token, utf8.RuneError) && !l.rng.Unordered {
		// The token is a key that XML could not hold. It goes on after the last one.
		if len(entries) == 0 {
			return nil, l.distrust(errors.New("there is more, and the token to ask for it cannot be read"))
		}
		token = ""
	}
	if len(entries) > 0 {
		l.empty = 0
	} else if l.empty++; l.empty > emptyPages {
		return nil, l.distrust(errors.New("endless empty pages"))
	}
	l.last, l.token, l.done = last, token, !more
	return entries, nil
}

func (l *lister) entries(page *s3.ListObjectsV2Output) ([]Entry, string, error) {
	decode := l.client.decoder(page)
	entries := make([]Entry, 0, len(page.Contents))
	last := l.last
	for i := range page.Contents {
		entry, err := entryOf(&page.Contents[i], decode)
		if err != nil {
			return nil, "", l.distrust(err)
		}
		if !strings.HasPrefix(entry.Key, l.rng.Prefix) {
			return nil, "", l.distrust(fmt.Errorf("key %q is outside of the prefix", entry.Key))
		}
		if !l.rng.Unordered && entry.Key <= last {
			return nil, "", l.distrust(outOfOrder(entry.Key, last))
		}
		last = entry.Key
		entries = append(entries, entry)
	}
	return entries, last, nil
}

// outOfOrder is the error of a key that comes too late. Where a character that XML
// cannot hold is listed as U+FFFD, that is why, and a key may stand for two.
func outOfOrder(key, last string) error {
	err := fmt.Errorf("key %q comes after %q", key, last)
	if strings.ContainsRune(last, utf8.RuneError) {
		return fmt.Errorf("%w: the second has a character that XML cannot hold, and that the server does not encode", err)
	}
	return err
}

func (l *lister) distrust(why error) error {
	return &OpError{Op: "list", Bucket: l.client.name, Key: l.rng.Prefix, Kind: ErrListing, Err: why}
}

func entryOf(o *types.Object, decode func(string) (string, error)) (Entry, error) {
	key, err := decode(aws.ToString(o.Key))
	if err != nil {
		return Entry{}, fmt.Errorf("key %q is not url-encoded", aws.ToString(o.Key))
	}
	if key == "" || o.Size == nil {
		return Entry{}, fmt.Errorf("entry %q has no key or no size", key)
	}
	entry := Entry{
		Key:          key,
		Size:         *o.Size,
		ETag:         trimETag(aws.ToString(o.ETag)),
		LastModified: aws.ToTime(o.LastModified).UTC(),
		StorageClass: string(o.StorageClass),
	}
	if entry.StorageClass == "STANDARD" {
		entry.StorageClass = ""
	}
	if o.RestoreStatus != nil {
		entry.Readable = o.RestoreStatus.RestoreExpiryDate != nil
	}
	return entry, nil
}
