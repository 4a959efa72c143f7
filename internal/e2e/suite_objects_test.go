package e2e_test

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"golang.org/x/sync/errgroup"
)

// The objects of the suites, as they are on a server: put and read without any SDK.

// atOnce is how many requests fill or read a bucket at a time.
const atOnce = 8

const metadataPrefix = "X-Amz-Meta-"

// headersOf are the fields of an object that are a header each.
func headersOf(o *klosettest.Object) map[string]*string {
	return map[string]*string{
		"Content-Type": &o.ContentType, "Cache-Control": &o.CacheControl, "Content-Disposition": &o.ContentDisposition,
		"Content-Encoding": &o.ContentEncoding, "Content-Language": &o.ContentLanguage, "Expires": &o.Expires,
		"X-Amz-Website-Redirect-Location": &o.WebsiteRedirect, "X-Amz-Storage-Class": &o.StorageClass,
	}
}

// hold makes a bucket hold exactly the objects. filled are those that it holds; what does
// not change is not written again.
func (at site) hold(t testing.TB, bucket string, filled *[]klosettest.Object, objs []klosettest.Object) {
	t.Helper()
	before := make(map[string]klosettest.Object)
	for _, o := range *filled {
		before[o.Key] = o
	}
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(atOnce)
	for _, o := range objs {
		old, there := before[o.Key]
		delete(before, o.Key)
		if !there || !reflect.DeepEqual(old, o) {
			g.Go(func() error { return at.putObject(ctx, bucket, o) })
		}
	}
	for key := range before {
		g.Go(func() error { return at.client.Delete(ctx, bucket, key) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	*filled = objs
}

func (at site) putObject(ctx context.Context, bucket string, o klosettest.Object) error {
	header := http.Header{}
	for name, field := range headersOf(&o) {
		if *field != "" {
			header.Set(name, *field)
		}
	}
	for name, value := range o.Metadata {
		header.Set(metadataPrefix+name, value)
	}
	tags := url.Values{}
	for key, value := range o.Tags {
		tags.Set(key, value)
	}
	if len(tags) > 0 {
		header.Set("X-Amz-Tagging", tags.Encode())
	}
	return at.client.Put(ctx, bucket, o.Key, header, o.Body)
}

// objects reads all that a bucket holds. MinIO lists an object whose upload was cancelled
// for as long as it is busy with it, and cannot find it: then all is read again.
func (at site) objects(t testing.TB, bucket string) []klosettest.Object {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	for {
		objs, err := at.tryObjects(ctx, bucket)
		var refused *raw.Error
		if errors.As(err, &refused) && refused.Code == "NoSuchKey" && ctx.Err() == nil {
			t.Logf("listed, and not there: %v", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return objs
	}
}

func (at site) tryObjects(ctx context.Context, bucket string) ([]klosettest.Object, error) {
	keys, err := at.client.Keys(ctx, bucket)
	if err != nil {
		return nil, err
	}
	objs := make([]klosettest.Object, len(keys))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, key := range keys {
		g.Go(func() (err error) {
			objs[i], err = at.getObject(ctx, bucket, key)
			return err
		})
	}
	return objs, g.Wait()
}

func (at site) getObject(ctx context.Context, bucket, key string) (klosettest.Object, error) {
	o := klosettest.Object{Key: key}
	answer, err := at.client.Get(ctx, bucket, key)
	if err != nil {
		return o, err
	}
	o.Body = answer.Body
	for name, field := range headersOf(&o) {
		*field = answer.Header.Get(name)
	}
	if o.StorageClass == "STANDARD" {
		o.StorageClass = ""
	}
	for name := range answer.Header {
		if bare, found := strings.CutPrefix(name, metadataPrefix); found {
			if o.Metadata == nil {
				o.Metadata = make(map[string]string)
			}
			// S3 answers what is not ASCII in the words of mail.
			if o.Metadata[strings.ToLower(bare)], err = new(mime.WordDecoder).DecodeHeader(answer.Header.Get(name)); err != nil {
				return o, err
			}
		}
	}
	o.Tags, err = at.client.Tags(ctx, bucket, key)
	return o, err
}
