package s3test

// operation performs one operation. An error that it returns is the answer.
type operation func(*exchange) error

// operations says who performs what the routes name.
var operations = map[string]operation{
	"ListBuckets":         (*exchange).listBuckets,
	"CreateBucket":        (*exchange).createBucket,
	"HeadBucket":          (*exchange).headBucket,
	"DeleteBucket":        (*exchange).deleteBucket,
	"GetBucketLocation":   (*exchange).getBucketLocation,
	"GetBucketVersioning": (*exchange).getBucketVersioning,
	"PutBucketVersioning": (*exchange).putBucketVersioning,
	"GetBucketAcl":        (*exchange).getBucketACL,
	"PutBucketAcl":        (*exchange).putBucketACL,

	"ListObjectsV2":      (*exchange).listObjectsV2,
	"ListObjects":        (*exchange).listObjects,
	"ListObjectVersions": (*exchange).listObjectVersions,

	"PutObject":           (*exchange).putObject,
	"GetObject":           (*exchange).getObject,
	"HeadObject":          (*exchange).getObject,
	"DeleteObject":        (*exchange).deleteObject,
	"DeleteObjects":       (*exchange).deleteObjects,
	"CopyObject":          (*exchange).copyObject,
	"GetObjectAttributes": (*exchange).getObjectAttributes,
	"RestoreObject":       (*exchange).restoreObject,
	"GetObjectAcl":        (*exchange).getObjectACL,
	"PutObjectAcl":        (*exchange).putObjectACL,

	"CreateMultipartUpload":   (*exchange).createMultipartUpload,
	"UploadPart":              (*exchange).uploadPart,
	"UploadPartCopy":          (*exchange).uploadPartCopy,
	"CompleteMultipartUpload": (*exchange).completeMultipartUpload,
	"AbortMultipartUpload":    (*exchange).abortMultipartUpload,
	"ListParts":               (*exchange).listParts,
	"ListMultipartUploads":    (*exchange).listMultipartUploads,

	"GetObjectTagging":    (*exchange).getObjectTagging,
	"PutObjectTagging":    (*exchange).putObjectTagging,
	"DeleteObjectTagging": (*exchange).deleteObjectTagging,

	"GetObjectLockConfiguration": (*exchange).getObjectLockConfiguration,
	"PutObjectLockConfiguration": (*exchange).putObjectLockConfiguration,
	"GetObjectRetention":         (*exchange).getObjectRetention,
	"PutObjectRetention":         (*exchange).putObjectRetention,
	"GetObjectLegalHold":         (*exchange).getObjectLegalHold,
	"PutObjectLegalHold":         (*exchange).putObjectLegalHold,
}
