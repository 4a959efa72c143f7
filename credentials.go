package s3kloset

import (
	"context"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// What follows says who makes the requests. doc.go has the order in which it counts.

// WithCredentials gives static keys. sessionToken may be empty.
func WithCredentials(accessKey, secretKey, sessionToken string) Option {
	return func(c *config) error {
		if accessKey == "" {
			return invalid("access_key", "it is empty")
		}
		if secretKey == "" {
			return invalid("secret_access_key", "it is empty")
		}
		c.client.Credentials.Keys = bucket.Keys{
			AccessKey: accessKey, SecretKey: bucket.Secret(secretKey), SessionToken: bucket.Secret(sessionToken)}
		return nil
	}
}

// Keys is one set of credentials, as a function given to
// WithCredentialsProvider returns them.
type Keys = bucket.Keys

// Secret is a string that does not print itself, in no format and no encoding.
// Secret(text) makes one, and string(secret) gives the text back.
type Secret = bucket.Secret

// WithCredentialsProvider asks provider for keys, and again shortly before
// they expire or when the server says that they have.
func WithCredentialsProvider(provider func(context.Context) (Keys, error)) Option {
	return func(c *config) error {
		if provider == nil {
			return invalid("credentials provider", "it is nil")
		}
		c.client.Credentials.Provider = provider
		return nil
	}
}

// AWSConfig is aws.Config of github.com/aws/aws-sdk-go-v2/aws.
type AWSConfig = bucket.AWSConfig

// WithAWSConfig takes region, credentials and endpoint from a configuration that
// the program has already; other options come on top of it, and so does a host in
// the location. It is the only place where a type of the AWS SDK shows.
func WithAWSConfig(cfg AWSConfig) Option {
	return func(c *config) error { c.client.AWS = &cfg; return nil }
}

// WithProfile reads the named profile of the shared AWS configuration files.
func WithProfile(name string) Option {
	return func(c *config) error {
		if name == "" {
			return invalid("profile", "it is empty")
		}
		c.client.Credentials.Profile = name
		return nil
	}
}

// WithAssumeRole assumes a role on top of the other credentials. externalID
// may be empty.
func WithAssumeRole(roleARN, externalID string) Option {
	return func(c *config) error {
		if !strings.HasPrefix(roleARN, "arn:") {
			return invalid("role_arn", "%q is no ARN", roleARN)
		}
		c.client.Credentials.RoleARN = roleARN
		c.client.Credentials.ExternalID = externalID
		return nil
	}
}

// WithRoleSessionName names the session of WithAssumeRole, for the logs of AWS
// and for conditions of policies: 2 to 64 letters, digits and characters of
// +=,.@_-. The default is s3kloset- and the number of the process.
func WithRoleSessionName(name string) Option {
	return func(c *config) error {
		if len(name) < 2 || len(name) > 64 || !consistsOf(name, sessionNameLetters) {
			return invalid("role_session_name", "%q is not 2 to 64 letters, digits and characters of +=,.@_-", name)
		}
		c.client.Credentials.SessionName = name
		return nil
	}
}

// The limits of RoleSessionName and DurationSeconds.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	sessionNameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-"

	minRoleDuration = 15 * time.Minute
	maxRoleDuration = 12 * time.Hour
)

// WithRoleDuration is how long the keys of WithAssumeRole are good for, from 15
// minutes to 12 hours; they are renewed in time, however long a run is. The
// default is 15 minutes. AWS allows an hour at most to a role that assumes a role.
func WithRoleDuration(d time.Duration) Option {
	return func(c *config) error {
		if d < minRoleDuration || d > maxRoleDuration {
			return invalid("role_duration", "%v is not from %v to %v", d, minRoleDuration, maxRoleDuration)
		}
		c.client.Credentials.Duration = d
		return nil
	}
}

// WithSTSEndpoint is where WithAssumeRole asks for the role's keys: host,
// host:port, or a URL that begins with http:// or https://, without which WithTLS
// decides. The default is the STS of AWS, or the one that a configuration names
// from which the credentials come. MinIO and Ceph have theirs at the endpoint of
// their S3. It is asked for the region of WithRegion. With http, the keys can be
// read on the way.
func WithSTSEndpoint(endpoint string) Option {
	return func(c *config) error {
		e, err := parseEndpointURL(endpoint)
		if err == nil && e.host == "" {
			err = refuse("it is a host of S3", "")
		}
		if err != nil {
			return invalid("sts_endpoint", "%v", err)
		}
		c.where.sts = &e
		return nil
	}
}

// WithAnonymous signs no requests.
func WithAnonymous(on bool) Option {
	return func(c *config) error { c.client.Credentials.Anonymous = on; return nil }
}
