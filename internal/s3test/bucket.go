package s3test

import (
	"regexp"
	"strings"
	"sync"
	"time"
)

// Bucket is one bucket. Its methods reach the objects directly, without HTTP, signatures and faults, and are safe for
// concurrent use with each other and with requests.
type Bucket struct {
	server  *Server
	name    string
	created time.Time

	mu         sync.RWMutex
	index      index
	versioning string // "", "Enabled" or "Suspended"
	uploads    map[string]*upload
	finished   finishedUploads
	writing    map[string]int // conditional writes that are under way, by key
	documents  map[string][]byte
	lock       lockConfiguration
	acl        string
	gone       bool // deleted: nothing may be stored any more
	public     bool
	payer      bool // the requester pays
}

func newBucket(s *Server, name string) *Bucket {
	return &Bucket{
		server: s, name: name, created: s.now(),
		uploads: make(map[string]*upload), writing: make(map[string]int), documents: make(map[string][]byte),
	}
}

// Name is the bucket's name.
func (b *Bucket) Name() string { return b.name }

// SetPublic lets anybody read the bucket's objects and list them, without credentials.
func (b *Bucket) SetPublic(public bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.public = public
}

// SetRequesterPays demands x-amz-request-payer of every request for the bucket, which must then be signed.
func (b *Bucket) SetRequesterPays(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.payer = on
}

func (b *Bucket) isPublic() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.public
}

func (b *Bucket) requesterPays() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.payer
}

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	ipAddress  = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
)

func validBucketName(name string) bool {
	return bucketName.MatchString(name) && !ipAddress.MatchString(name) && !strings.Contains(name, "..") &&
		!strings.HasPrefix(name, "xn--") && !strings.HasSuffix(name, "-s3alias")
}
