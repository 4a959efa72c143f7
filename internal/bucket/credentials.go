package bucket

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Keys is one set of credentials, as a provider function returns them.
type Keys struct {
	AccessKey    string
	SecretKey    Secret
	SessionToken Secret
	// Expires says when the keys must be asked for again; zero is never.
	Expires time.Time
}

func (k Keys) sdk() aws.Credentials {
	return aws.Credentials{
		AccessKeyID:     k.AccessKey,
		SecretAccessKey: string(k.SecretKey),
		SessionToken:    string(k.SessionToken),
		CanExpire:       !k.Expires.IsZero(),
		Expires:         k.Expires,
		Source:          "s3kloset",
	}
}

// Credentials say who makes the requests. The first of these that is set wins:
// Anonymous, Keys, Provider, then Config.AWS, then Profile; with none of them the
// SDK's default chain counts. RoleARN is assumed on top.
type Credentials struct {
	Anonymous bool
	Keys      Keys
	Provider  func(context.Context) (Keys, error)
	Profile   string

	RoleARN     string
	ExternalID  string
	SessionName string
	Duration    time.Duration // of the role's keys; 0 is 15 minutes
	STSEndpoint string        // base URL of who gives them; "" is AWS
}

// Secret is a string that does not print itself.
type Secret string

// redacted stands for a secret in every format.
const redacted = "[redacted]"

func (s Secret) String() string   { return redacted }
func (s Secret) GoString() string { return redacted }

// Format keeps the secret out of every verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// MarshalText keeps the secret out of JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// chosen tells whether the environment is not to be asked.
func (c Credentials) chosen() bool {
	return c.Anonymous || c.Keys.AccessKey != "" || c.Provider != nil
}

// loadAWS makes the SDK's configuration. The environment and the shared files
// are read only when nothing explicit says who we are.
func loadAWS(ctx context.Context, cfg *Config, client *http.Client) (aws.Config, error) {
	var sdk aws.Config
	switch {
	case cfg.AWS != nil:
		sdk = cfg.AWS.Copy()
	case !cfg.Credentials.chosen():
		options := []func(*awsconfig.LoadOptions) error{awsconfig.WithHTTPClient(lookupClient(client))}
		if cfg.Credentials.Profile != "" {
			options = append(options, awsconfig.WithSharedConfigProfile(cfg.Credentials.Profile))
		}
		var err error
		if sdk, err = awsconfig.LoadDefaultConfig(ctx, options...); err != nil {
			return sdk, fmt.Errorf("load AWS configuration: %w", err)
		}
		if cfg.CAFile == "" && cfg.Transport == nil {
			adoptCABundle(client, sdk)
		}
	}
	if provider := cfg.Credentials.provider(); provider != nil {
		sdk.Credentials = provider
	}
	if sdk.Region == "" {
		sdk.Region = cfg.Region
	}
	if role := cfg.Credentials.RoleARN; role != "" {
		sdk.Credentials = assume(sdk, client, cfg)
	}
	return sdk, nil
}

// lookupClient is for the requests that find credentials. AWS_CA_BUNDLE, and
// ca_bundle of the shared files, are an error of the SDK for any other type.
func lookupClient(client *http.Client) aws.HTTPClient {
	ours, ok := client.Transport.(*http.Transport)
	if !ok {
		return client
	}
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.Proxy = proxyFunc(ours.Proxy).exceptHere()
		if ours.TLSClientConfig != nil {
			t.TLSClientConfig = ours.TLSClientConfig.Clone()
			if pool := t.TLSClientConfig.RootCAs; pool != nil {
				t.TLSClientConfig.RootCAs = pool.Clone() // certificates are added to it
			}
		}
	})
}

// adoptCABundle trusts the certificates that the AWS configuration names, since
// it is asked already, and what stands between us and S3 stands between us and
// the credentials too.
func adoptCABundle(client *http.Client, sdk aws.Config) {
	lookups, ok := sdk.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return
	}
	theirs := lookups.GetTransport().TLSClientConfig
	if ours, ok := client.Transport.(*http.Transport); ok && theirs != nil && theirs.RootCAs != nil {
		ours.TLSClientConfig.RootCAs = theirs.RootCAs
	}
}

// provider is what the explicit fields ask for, nil when there are none.
func (c Credentials) provider() aws.CredentialsProvider {
	switch {
	case c.Anonymous:
		return aws.AnonymousCredentials{}
	case c.Keys.AccessKey != "":
		return aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(
			c.Keys.AccessKey, string(c.Keys.SecretKey), string(c.Keys.SessionToken)))
	case c.Provider != nil:
		return aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			keys, err := c.Provider(ctx)
			if err != nil {
				return aws.Credentials{}, err
			}
			return keys.sdk(), nil
		}))
	}
	return nil
}

// stsAttempts is how often one attempt at S3 asks STS for the keys of a role:
// once more than one lost connection takes.
const stsAttempts = 2

// assume puts a role on top of the credentials found so far.
func assume(sdk aws.Config, client *http.Client, cfg *Config) aws.CredentialsProvider {
	caller := sdk.Copy()
	caller.HTTPClient = client
	if caller.RetryMaxAttempts == 0 && caller.Retryer == nil {
		// The attempt that waits for the keys is repeated too, by Config.Retries.
		caller.RetryMaxAttempts = stsAttempts
	}
	if cfg.Credentials.STSEndpoint != "" {
		// Not for the region of an environment that is made for AWS.
		caller.Region = firstOf(cfg.Region, caller.Region)
	}
	if caller.Region == "" {
		caller.Region = defaultRegion
	}
	role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(caller, cfg.Credentials.atSTS), cfg.Credentials.RoleARN,
		func(o *stscreds.AssumeRoleOptions) {
			if cfg.Credentials.ExternalID != "" {
				o.ExternalID = aws.String(cfg.Credentials.ExternalID)
			}
			o.Duration = cfg.Credentials.Duration
			o.RoleSessionName = cfg.Credentials.SessionName
			if o.RoleSessionName == "" {
				o.RoleSessionName = fmt.Sprintf("s3kloset-%d", os.Getpid())
			}
		})
	return aws.NewCredentialsCache(role)
}

// atSTS sends requests to the STS that is named, whatever the environment says
// about that of AWS.
func (c Credentials) atSTS(o *sts.Options) {
	if c.STSEndpoint != "" {
		o.BaseEndpoint, o.EndpointOptions = aws.String(c.STSEndpoint), sts.EndpointResolverOptions{}
	}
}
