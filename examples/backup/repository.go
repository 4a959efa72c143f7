package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/PlakarKorp/integrations/fs/storage"
	kstorage "github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/s3kloset/s3kloset"
)

// target is the place of a repository: a location in S3, or a local folder.
type target struct {
	kstorage.Store
	bucket *s3kloset.Bucket // nil for a folder
	name   string
}

// openTarget makes no request.
func (c *command) openTarget(ctx context.Context) (*target, error) {
	if isS3(c.store) {
		b, err := open("-store", c.store, c.storeOptions.over(c.options))
		if err != nil {
			return nil, err
		}
		return &target{Store: b.Store(), bucket: b, name: b.String()}, nil
	}
	folder, err := filepath.Abs(c.store)
	if err != nil {
		return nil, usage("-store: %w", err)
	}
	store, err := storage.NewStore(ctx, "fs", map[string]string{"location": "fs://" + folder})
	if err != nil {
		return nil, fmt.Errorf("open folder %q: %w", folder, err)
	}
	return &target{Store: store, name: folder}, nil
}

// open makes a handle from a location and the options for it. What is wrong
// with them is wrong with the command line.
func open(flag, location string, config map[string]string, more ...s3kloset.Option) (*s3kloset.Bucket, error) {
	opts, err := s3kloset.FromConfig(config)
	if err != nil {
		return nil, usage("%s: %w", flag, err)
	}
	b, err := s3kloset.New(location, append(opts, more...)...)
	if err != nil {
		return nil, usage("%s: %w", flag, err)
	}
	return b, nil
}

// requests counts those of the repository so far; none for a folder.
func (t *target) requests() map[string]int64 {
	if t.bucket == nil {
		return nil
	}
	return t.bucket.Requests()
}

func (t *target) close(ctx context.Context) error {
	err := t.Store.Close(context.WithoutCancel(ctx))
	if t.bucket != nil {
		err = errors.Join(err, t.bucket.Close())
	}
	return err
}

// openRepository opens the repository, or creates it for a first backup.
func (c *command) openRepository(ctx context.Context, t *target) (repo *s3kloset.Repository, created bool, err error) {
	protection := s3kloset.WithPlaintext()
	if !c.plaintext {
		protection = s3kloset.WithPassphrase([]byte(c.passphrase))
	}
	repo, err = s3kloset.OpenRepository(ctx, t, protection)
	missing := errors.Is(err, s3kloset.ErrNoRepository) || errors.Is(err, s3kloset.ErrBucketNotFound)
	if !c.backsUp() || !missing {
		return repo, false, err
	}
	repo, err = s3kloset.CreateRepository(ctx, t, protection)
	return repo, err == nil, err
}
