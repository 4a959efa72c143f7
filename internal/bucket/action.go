package bucket

import (
	"net/http"
	"slices"
	"strings"
)

// actionOf names the IAM action that an operation of S3 needs.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
var actionOf = map[string]string{
	"HeadBucket":                 "s3:ListBucket",
	"ListObjectsV2":              "s3:ListBucket",
	"ListObjectVersions":         "s3:ListBucketVersions",
	"ListMultipartUploads":       "s3:ListBucketMultipartUploads",
	"CreateBucket":               "s3:CreateBucket",
	"GetBucketVersioning":        "s3:GetBucketVersioning",
	"GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
	"GetObject":                  "s3:GetObject",
	"HeadObject":                 "s3:GetObject",
	"GetObjectTagging":           "s3:GetObjectTagging",
	"GetObjectRetention":         "s3:GetObjectRetention",
	"GetObjectLegalHold":         "s3:GetObjectLegalHold",
	"PutObject":                  "s3:PutObject",
	"PutObjectTagging":           "s3:PutObjectTagging",
	"PutObjectRetention":         "s3:PutObjectRetention",
	"PutObjectLegalHold":         "s3:PutObjectLegalHold",
	"CreateMultipartUpload":      "s3:PutObject",
	"UploadPart":                 "s3:PutObject",
	"CompleteMultipartUpload":    "s3:PutObject",
	"AbortMultipartUpload":       "s3:AbortMultipartUpload",
	"DeleteObject":               "s3:DeleteObject",
	"RestoreObject":              "s3:RestoreObject",
	"GetCallerIdentity":          "sts:GetCallerIdentity",
	"AssumeRole":                 "sts:AssumeRole",
}

// ofVersion names the action that takes the place of another one when the
// request asks for a version.
var ofVersion = map[string]string{
	"s3:GetObject":        "s3:GetObjectVersion",
	"s3:GetObjectTagging": "s3:GetObjectVersionTagging",
	"s3:PutObjectTagging": "s3:PutObjectVersionTagging",
	"s3:DeleteObject":     "s3:DeleteObjectVersion",
}

// byHeader names the actions that headers of a write need besides.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
var byHeader = []struct{ header, action string }{
	{"X-Amz-Tagging", "s3:PutObjectTagging"},
	{"X-Amz-Acl", "s3:PutObjectAcl"},
	{"X-Amz-Object-Lock-Mode", "s3:PutObjectRetention"},
	{"X-Amz-Object-Lock-Legal-Hold", "s3:PutObjectLegalHold"},
}

// Actions are the IAM actions that the refused request needs, all of them;
// the server does not tell which one is missing. It is empty for an error that
// is not ErrAccessDenied, nor of a role that may not be assumed.
func (e *OpError) Actions() []string {
	if e.Kind != ErrAccessDenied && e.Code != "AccessDenied" {
		return nil
	}
	operation := failedOperation(e.Err)
	if operation == nil || actionOf[operation.OperationName] == "" {
		return nil
	}
	action := actionOf[operation.OperationName]
	response := responseOf(e.Err)
	if response == nil || response.Request == nil {
		return []string{action}
	}
	return actionsOfRequest(action, response.Request)
}

func actionsOfRequest(action string, request *http.Request) []string {
	if versioned := ofVersion[action]; versioned != "" && request.URL.Query().Has("versionId") {
		action = versioned
	}
	actions := []string{action}
	if action != "s3:PutObject" {
		return actions
	}
	for _, extra := range byHeader {
		if request.Header.Get(extra.header) != "" {
			actions = append(actions, extra.action)
		}
	}
	return actions
}

// needs is Actions as a piece of a message.
func (e *OpError) needs() string {
	actions := e.Actions()
	if len(actions) == 0 {
		return ""
	}
	return " (needs " + strings.Join(slices.Compact(actions), ", ") + ")"
}
