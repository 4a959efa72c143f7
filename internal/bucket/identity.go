package bucket

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Identity says who makes the requests.
type Identity struct {
	// Anonymous requests are not signed; all else is then empty.
	Anonymous bool `json:"anonymous,omitempty"`
	// AccessKey is the public half of the keys in use.
	AccessKey string `json:"access_key,omitempty"`
	// Source is where the keys came from, in words.
	Source string `json:"source"`
	// Expires is zero for keys that do not.
	Expires time.Time `json:"expires,omitzero"`
	// ARN, Account and UserID are what STS says. They are empty where there is
	// no STS to ask, and where it does not answer.
	ARN     string `json:"arn,omitempty"`
	Account string `json:"account,omitempty"`
	UserID  string `json:"user_id,omitempty"`
}

// String is the identity as a piece of a message.
func (i Identity) String() string {
	switch {
	case i.Anonymous:
		return "anonymous"
	case i.ARN != "":
		return fmt.Sprintf("%s, keys from %s", i.ARN, i.Source)
	}
	return fmt.Sprintf("access key %s from %s", i.AccessKey, i.Source)
}

// sources puts the names that the SDK gives to its providers into words. A name
// may be followed by a detail, as that of a file.
var sources = []struct{ name, words string }{
	{"s3kloset", "a function of the program"},
	{"StaticCredentials", "the configuration"},
	{"EnvConfigCredentials", "the environment"},
	{"SharedConfigCredentials", "the shared AWS files"},
	{"SSOProvider", "single sign-on"},
	{"LoginProvider", "a login session"},
	{"ProcessProvider", "a credential process"},
	{"WebIdentityCredentials", "a web identity token"},
	{"AssumeRoleProvider", "an assumed role"},
	{"CredentialsEndpointProvider", "the container's credentials endpoint"},
	{"EC2RoleProvider", "the instance metadata service"},
}

func wordsOf(source string) string {
	for _, s := range sources {
		if rest, ok := strings.CutPrefix(source, s.name); ok {
			if detail := strings.TrimLeft(rest, ": "); detail != "" {
				return s.words + " (" + detail + ")"
			}
			return s.words
		}
	}
	return source
}

// Identity finds out who we are. It gets the keys, and asks STS where there is
// one; that needs no permission. When only STS fails, what is known comes with
// the error.
func (c *Client) Identity(ctx context.Context) (Identity, error) {
	options := c.api.Options()
	if options.Credentials == nil || aws.IsCredentialsProvider(options.Credentials, aws.AnonymousCredentials{}) {
		return Identity{Anonymous: true, Source: "nowhere: requests are not signed"}, nil
	}
	keys, err := options.Credentials.Retrieve(ctx)
	if err != nil {
		return Identity{}, c.translate("get credentials", "", err)
	}
	identity := Identity{AccessKey: keys.AccessKeyID, Source: wordsOf(keys.Source)}
	if keys.CanExpire {
		identity.Expires = keys.Expires.UTC()
	}
	if !c.hasSTS() {
		return identity, nil
	}
	caller := sts.New(sts.Options{
		Region:           c.Region(),
		Credentials:      options.Credentials,
		HTTPClient:       options.HTTPClient,
		RetryMaxAttempts: probeRetries + 1,
	}, c.cfg.Credentials.atSTS)
	out, err := caller.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return identity, c.translate("get caller identity", "", err)
	}
	identity.ARN, identity.Account, identity.UserID = aws.ToString(out.Arn), aws.ToString(out.Account), aws.ToString(out.UserId)
	return identity, nil
}

// hasSTS tells whether requests go to AWS, by its public endpoints or by one
// inside of a VPC.
func (c *Client) hasSTS() bool {
	if c.cfg.Endpoint == "" {
		return true
	}
	u, err := url.Parse(c.cfg.Endpoint)
	return err == nil && strings.Contains(u.Hostname(), ".vpce.amazonaws.com")
}
