package bucket

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// AWSConfig is the configuration type of the AWS SDK.
type AWSConfig = aws.Config

// Config is all that New needs. Everything but Name may be zero.
type Config struct {
	Name   string // bucket
	Region string // "" is us-east-1, or what AWS says
	Prefix string // what Ping lists below: permissions may end there

	// Endpoint is the base URL of an S3-compatible service; "" is AWS.
	Endpoint    string
	VirtualHost bool   // address the bucket in the host name; AWS always does
	Vendor      string // one of Vendors; "" is found out from the endpoint
	Dualstack   bool   // AWS only: IPv6 endpoints
	FIPS        bool   // AWS only: FIPS endpoints
	Accelerate  bool   // AWS only: transfer acceleration

	Credentials Credentials
	AWS         *AWSConfig // taken as it is, before the fields above are applied

	Transport          http.RoundTripper // nil: one of our own, tuned for S3
	CAFile             string            // PEM; trusted besides the system's
	InsecureSkipVerify bool
	ClientCert         string   // PEM file of the certificate that we show; "" for none
	ClientKey          string   // PEM file of its key; "" is the same file
	Proxy              *url.URL // nil: the environment's; NoProxy: none

	RequesterPays bool
	ExpectedOwner string // account id; requests to a bucket of another owner fail
	// OwnerControl asks that the owner of the bucket may do anything with what
	// is written.
	OwnerControl bool

	SSECustomerKey []byte // SSE-C: 32 bytes, sent with every read and write
	// CustomerKeys finds the key of each object instead; nil and no error is none.
	CustomerKeys func(key string) ([]byte, error)

	NoChecksums bool // send no x-amz-checksum headers, for services that refuse them
	quirks      Quirks

	Concurrency       int           // most requests at a time, Urgent ones apart; 0 is no limit
	Retries           int           // attempts after the first; 0 is DefaultRetries, negative none
	IdleTimeout       time.Duration // longest wait for a byte; 0 is DefaultIdleTimeout
	RequestsPerSecond float64       // 0 is no limit
	BytesPerSecond    int64         // 0 is no limit; bodies of both directions
	MaxRequests       int64         // 0 is no limit; then ErrBudget
	MaxBytes          int64         // 0 is no limit; bodies of both directions
	Logger            *slog.Logger  // nil is silent
}

// New builds a client. It makes no request; it may read the shared
// configuration files of AWS when Credentials ask for them.
func New(cfg Config) (*Client, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Retries == 0 {
		cfg.Retries = DefaultRetries
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = DefaultIdleTimeout
	}
	if err := cfg.applyQuirks(); err != nil {
		return nil, err
	}
	httpClient, err := newHTTPClient(&cfg)
	if err != nil {
		return nil, err
	}
	sdk, err := loadAWS(context.Background(), &cfg, httpClient)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		cfg.Region = sdk.Region
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	c := &Client{
		name:    cfg.Name,
		cfg:     cfg,
		pace:    newPace(cfg.RequestsPerSecond, cfg.BytesPerSecond),
		turns:   newTurns(cfg.Concurrency),
		release: httpClient.CloseIdleConnections,
	}
	c.service = newService(cfg.quirks)
	c.pace.budget = &budget{maxRequests: cfg.MaxRequests, maxBytes: cfg.MaxBytes}
	c.api = s3.NewFromConfig(sdk, func(o *s3.Options) { c.configure(o, sdk, httpClient) })
	return c, nil
}

// EndpointOf is the endpoint that a program's own configuration names, by
// itself or by what it was loaded from; "" is AWS. A Client takes that of its
// Config alone.
func EndpointOf(sdk aws.Config) string {
	return aws.ToString(s3.NewFromConfig(sdk).Options().BaseEndpoint)
}

// defaultRegion is where S3 signs requests that name no region.
const defaultRegion = "us-east-1"

func (c *Client) configure(o *s3.Options, sdk aws.Config, httpClient *http.Client) {
	o.Region = c.cfg.Region
	o.HTTPClient = &introduction{inner: httpClient, service: c.service}
	o.BaseEndpoint = nil
	if c.cfg.AWS == nil {
		// Only the credentials are the environment's, whatever else it says.
		o.EndpointOptions = s3.EndpointResolverOptions{}
	}
	if c.cfg.Endpoint != "" {
		o.BaseEndpoint = aws.String(c.cfg.Endpoint)
		// Access points have no path style, also at the endpoint of a VPC.
		o.UsePathStyle = !c.cfg.VirtualHost && !strings.HasPrefix(c.cfg.Name, "arn:")
	} else {
		o.UseAccelerate = c.cfg.Accelerate
		if c.cfg.Dualstack {
			o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
		}
		if c.cfg.FIPS {
			o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
		}
	}
	// Our own checksums go into plain headers, and our own reader verifies:
	// the SDK would send aws-chunked trailers over TLS, which many services
	// refuse or store as data.
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	o.DisableLogOutputChecksumValidationSkipped = true
	o.Retryer = newRetryer(c, sdk.Credentials)
	o.APIOptions = append(o.APIOptions, c.standingHeaders, c.countRequests, c.takeTurns, c.waitToContinue, refuseForeign, readRegion)
	if c.secure() {
		o.APIOptions = append(o.APIOptions, unsignedPayload)
	}
	c.cfg.quirks.leaveEncoding(o)
}

// secure tells whether requests travel over TLS. Only then may a body go
// unsigned: TLS and the checksum header protect it.
func (c *Client) secure() bool { return !strings.HasPrefix(c.cfg.Endpoint, "http://") }

// locationConstraint names the region of a new bucket; us-east-1 is named by
// leaving it out.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucketConfiguration.html
func locationConstraint(region string) *types.CreateBucketConfiguration {
	if region == "" || region == defaultRegion {
		return nil
	}
	return &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
}

// String leaves credentials and keys out.
func (cfg Config) String() string {
	return fmt.Sprintf("bucket %q at %q, region %q", cfg.Name, cfg.Endpoint, cfg.Region)
}

// Format keeps credentials and keys out of every verb.
func (cfg Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, cfg.String()) }
