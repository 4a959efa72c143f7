package s3kloset

import (
	"errors"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// Errors that errors.Is finds in what this package returns. An error that
// comes from a request is an *OpError, which tells operation, bucket and key.
var (
	// ErrInvalidLocation reports a location that cannot be understood.
	ErrInvalidLocation = errors.New("invalid location")
	// ErrInvalidOption reports an option, or a key of a config map, that is
	// unknown, has a wrong value, or contradicts another one.
	ErrInvalidOption = errors.New("invalid option")
	// ErrInvalidKey reports a path that has no object key: it is empty, too
	// long, or not one that this package wrote.
	ErrInvalidKey = errors.New("invalid object key")

	// ErrBucketNotFound reports that the bucket does not exist.
	ErrBucketNotFound = bucket.ErrBucketNotFound
	// ErrNotFound reports that an object does not exist. It also satisfies
	// errors.Is(err, fs.ErrNotExist).
	ErrNotFound = bucket.ErrNotFound
	// ErrAlreadyExists reports that there is a repository, or an object,
	// where one was to be created. It also satisfies
	// errors.Is(err, fs.ErrExist).
	ErrAlreadyExists = bucket.ErrAlreadyExists
	// ErrAccessDenied reports that the credentials do not allow an operation.
	// It also satisfies errors.Is(err, fs.ErrPermission).
	ErrAccessDenied = bucket.ErrAccessDenied
	// ErrCredentials reports that there are no credentials, or that the
	// server does not accept them.
	ErrCredentials = bucket.ErrCredentials
	// ErrUnreachable reports that no answer came from the endpoint.
	ErrUnreachable = bucket.ErrUnreachable
	// ErrWrongRegion reports that the bucket lives in another region.
	ErrWrongRegion = bucket.ErrWrongRegion
	// ErrInvalidRange reports a byte range outside of an object.
	ErrInvalidRange = bucket.ErrInvalidRange
	// ErrChanged reports an object that was overwritten while it was read.
	ErrChanged = bucket.ErrChanged
	// ErrArchived reports an object that must be restored from an archive
	// class before it can be read.
	ErrArchived = bucket.ErrArchived
	// ErrChecksum reports bytes that do not match their checksum.
	ErrChecksum = bucket.ErrChecksum
	// ErrBody reports a body that is longer or shorter than announced.
	ErrBody = bucket.ErrBody
	// ErrListing reports a listing that cannot be trusted.
	ErrListing = bucket.ErrListing
	// ErrStorageClass reports a storage class that the server refuses.
	ErrStorageClass = bucket.ErrStorageClass
	// ErrMetadata reports metadata or tags that the server refuses.
	ErrMetadata = bucket.ErrMetadata
	// ErrQuota reports that the server has no room left for this account.
	ErrQuota = bucket.ErrQuota
	// ErrTooLarge reports an object that is larger than the server takes.
	ErrTooLarge = bucket.ErrTooLarge
	// ErrThrottled reports a server that asked to slow down until all
	// retries were used up.
	ErrThrottled = bucket.ErrThrottled
	// ErrClosed reports the use of a closed handle.
	ErrClosed = bucket.ErrClosed

	// ErrIncomplete is in the error of every run that did not store, or did
	// not restore, all that it was asked for.
	ErrIncomplete = errors.New("run is incomplete")
	// ErrAccounting reports a run whose counts do not add up: an object was
	// listed and neither stored nor reported. It is a defect; please tell us.
	ErrAccounting = errors.New("counts do not add up")
	// ErrNoRepository reports that there is no Kloset repository. It also
	// comes with fs.ErrNotExist.
	ErrNoRepository = errors.New("no repository")
	// ErrPassphrase reports a passphrase that is missing or wrong.
	ErrPassphrase = errors.New("passphrase missing or wrong")
	// ErrSnapshotNotFound reports a snapshot identifier that matches none, or
	// a prefix that matches several.
	ErrSnapshotNotFound = errors.New("snapshot not found")
	// ErrInsideRepository reports an object that the engine would drop
	// without a word, because its path lies in the folder of the local
	// repository it is backed up into.
	ErrInsideRepository = errors.New("path lies inside the repository's own folder")
)

// OpError is an error of one operation on a bucket or an object.
type OpError = bucket.OpError
