package s3test

import (
	"crypto/tls"
	"io"
	"log"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// Option changes what [New] or [NewProxy] makes. A nil Option is skipped. A Proxy, which has no objects of its own, heeds
// those about the clock, credentials, domain, connections and network.
type Option func(*settings)

type settings struct {
	region            string
	clock             Clock
	credentials       Credentials
	domain            string
	minPartSize       int64
	maxParts          int
	name              string
	listEncoding      ListEncoding
	pageSize          int
	keyTokens         bool
	metadataStyle     MetadataStyle
	defaultChecksum   bool
	closeAlways       bool
	anyClass          bool
	plainSSEC         bool
	conflicts         bool
	archivedCopyState bool
	latency           time.Duration
	bandwidth         int64
	upstreamTLS       *tls.Config
	certificateFrom   time.Time
	certificateTo     time.Time
	missing           map[Feature]bool
}

func newSettings(options []Option) settings {
	s := defaultSettings()
	for _, option := range options {
		if option != nil {
			option(&s)
		}
	}
	return s
}

func defaultSettings() settings {
	now := time.Now()
	return settings{
		region: "us-east-1",
		clock:  systemClock{},
		credentials: Credentials{Credentials: sigv4.Credentials{
			AccessKey: "S3TESTACCESSKEY", SecretKey: "s3test+secret/key",
		}},
		minPartSize:     5 << 20,
		maxParts:        maxParts,
		name:            "s3test",
		pageSize:        maxKeys,
		certificateFrom: now.Add(-time.Hour),
		certificateTo:   now.Add(24 * time.Hour),
		missing:         make(map[Feature]bool),
	}
}

// WithRegion sets the only region that requests may be signed for. The default is us-east-1.
func WithRegion(region string) Option {
	return func(s *settings) { s.region = region }
}

// WithClock sets where the time comes from. The default is the system clock.
func WithClock(clock Clock) Option {
	return func(s *settings) { s.clock = clock }
}

// WithCredentials sets the key pair that requests are signed with.
func WithCredentials(accessKey, secretKey string) Option {
	return func(s *settings) {
		s.credentials.AccessKey, s.credentials.SecretKey = accessKey, secretKey
	}
}

// WithDomain adds virtual-host style: requests to BUCKET.domain, on any port, are for BUCKET.
func WithDomain(domain string) Option {
	return func(s *settings) { s.domain = domain }
}

// WithMinPartSize sets how many bytes every part of an upload but the last must have. The default is S3's 5 MiB.
func WithMinPartSize(n int64) Option {
	return func(s *settings) { s.minPartSize = n }
}

// WithMaxParts sets the highest number that a part of an upload may have. The default is S3's 10,000.
func WithMaxParts(n int) Option {
	return func(s *settings) { s.maxParts = n }
}

// WithServerName sets the Server header of all answers. The default is s3test.
func WithServerName(name string) Option {
	return func(s *settings) { s.name = name }
}

// ListEncoding is how keys are listed to a client that asks for encoding-type=url.
type ListEncoding int

const (
	// FormEncoding writes a space as "+", as S3 does.
	FormEncoding ListEncoding = iota
	// PathEncoding writes a space as "%20" and leaves a "+".
	PathEncoding
	// NoEncoding says that keys are encoded and leaves them as they are.
	NoEncoding
)

// WithListEncoding sets what becomes of encoding-type=url.
func WithListEncoding(encoding ListEncoding) Option {
	return func(s *settings) { s.listEncoding = encoding }
}

// WithPageSize sets how many entries a page of ListObjects, ListObjectsV2 and ListObjectVersions has at most, so that
// few keys make many pages. The default, and the most, is S3's 1000. Clients are not told: as on S3, any page may be
// shorter than they asked for.
func WithPageSize(n int) Option {
	return func(s *settings) { s.pageSize = min(max(n, 1), maxKeys) }
}

// WithKeyTokens makes continuation tokens the keys that the listing goes on after, as they are, as Ceph does: XML cannot
// hold all of them.
func WithKeyTokens() Option {
	return func(s *settings) { s.keyTokens = true }
}

// MetadataStyle is how user metadata outside ASCII is returned.
type MetadataStyle int

const (
	// RFC2047 returns it as encoded words, as S3 and MinIO do. This is the default.
	RFC2047 MetadataStyle = iota
	// RawUTF8 returns the bytes that came, as other servers do.
	RawUTF8
)

// WithMetadataStyle sets how user metadata outside ASCII is returned.
func WithMetadataStyle(style MetadataStyle) Option {
	return func(s *settings) { s.metadataStyle = style }
}

// WithDefaultChecksum makes the server compute a CRC64NVME for objects that come without a checksum, as S3 does since
// 2024. Without it such objects have none, as on most other servers.
func WithDefaultChecksum() Option {
	return func(s *settings) { s.defaultChecksum = true }
}

// WithLatency makes every request wait d of real time on its way, as one round trip over a network would. Requests wait
// side by side. See [Server.SetLatency].
func WithLatency(d time.Duration) Option {
	return func(s *settings) { s.latency = d }
}

// WithBandwidth limits the bodies of all requests together, and those of all answers together, to n bytes a second of
// real time. The default, 0, is no limit.
func WithBandwidth(n int64) Option {
	return func(s *settings) { s.bandwidth = max(n, 0) }
}

// WithUpstreamTLS sets how a [Proxy] speaks to an https upstream, such as which authorities it trusts. The default is
// Go's.
func WithUpstreamTLS(config *tls.Config) Option {
	return func(s *settings) { s.upstreamTLS = config }
}

// WithoutKeepAlive closes every connection after one answer.
func WithoutKeepAlive() Option {
	return func(s *settings) { s.closeAlways = true }
}

// WithAnyStorageClass accepts every string as a storage class, instead of those of general purpose buckets.
func WithAnyStorageClass() Option {
	return func(s *settings) { s.anyClass = true }
}

// WithSSECOverHTTP accepts customer keys without TLS, which S3 refuses.
func WithSSECOverHTTP() Option {
	return func(s *settings) { s.plainSSEC = true }
}

// WithConflicts answers 409 ConditionalRequestConflict to a conditional write that overlaps another one of the same
// key, as S3 may. Without it such a write waits its turn and meets its condition or 412.
func WithConflicts() Option {
	return func(s *settings) { s.conflicts = true }
}

// WithInvalidStateOnCopy answers InvalidObjectState to a copy of an archived object, instead of
// ObjectNotInActiveTierError. Both are found in the wild.
func WithInvalidStateOnCopy() Option {
	return func(s *settings) { s.archivedCopyState = true }
}

// WithCertificateLife sets when the certificate of StartTLS is valid. The default is from an hour ago for a day. It is
// judged by clients, with their own clock.
func WithCertificateLife(from, to time.Time) Option {
	return func(s *settings) { s.certificateFrom, s.certificateTo = from, to }
}

// Feature is something that a server may lack.
type Feature string

// WithoutFeature takes features away, to see what a client makes of a lesser server.
func WithoutFeature(features ...Feature) Option {
	return func(s *settings) {
		for _, feature := range features {
			s.missing[feature] = true
		}
	}
}

func (s *settings) has(feature Feature) bool { return !s.missing[feature] }

// silent is for net/http, which would print what clients do wrong.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }
