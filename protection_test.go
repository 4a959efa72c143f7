package s3kloset

import (
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// protection is what keeps others from reading or from deleting an object.
type protection struct {
	mode, key string
	bucketKey bool
	lock      string
	until     time.Time
	legalHold bool
}

func protectionOf(o s3test.Object) protection {
	return protection{mode: o.Encryption, key: o.KMSKeyID, bucketKey: o.BucketKey,
		lock: o.LockMode, until: o.LockUntil.UTC(), legalHold: o.LegalHold}
}

// TestRestoredProtection: encryption modes and locks come back when they are asked
// for, and only then. A lock that has ended is none.
func TestRestoredProtection(t *testing.T) {
	quiet(t)
	const kms = "arn:aws:kms:us-east-1:111122223333:key/one"
	until := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	objects := map[string]protection{
		"plain":      {},
		"managed":    {mode: "AES256"},
		"kms":        {mode: "aws:kms", key: kms, bucketKey: true},
		"kms twice":  {mode: "aws:kms:dsse", key: kms},
		"governance": {lock: "GOVERNANCE", until: until},
		"compliance": {lock: "COMPLIANCE", until: until.Add(time.Hour)},
		"held":       {legalHold: true},
		"all":        {mode: "aws:kms", key: kms, lock: "GOVERNANCE", until: until, legalHold: true},
	}
	w := newWorld(t)
	w.data.EnableObjectLock()
	for key, p := range objects {
		w.data.Put(key, []byte(key), s3test.Properties{Encryption: p.mode, KMSKeyID: p.key, BucketKey: p.bucketKey,
			LockMode: p.lock, LockUntil: p.until, LegalHold: p.legalHold})
	}
	past := s3test.Properties{LockMode: "GOVERNANCE", LockUntil: time.Now().Add(-time.Hour)}
	w.data.Put("free again", []byte("free again"), past)
	objects["free again"] = protection{}
	w.backup()

	for name, test := range map[string]struct {
		options          []Option
		encryption, lock bool
	}{
		"not asked for": {nil, false, false},
		"encryption":    {[]Option{WithRestoredEncryption(true)}, true, false},
		"locks":         {[]Option{WithRestoredLock(true)}, false, true},
		"both":          {[]Option{WithRestoredEncryption(true), WithRestoredLock(true)}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			target := w.server.CreateBucket("target-" + strings.ReplaceAll(name, " ", "-"))
			target.EnableObjectLock()
			if _, err := w.repo.Restore(t.Context(), "", w.at("s3://"+target.Name(), test.options...).Destination()); err != nil {
				t.Fatal(err)
			}
			for key, want := range objects {
				if !test.encryption {
					want.mode, want.key, want.bucketKey = "", "", false
				}
				if !test.lock {
					want.lock, want.until, want.legalHold = "", time.Time{}, false
				}
				o, ok := target.Get(key)
				if got := protectionOf(o); !ok || got != want {
					t.Errorf("%s: %+v, want %+v", key, got, want)
				}
			}
		})
	}
}
