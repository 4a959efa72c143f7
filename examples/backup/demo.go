package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// Names of the buckets of the demonstration.
const (
	originalName = "original"
	storeName    = "backups"
	restoredName = "restored"
)

// demo shows the whole road on an S3 in memory.
type demo struct {
	display *display
	server  *s3test.Server
	report  *demoReport

	original *s3test.Bucket
	source   *s3kloset.Bucket
	into     *s3kloset.Bucket
	store    *s3kloset.Bucket
	repo     *s3kloset.Repository
}

// demoReport is what the demonstration found.
type demoReport struct {
	verdict
	Filled   filling                 `json:"filled"`
	First    *s3kloset.BackupReport  `json:"first_backup,omitempty"`
	Changed  changes                 `json:"changed"`
	Second   *s3kloset.BackupReport  `json:"second_backup,omitempty"`
	Checked  string                  `json:"checked,omitempty"` // snapshot
	Restore  *s3kloset.RestoreReport `json:"restore,omitempty"`
	Compared *comparison             `json:"compared,omitempty"`

	StoreRequests map[string]int64 `json:"store_requests,omitempty"`
	StoreSize     int64            `json:"store_bytes"`
	Duration      time.Duration    `json:"duration_ns"`
}

// demonstrate runs the demonstration. Its error is nil only if everything came
// back identical.
func demonstrate(ctx context.Context, d *display) (result result, err error) {
	started := time.Now()
	x := &demo{display: d, server: s3test.New(), report: &demoReport{}}
	result = x.report
	defer func() {
		err = errors.Join(err, x.close())
		x.report.Duration = time.Since(started)
	}()
	if err := x.open(ctx); err != nil {
		return result, err
	}
	return result, x.run(ctx)
}

func (x *demo) open(ctx context.Context) (err error) {
	if err := x.server.Start(); err != nil {
		return fmt.Errorf("start the S3 in memory: %w", err)
	}
	x.display.say("an S3 in memory listens on %s", x.server.URL())
	x.original = x.server.CreateBucket(originalName)
	if x.source, err = x.handle(originalName); err != nil {
		return err
	}
	if x.into, err = x.handle(restoredName); err != nil {
		return err
	}
	if x.store, err = x.handle(storeName); err != nil {
		return err
	}
	x.display.say("creating an encrypted repository in %s ...", x.store)
	x.repo, err = s3kloset.CreateRepository(ctx, x.store.Store(), s3kloset.WithPassphrase([]byte(rand.Text())))
	return err
}

func (x *demo) handle(bucket string) (*s3kloset.Bucket, error) {
	return s3kloset.New("s3://"+bucket,
		s3kloset.WithEndpoint(x.server.URL()),
		s3kloset.WithCredentials(x.server.AccessKey(), x.server.SecretKey(), ""),
		s3kloset.WithCreateBucket(true),
		s3kloset.WithProgress(x.display.follow))
}

func (x *demo) run(ctx context.Context) (err error) {
	contents := newContents()
	x.report.Filled = fill(x.original, contents)
	x.display.say("filled bucket %s with %d objects", originalName, x.report.Filled.Objects)
	if x.report.First, err = x.backup(ctx, "first backup"); err != nil {
		return err
	}
	x.report.Changed = change(x.original, contents)
	if x.report.Second, err = x.backup(ctx, "second backup, after some changes"); err != nil {
		return err
	}
	snapshot := x.report.Second.Snapshot.ID
	x.display.say("checking the second snapshot ...")
	if err := x.repo.Check(ctx, snapshot); err != nil {
		return err
	}
	x.report.Checked = snapshot
	if x.report.Restore, err = x.restore(ctx, snapshot); err != nil {
		return err
	}
	if x.report.StoreSize, err = x.store.Store().Size(ctx); err != nil {
		return err
	}
	return x.verify()
}

func (x *demo) backup(ctx context.Context, step string) (*s3kloset.BackupReport, error) {
	x.display.begin(step, 0)
	defer x.display.end()
	return x.repo.Backup(ctx, x.source.Source())
}

func (x *demo) restore(ctx context.Context, snapshot string) (*s3kloset.RestoreReport, error) {
	x.display.begin("restoring the second snapshot into a new bucket", x.report.Second.Snapshot.Objects)
	defer x.display.end()
	return x.repo.Restore(ctx, snapshot, x.into.Destination())
}

// verify compares the buckets, and what was read with what had changed.
func (x *demo) verify() error {
	c := compare(x.original, x.server.Bucket(restoredName))
	x.report.Compared = &c
	if n := len(c.Differences); n > 0 {
		return fmt.Errorf("%d differences between the original and the restored bucket", n)
	}
	if read, changed := x.report.Second.Stored, int64(x.report.Changed.read()); read != changed {
		return fmt.Errorf("the second backup read %d objects, and %d had changed", read, changed)
	}
	return nil
}

func (x *demo) close() error {
	var errs []error
	if x.repo != nil {
		errs = append(errs, x.repo.Close())
	}
	if x.store != nil {
		x.report.StoreRequests = x.store.Requests()
	}
	for _, b := range []*s3kloset.Bucket{x.source, x.into, x.store} {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	return errors.Join(append(errs, x.server.Close())...)
}

func (r *demoReport) text(p *printer) {
	p.line("bucket", "%d objects, %s, %d of them with awkward keys", r.Filled.Objects, size(r.Filled.Bytes), r.Filled.Awkward)
	p.backup("first backup", r.First)
	if c := r.Changed; c.read() > 0 {
		p.line("changes", "%d added, %d overwritten, %d with new metadata, %d with new tags, %d with another class, %d deleted",
			c.Added, c.Overwritten, c.Metadata, c.Retagged, c.Class, c.Deleted)
	}
	p.backup("second backup", r.Second)
	if r.Checked != "" {
		p.line("check", "the second snapshot is sound")
	}
	p.restore("restore", r.Restore)
	if r.StoreSize > 0 {
		p.line("repository", "%s in S3, encrypted", size(r.StoreSize))
	}
	p.requests("  requests", r.StoreRequests)
	if r.Compared != nil {
		p.comparison(*r.Compared)
	}
	p.line("time", "%s", short(r.Duration))
	if r.OK {
		p.line("", "What came back is what was there.")
	}
}

func (p *printer) comparison(c comparison) {
	if len(c.Differences) == 0 {
		p.line("compared", "%d objects, %d properties: all identical", c.Objects, c.Properties)
		return
	}
	p.line("compared", "%d objects, %d properties: %d DIFFERENCES", c.Objects, c.Properties, len(c.Differences))
	for _, text := range c.Differences {
		p.line("", "%s", text)
	}
}
