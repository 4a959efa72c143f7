package s3test

import (
	"slices"
	"strings"
)

// Features that [WithoutFeature] can take away. Operations that need a missing feature are refused with NotImplemented;
// what else happens is said beside each.
const (
	ConditionalWrites  Feature = "conditional writes"  // If-Match and If-None-Match of writes are silently ignored
	Tagging            Feature = "tagging"             // x-amz-tagging is refused too
	UploadTags         Feature = "upload tags"         // those of an upload become tags that no request can read
	UploadLocks        Feature = "upload locks"        // lock headers of CreateMultipartUpload are silently ignored
	MultipartChecksums Feature = "multipart checksums" // CreateMultipartUpload with an algorithm is refused
	CompletionSums     Feature = "completion sums"     // those of an upload are overlooked, and a completion that lists them is MalformedXML
	WebsiteRedirects   Feature = "website redirects"   // x-amz-website-redirect-location is refused
	PartialContent     Feature = "partial content"     // a range comes with its Content-Range and the status 200
	Asides             Feature = "asides"              // ?tagging, ?retention and ?legal-hold are overlooked: what is asked or told is the object
	Checksums          Feature = "checksums"           // requests with a checksum header are refused
	MD5ETags           Feature = "md5 etags"           // ETags of objects look like MD5s and are none
	PartNumbers        Feature = "part numbers"        // partNumber is ignored: nothing is told of an object's parts
	CompletionETags    Feature = "completion etags"    // CompleteMultipartUpload answers with an empty one
	URLEncoding        Feature = "url encoding"        // encoding-type is ignored: keys are listed as they are
	StorageClasses     Feature = "storage classes"     // all but STANDARD are refused with InvalidStorageClass
	ExpeditedRestores  Feature = "expedited restores"  // refused with GlacierExpeditedRetrievalNotAvailable
	RegionHeader       Feature = "region header"       // a wrong region is named in the document of the refusal alone
	Versioning         Feature = "versioning"
	ObjectLock         Feature = "object lock"
	Restores           Feature = "restores"
	BatchDeletes       Feature = "batch deletes"
	Copies             Feature = "copies"
	Attributes         Feature = "attributes"
	BucketDocuments    Feature = "bucket documents" // policies, lifecycle rules and the like
)

var featureOperations = map[Feature][]string{
	Tagging:      {"GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"},
	Versioning:   {"GetBucketVersioning", "PutBucketVersioning", "ListObjectVersions"},
	Restores:     {"RestoreObject"},
	BatchDeletes: {"DeleteObjects"},
	Copies:       {"CopyObject", "UploadPartCopy"},
	Attributes:   {"GetObjectAttributes"},
	ObjectLock: {"GetObjectLockConfiguration", "PutObjectLockConfiguration", "GetObjectRetention", "PutObjectRetention",
		"GetObjectLegalHold", "PutObjectLegalHold"},
}

// overlooked is what an operation on something beside an object is taken for.
var overlooked = map[string]string{
	"GetObjectTagging": "GetObject", "GetObjectRetention": "GetObject", "GetObjectLegalHold": "GetObject",
	"PutObjectTagging": "PutObject", "PutObjectRetention": "PutObject", "PutObjectLegalHold": "PutObject",
}

// overlook changes the operation as a server does that knows none of these. The log keeps what was asked for.
func (x *exchange) overlook() {
	if op := overlooked[x.op]; op != "" && !x.server.settings.has(Asides) {
		x.op = op
	}
}

// missingFeature refuses operations that the server was made without.
func (x *exchange) missingFeature() error {
	if !x.server.settings.has(Checksums) && x.sendsChecksum() {
		return failure("NotImplemented").with("Header", "x-amz-checksum-algorithm")
	}
	if !x.server.settings.has(WebsiteRedirects) && x.header("X-Amz-Website-Redirect-Location") != "" {
		return failure("NotImplemented").with("Header", "x-amz-website-redirect-location")
	}
	for feature := range x.server.settings.missing {
		if slices.Contains(featureOperations[feature], x.op) || feature == BucketDocuments && documentOperations[x.op] != nil {
			return failure("NotImplemented")
		}
	}
	return nil
}

func (x *exchange) sendsChecksum() bool {
	for name := range x.r.Header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") || strings.HasPrefix(name, "X-Amz-Sdk-Checksum-") {
			return name != "X-Amz-Checksum-Mode"
		}
	}
	return false
}
