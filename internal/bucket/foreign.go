package bucket

import (
	"context"
	"errors"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// errForeign is the error of an answer that tells of success and is not one of
// S3: the page of a proxy that wants a login, or nothing at all.
var errForeign = errors.New("answer has nothing of what S3 answers")

// errIllegible is the error of an S3 that answers nothing to who asks for tags: Ceph does so, each time, where it
// cannot read what it has.
// https://github.com/ceph/ceph/pull/49457
var errIllegible = errors.New("server has tags that it cannot read")

// refuseForeign looks at answers that the SDK is content with, whatever is in
// them. One of somebody else is as good as one that was cut, and is tried again.
func refuseForeign(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("s3klosetForeign",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			answer, _ := out.RawResponse.(*smithyhttp.Response)
			if about := aside[awsmiddleware.GetOperationName(ctx)]; about != "" && isEcho(answer) {
				err = &smithyhttp.ResponseError{Response: answer, Err: errEcho(about)}
			} else if err == nil && foreign(out.Result) {
				err = &smithyhttp.ResponseError{Response: answer, Err: errForeign}
				if _, tags := out.Result.(*s3.GetObjectTaggingOutput); tags && isEmpty(answer) {
					err = &smithyhttp.ResponseError{Response: answer, Err: errIllegible}
				}
			}
			return out, metadata, err
		}), middleware.Before)
}

// aside are the questions about something beside an object, by what it is. There
// are servers that overlook the parameter that says so, and take the question for
// one about the object: rclone serve s3 and s3rver do.
var aside = map[string]string{
	"GetObjectTagging":   "tags",
	"GetObjectRetention": "a retention",
	"GetObjectLegalHold": "a legal hold",
}

// isEcho tells an answer to such a question that is the object. What is aside has
// neither an ETag nor a time.
func isEcho(answer *smithyhttp.Response) bool {
	return answer != nil && answer.Response != nil && answer.StatusCode/100 == 2 &&
		answer.Header.Get("Etag") != "" && answer.Header.Get("Last-Modified") != ""
}

func errEcho(about string) error {
	return &smithy.GenericAPIError{Code: "NotImplemented", Message: "a question for " + about + " is answered with the object"}
}

// tookPlace is an error if what was sent to be put aside has become the object.
func tookPlace(metadata middleware.Metadata) error {
	answer, err := answered(metadata)
	if err == nil && answer.Header.Get("Etag") != "" {
		err = errors.New("the server has put it in the place of the object, whose bytes are lost")
	}
	return err
}

// foreign tells answers without what no S3 leaves out. Taken for S3's, they
// would make an object of bytes that went nowhere, or take away its tags.
func foreign(result any) bool {
	switch out := result.(type) {
	case *s3.PutObjectOutput:
		return out.ETag == nil
	case *s3.UploadPartOutput:
		return out.ETag == nil
	case *s3.CompleteMultipartUploadOutput:
		return out.ETag == nil
	case *s3.GetObjectTaggingOutput:
		return out.TagSet == nil
	}
	return false
}

// isEmpty tells an answer of S3 that has no body at all.
func isEmpty(answer *smithyhttp.Response) bool {
	return answer != nil && answer.ContentLength == 0 && answer.Header.Get("X-Amz-Request-Id") != ""
}
