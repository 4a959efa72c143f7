package s3test

import (
	"fmt"
	"net/http"
)

// apiError is an answer of S3 that is an error.
type apiError struct {
	status  int
	code    string
	message string
	fields  [][2]string // elements of <Error> beyond the usual ones
	header  [][2]string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// with adds an element to <Error>.
func (e *apiError) with(name, value string) *apiError {
	e.fields = append(e.fields, [2]string{name, value})
	return e
}

// withHeader adds a header to the answer.
func (e *apiError) withHeader(name, value string) *apiError {
	e.header = append(e.header, [2]string{name, value})
	return e
}

// failure makes the error with the status and the message that S3 has for the code.
func failure(code string) *apiError {
	known, ok := errorCodes[code]
	if !ok {
		panic("s3test: no status is known for the error code " + code)
	}
	return &apiError{status: known.status, code: code, message: known.message}
}

// failuref is failure with a message of its own.
func failuref(code, format string, args ...any) *apiError {
	e := failure(code)
	e.message = fmt.Sprintf(format, args...)
	return e
}

type errorCode struct {
	status  int
	message string
}

var errorCodes = map[string]errorCode{
	"AccessDenied":                      {http.StatusForbidden, "Access Denied"},
	"AuthorizationHeaderMalformed":      {http.StatusBadRequest, "The authorization header that you provided is not valid."},
	"AuthorizationQueryParametersError": {http.StatusBadRequest, "The authorization query parameters that you provided are not valid."},
	"BadDigest":                         {http.StatusBadRequest, "The Content-MD5 or checksum value that you specified did not match what the server received."},
	"BadRequest":                        {http.StatusBadRequest, "Bad request."},
	"BucketAlreadyExists":               {http.StatusConflict, "The requested bucket name is not available."},
	"BucketAlreadyOwnedByYou":           {http.StatusConflict, "The bucket that you tried to create already exists, and you own it."},
	"BucketNotEmpty":                    {http.StatusConflict, "The bucket that you tried to delete is not empty."},
	"ConditionalRequestConflict":        {http.StatusConflict, "The conditional request cannot succeed due to a conflicting operation against this resource."},
	"EntityTooLarge":                    {http.StatusBadRequest, "Your proposed upload exceeds the maximum allowed size."},
	"EntityTooSmall":                    {http.StatusBadRequest, "Your proposed upload is smaller than the minimum allowed object size."},
	"ExpiredToken":                      {http.StatusBadRequest, "The provided token has expired."},
	"IllegalLocationConstraintException": {http.StatusBadRequest,
		"The location constraint is incompatible for the region specific endpoint this request was sent to."},
	"IllegalVersioningConfigurationException": {http.StatusBadRequest, "The versioning configuration specified in the request is not valid."},
	"IncompleteBody":                        {http.StatusBadRequest, "You did not provide the number of bytes specified by the Content-Length HTTP header."},
	"InternalError":                         {http.StatusInternalServerError, "We encountered an internal error. Please try again."},
	"InvalidAccessKeyId":                    {http.StatusForbidden, "The AWS access key ID that you provided does not exist in our records."},
	"InvalidArgument":                       {http.StatusBadRequest, "Invalid argument."},
	"InvalidBucketName":                     {http.StatusBadRequest, "The specified bucket is not valid."},
	"InvalidBucketState":                    {http.StatusConflict, "The request is not valid for the current state of the bucket."},
	"InvalidChunkSizeError":                 {http.StatusForbidden, "Only the last chunk is allowed to have a size less than 8192 bytes."},
	"InvalidDigest":                         {http.StatusBadRequest, "The Content-MD5 that you specified is not valid."},
	"InvalidEncryptionAlgorithmError":       {http.StatusBadRequest, "The encryption request that you specified is not valid."},
	"InvalidObjectState":                    {http.StatusForbidden, "The operation is not valid for the object's storage class."},
	"InvalidPart":                           {http.StatusBadRequest, "One or more of the specified parts could not be found, or its entity tag does not match."},
	"InvalidPartNumber":                     {http.StatusRequestedRangeNotSatisfiable, "The requested partnumber is not satisfiable."},
	"InvalidPartOrder":                      {http.StatusBadRequest, "The list of parts was not in ascending order."},
	"InvalidRange":                          {http.StatusRequestedRangeNotSatisfiable, "The requested range is not satisfiable."},
	"InvalidRequest":                        {http.StatusBadRequest, "Invalid request."},
	"InvalidStorageClass":                   {http.StatusBadRequest, "The storage class that you specified is not valid."},
	"InvalidTag":                            {http.StatusBadRequest, "The tag provided was not a valid tag."},
	"InvalidToken":                          {http.StatusBadRequest, "The provided token is malformed or otherwise not valid."},
	"InvalidURI":                            {http.StatusBadRequest, "The specified URI couldn't be parsed."},
	"KeyTooLongError":                       {http.StatusBadRequest, "Your key is too long."},
	"MalformedPolicy":                       {http.StatusBadRequest, "The policy is not valid JSON."},
	"MalformedTrailerError":                 {http.StatusBadRequest, "The request contained trailing data that was not well-formed or did not conform to our published schema."},
	"MalformedXML":                          {http.StatusBadRequest, "The XML that you provided was not well formed or did not validate against our published schema."},
	"MetadataTooLarge":                      {http.StatusBadRequest, "Your metadata headers exceed the maximum allowed metadata size."},
	"MethodNotAllowed":                      {http.StatusMethodNotAllowed, "The specified method is not allowed against this resource."},
	"MissingContentLength":                  {http.StatusLengthRequired, "You must provide the Content-Length HTTP header."},
	"MissingRequestBodyError":               {http.StatusBadRequest, "Request body is empty."},
	"NoSuchBucket":                          {http.StatusNotFound, "The specified bucket does not exist."},
	"NoSuchBucketPolicy":                    {http.StatusNotFound, "The bucket policy does not exist."},
	"NoSuchCORSConfiguration":               {http.StatusNotFound, "The CORS configuration does not exist."},
	"NoSuchConfiguration":                   {http.StatusNotFound, "The specified configuration does not exist."},
	"NoSuchKey":                             {http.StatusNotFound, "The specified key does not exist."},
	"NoSuchLifecycleConfiguration":          {http.StatusNotFound, "The lifecycle configuration does not exist."},
	"NoSuchObjectLockConfiguration":         {http.StatusNotFound, "The specified object does not have an ObjectLock configuration."},
	"NoSuchPublicAccessBlockConfiguration":  {http.StatusNotFound, "The public access block configuration was not found."},
	"NoSuchTagSet":                          {http.StatusNotFound, "The TagSet does not exist."},
	"NoSuchUpload":                          {http.StatusNotFound, "The specified multipart upload does not exist. The upload ID might be invalid, or the upload might have been aborted or completed."},
	"NoSuchVersion":                         {http.StatusNotFound, "The specified version does not exist."},
	"NoSuchWebsiteConfiguration":            {http.StatusNotFound, "The specified bucket does not have a website configuration."},
	"NotImplemented":                        {http.StatusNotImplemented, "A header or query you provided implies functionality that is not implemented."},
	"NotModified":                           {http.StatusNotModified, "Not Modified"},
	"ObjectLockConfigurationNotFoundError":  {http.StatusNotFound, "Object Lock configuration does not exist for this bucket."},
	"ObjectNotInActiveTierError":            {http.StatusForbidden, "The source object of the COPY action is not in the active tier."},
	"OwnershipControlsNotFoundError":        {http.StatusNotFound, "The bucket ownership controls were not found."},
	"PreconditionFailed":                    {http.StatusPreconditionFailed, "At least one of the preconditions that you specified did not hold."},
	"ReplicationConfigurationNotFoundError": {http.StatusNotFound, "The replication configuration was not found."},
	"RequestTimeTooSkewed":                  {http.StatusForbidden, "The difference between the request time and the server's time is too large."},
	"RestoreAlreadyInProgress":              {http.StatusConflict, "Object restore is already in progress."},
	"ServerSideEncryptionConfigurationNotFoundError": {http.StatusNotFound,
		"The server-side encryption configuration was not found."},
	"SignatureDoesNotMatch": {http.StatusForbidden, "The request signature that the server calculated does not match the signature that you provided."},
	"SlowDown":              {http.StatusServiceUnavailable, "Please reduce your request rate."},
	"GlacierExpeditedRetrievalNotAvailable": {http.StatusServiceUnavailable,
		"Glacier expedited retrievals are currently not available. Try again later."},
	"UserKeyMustBeSpecified":    {http.StatusBadRequest, "The request must contain a key."},
	"XAmzContentSHA256Mismatch": {http.StatusBadRequest, "The provided 'x-amz-content-sha256' header does not match what was computed."},
}
