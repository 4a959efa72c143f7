// Package raw speaks S3 with nothing but net/http between the test and the server: no
// SDK that would clean a key, drop a header, repeat a request or check an answer. It is
// how the end-to-end tests fill buckets, and how they look at what came out of a restore.
package raw
