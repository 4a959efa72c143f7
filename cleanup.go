package s3kloset

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/s3kloset/s3kloset/internal/bucket"
)

// CleanUpReport tells what a clean-up found.
type CleanUpReport struct {
	Found   int `json:"found"`   // uploads that were begun and not ended
	Aborted int `json:"aborted"` // those that were old enough
}

// CleanUp aborts multipart uploads of packfiles and states that were begun
// longer than olderThan ago, which processes that were killed leave behind:
// their parts are billed and show nowhere. Choose a time that no upload takes;
// a day is plenty. Uploads of other programs are left alone, also where the
// store has a bucket to itself.
func (s *Store) CleanUp(ctx context.Context, olderThan time.Duration) (CleanUpReport, error) {
	var report CleanUpReport
	if err := s.open(); err != nil {
		return report, err
	}
	if olderThan < 0 {
		return report, invalid("olderThan", "%v is negative", olderThan)
	}
	deadline := time.Now().Add(-olderThan)
	for upload, err := range s.pending(ctx) {
		if err != nil {
			return report, fmt.Errorf("list unfinished uploads: %w", err)
		}
		report.Found++
		if upload.Begun.After(deadline) {
			continue
		}
		if err := s.bucket.client.Abort(ctx, upload); err != nil {
			return report, fmt.Errorf("abort the upload of %q: %w", upload.Key, err)
		}
		report.Aborted++
	}
	return report, ctx.Err()
}

// pending lists the unfinished uploads of the store. MinIO takes the prefix of
// such a listing for a whole key, so an empty answer is one only for all of
// the bucket.
// https://github.com/minio/minio/issues/20989
func (s *Store) pending(ctx context.Context) iter.Seq2[bucket.Pending, error] {
	return func(yield func(bucket.Pending, error) bool) {
		found := false
		for _, prefix := range []string{s.bucket.folder(), ""} {
			for upload, err := range s.bucket.client.Pending(ctx, prefix) {
				found = true
				if (err != nil || s.isBlob(upload.Key)) && !yield(upload, err) {
					return
				}
			}
			if found || prefix == "" {
				return
			}
		}
	}
}

// isBlob tells the keys of packfiles and states from all others.
func (s *Store) isBlob(key string) bool {
	for _, resource := range []storage.StorageResource{storage.StorageResourcePackfile, storage.StorageResourceState} {
		name, spread, err := folder(resource)
		rest, below := strings.CutPrefix(key, s.bucket.key(name))
		if _, ok := idOf(rest, spread); err == nil && below && ok {
			return true
		}
	}
	return false
}
