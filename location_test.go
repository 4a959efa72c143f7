package s3kloset

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

const point = "arn:aws:s3:eu-west-3:123456789012:accesspoint/my-point"

func TestParseLocation(t *testing.T) {
	first, second := true, false
	for _, test := range []struct {
		text string
		hint locationHint
		want location
	}{
		// Bucket first.
		{"s3://my-bucket", locationHint{}, location{bucket: "my-bucket"}},
		{"s3://my-bucket/", locationHint{}, location{bucket: "my-bucket"}},
		{"s3://my-bucket/path/to/data", locationHint{}, location{bucket: "my-bucket", prefix: "path/to/data"}},
		{"s3://my-bucket/path/", locationHint{}, location{bucket: "my-bucket", prefix: "path"}},
		{"s3://my-bucket/path//", locationHint{}, location{bucket: "my-bucket", prefix: "path/"}},
		{"s3://my-bucket//path", locationHint{}, location{bucket: "my-bucket", prefix: "/path"}},
		{"s3://my-bucket///", locationHint{}, location{bucket: "my-bucket", prefix: "/"}},
		{"s3://My_Old_Bucket/p", locationHint{}, location{bucket: "My_Old_Bucket", prefix: "p"}},
		{"s3://b-1--use1-az4--x-s3/p", locationHint{}, location{bucket: "b-1--use1-az4--x-s3", prefix: "p"}},
		{"s3://abc", locationHint{}, location{bucket: "abc"}},
		{"s3://" + strings.Repeat("b", 255), locationHint{}, location{bucket: strings.Repeat("b", 255)}},

		// Access points.
		{"s3://" + point, locationHint{}, location{bucket: point, region: "eu-west-3"}},
		{"s3:" + point, locationHint{}, location{bucket: point, region: "eu-west-3"}},
		{"s3://" + point + "/a/b:c/", locationHint{}, location{bucket: point, region: "eu-west-3", prefix: "a/b:c"}},
		{"s3:///" + point + "/a?tags=never", locationHint{}, location{bucket: point, region: "eu-west-3", prefix: "a", params: map[string]string{"tags": "never"}}},
		{"s3://", locationHint{bucket: point}, location{bucket: point, region: "eu-west-3"}},
		{"s3://s3.dualstack.eu-west-3.amazonaws.com/" + point + "/a", locationHint{}, location{bucket: point, region: "eu-west-3", dualstack: true, prefix: "a"}},
		{"s3://accesspoint.vpce-1-2.s3.eu-west-3.vpce.amazonaws.com/" + point + "/a", locationHint{},
			location{endpoint: "accesspoint.vpce-1-2.s3.eu-west-3.vpce.amazonaws.com", bucket: point, region: "eu-west-3", prefix: "a"}},
		{"s3://arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/p01", locationHint{}, location{bucket: "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/p01", region: "cn-north-1"}},
		{"s3://arn:9000/data", locationHint{}, location{endpoint: "arn:9000", bucket: "data"}},
		{"s3://arn/data", locationHint{}, location{bucket: "arn", prefix: "data"}},
		{"s3://my-point-aqfqprnstn7aefdfbarligizwgyfouse1a-s3alias/a", locationHint{}, location{bucket: "my-point-aqfqprnstn7aefdfbarligizwgyfouse1a-s3alias", prefix: "a"}},

		// Without the double slash, as people write it and the engine does not.
		{"s3:my-bucket/p", locationHint{}, location{bucket: "my-bucket", prefix: "p"}},
		{"s3:minio.local:9000/data/p", locationHint{}, location{endpoint: "minio.local:9000", bucket: "data", prefix: "p"}},
		{"s3:/my-bucket/p", locationHint{}, location{bucket: "my-bucket", prefix: "p"}},
		{"s3:///my-bucket/p", locationHint{}, location{bucket: "my-bucket", prefix: "p"}},
		{"s3:///my.bucket/p", locationHint{}, location{bucket: "my.bucket", prefix: "p"}},
		{"s3:///localhost/p", locationHint{}, location{bucket: "localhost", prefix: "p"}},

		// The prefix is plain text.
		{"s3://bkt/a b/%20/+/é/#frag@x:y/..", locationHint{}, location{bucket: "bkt", prefix: "a b/%20/+/é/#frag@x:y/.."}},
		{"s3://bkt/\xff", locationHint{}, location{bucket: "bkt", prefix: "\xff"}},
		{"s3://bkt/" + strings.Repeat("p", 1024), locationHint{}, location{bucket: "bkt", prefix: strings.Repeat("p", 1024)}},
		{"s3://bkt/" + strings.Repeat("p", 1024) + "/", locationHint{}, location{bucket: "bkt", prefix: strings.Repeat("p", 1024)}},

		// Parameters.
		{"s3://bkt?", locationHint{}, location{bucket: "bkt"}},
		{"s3://bkt?region=eu-west-3", locationHint{}, location{bucket: "bkt", params: map[string]string{"region": "eu-west-3"}}},
		{"s3://bkt/p/?a=1&b=x%26y+z&c&d==", locationHint{}, location{bucket: "bkt", prefix: "p",
			params: map[string]string{"a": "1", "b": "x&y z", "c": "", "d": "="}}},
		{"s3://bkt/p?a=/?@#", locationHint{}, location{bucket: "bkt", prefix: "p", params: map[string]string{"a": "/?@#"}}},

		// Endpoint first.
		{"s3://minio.example.com/data", locationHint{}, location{endpoint: "minio.example.com", bucket: "data"}},
		{"s3://minio.example.com/data/p/q/", locationHint{}, location{endpoint: "minio.example.com", bucket: "data", prefix: "p/q"}},
		{"s3://minio:9000/data/p", locationHint{}, location{endpoint: "minio:9000", bucket: "data", prefix: "p"}},
		{"s3://MinIO:09000/Data", locationHint{}, location{endpoint: "minio:9000", bucket: "Data"}},
		{"s3://localhost/data", locationHint{}, location{endpoint: "localhost", bucket: "data"}},
		{"s3://LOCALHOST:9000/data", locationHint{}, location{endpoint: "localhost:9000", bucket: "data"}},
		{"s3://127.0.0.1/data", locationHint{}, location{endpoint: "127.0.0.1", bucket: "data"}},
		{"s3://127.0.0.1:9000/my.data", locationHint{}, location{endpoint: "127.0.0.1:9000", bucket: "my.data"}},
		{"s3://[::1]/data", locationHint{}, location{endpoint: "[::1]", bucket: "data"}},
		{"s3://[2001:DB8:0::1]:9000/data/p", locationHint{}, location{endpoint: "[2001:db8::1]:9000", bucket: "data", prefix: "p"}},
		{"s3://my_minio:9000/data", locationHint{}, location{endpoint: "my_minio:9000", bucket: "data"}},
		{"s3://3scale.example/data", locationHint{}, location{endpoint: "3scale.example", bucket: "data"}},
		{"s3://minio:9000/data?x=y", locationHint{}, location{endpoint: "minio:9000", bucket: "data", params: map[string]string{"x": "y"}}},
		{"s3://minio:9000/data//p", locationHint{}, location{endpoint: "minio:9000", bucket: "data", prefix: "/p"}},

		// Hosts of AWS.
		{"s3://s3.amazonaws.com/data/p", locationHint{}, location{bucket: "data", prefix: "p"}},
		{"s3://S3.EU-West-3.AmazonAWS.com/Data/p", locationHint{}, location{region: "eu-west-3", bucket: "Data", prefix: "p"}},
		{"s3://s3.eu-west-3.amazonaws.com:443/data", locationHint{}, location{region: "eu-west-3", bucket: "data"}},
		{"s3://s3-eu-west-1.amazonaws.com/data", locationHint{}, location{region: "eu-west-1", bucket: "data"}},
		{"s3://s3-external-1.amazonaws.com/data", locationHint{}, location{region: "us-east-1", bucket: "data"}},
		{"s3://s3.dualstack.us-west-2.amazonaws.com/data", locationHint{}, location{region: "us-west-2", dualstack: true, bucket: "data"}},
		{"s3://s3-fips.us-gov-west-1.amazonaws.com/data", locationHint{}, location{region: "us-gov-west-1", fips: true, bucket: "data"}},
		{"s3://s3-fips-us-gov-west-1.amazonaws.com/data", locationHint{}, location{region: "us-gov-west-1", fips: true, bucket: "data"}},
		{"s3://s3-fips.dualstack.us-east-2.amazonaws.com/data", locationHint{}, location{region: "us-east-2", fips: true, dualstack: true, bucket: "data"}},
		{"s3://s3.cn-north-1.amazonaws.com.cn/data", locationHint{}, location{region: "cn-north-1", bucket: "data"}},
		{"s3://s3.dualstack.cn-northwest-1.amazonaws.com.cn/data", locationHint{}, location{region: "cn-northwest-1", dualstack: true, bucket: "data"}},
		{"s3://s3.eusc-de-east-1.amazonaws.eu/data", locationHint{}, location{region: "eusc-de-east-1", bucket: "data"}},
		{"s3://s3.us-isob-east-1.sc2s.sgov.gov/data", locationHint{}, location{region: "us-isob-east-1", bucket: "data"}},
		{"s3://s3.us-iso-west-1.c2s.ic.gov/data", locationHint{}, location{region: "us-iso-west-1", bucket: "data"}},
		{"s3://data.s3.amazonaws.com/p", locationHint{}, location{virtualHost: true, bucket: "data", prefix: "p"}},
		{"s3://data.s3.amazonaws.com", locationHint{}, location{virtualHost: true, bucket: "data"}},
		{"s3://data.s3.eu-west-3.amazonaws.com/p/q", locationHint{}, location{virtualHost: true, region: "eu-west-3", bucket: "data", prefix: "p/q"}},
		{"s3://my.dotted.data.s3.eu-west-3.amazonaws.com/", locationHint{}, location{virtualHost: true, region: "eu-west-3", bucket: "my.dotted.data"}},
		{"s3://data.s3-us-west-2.amazonaws.com/p", locationHint{}, location{virtualHost: true, region: "us-west-2", bucket: "data", prefix: "p"}},
		{"s3://data.s3.dualstack.us-west-2.amazonaws.com", locationHint{}, location{virtualHost: true, dualstack: true, region: "us-west-2", bucket: "data"}},
		{"s3://data.s3.cn-north-1.amazonaws.com.cn", locationHint{}, location{virtualHost: true, region: "cn-north-1", bucket: "data"}},
		{"s3://d--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com/p", locationHint{},
			location{virtualHost: true, region: "us-east-1", bucket: "d--use1-az4--x-s3", prefix: "p"}},
		{"s3://bucket.vpce-1a2b-5e6f.s3.us-east-1.vpce.amazonaws.com/data", locationHint{},
			location{endpoint: "bucket.vpce-1a2b-5e6f.s3.us-east-1.vpce.amazonaws.com", region: "us-east-1", bucket: "data"}},

		// Hosts that are not of AWS, or not of S3, whatever they look like.
		{"s3://s3.evil-amazonaws.com/data", locationHint{}, location{endpoint: "s3.evil-amazonaws.com", bucket: "data"}},
		{"s3://amazonaws.com.evil.org/data", locationHint{}, location{endpoint: "amazonaws.com.evil.org", bucket: "data"}},
		{"s3://s3.eu-west-3.amazonaws.com.evil.org/data", locationHint{}, location{endpoint: "s3.eu-west-3.amazonaws.com.evil.org", bucket: "data"}},
		{"s3://s3.eu-west-3.amazonaws.comx/data", locationHint{}, location{endpoint: "s3.eu-west-3.amazonaws.comx", bucket: "data"}},
		{"s3://s3.eu-west-3.amazonaws.co/data", locationHint{}, location{endpoint: "s3.eu-west-3.amazonaws.co", bucket: "data"}},
		{"s3://xs3.eu-west-3.amazonaws.com/data", locationHint{}, location{endpoint: "xs3.eu-west-3.amazonaws.com", bucket: "data"}},
		{"s3://amazonaws.com/data", locationHint{}, location{endpoint: "amazonaws.com", bucket: "data"}},
		{"s3://ec2-1-2-3-4.eu-west-3.compute.amazonaws.com:9000/data", locationHint{},
			location{endpoint: "ec2-1-2-3-4.eu-west-3.compute.amazonaws.com:9000", bucket: "data"}},
		{"s3://lb.eu-west-3.elb.amazonaws.com/data", locationHint{}, location{endpoint: "lb.eu-west-3.elb.amazonaws.com", bucket: "data"}},
		{"s3://x.s3.us-east-1.vpce.amazonaws.com.evil.org/data", locationHint{},
			location{endpoint: "x.s3.us-east-1.vpce.amazonaws.com.evil.org", bucket: "data"}},

		// Hints.
		{"s3://my.bucket/p", locationHint{bucket: "my.bucket"}, location{bucket: "my.bucket", prefix: "p"}},
		{"s3://my.bucket/p", locationHint{endpointFirst: &second}, location{bucket: "my.bucket", prefix: "p"}},
		{"s3://my.bucket/p", locationHint{endpoint: "minio:9000"}, location{endpoint: "minio:9000", bucket: "my.bucket", prefix: "p"}},
		{"s3://my.bucket/p", locationHint{endpoint: "http://MinIO:9000/"}, location{endpoint: "minio:9000", scheme: "http", bucket: "my.bucket", prefix: "p"}},
		{"s3://my.bucket/p", locationHint{endpoint: "https://s3.eu-west-3.amazonaws.com"}, location{scheme: "https", region: "eu-west-3", bucket: "my.bucket", prefix: "p"}},
		{"s3://data/p", locationHint{endpoint: "https://data.s3.eu-west-3.amazonaws.com"},
			location{scheme: "https", region: "eu-west-3", virtualHost: true, bucket: "data", prefix: "p"}},
		{"s3://minio/data/p", locationHint{endpoint: "minio"}, location{endpoint: "minio", bucket: "data", prefix: "p"}},
		{"s3://minio/data/p", locationHint{endpoint: "http://minio:9000"}, location{endpoint: "minio:9000", scheme: "http", bucket: "data", prefix: "p"}},
		{"s3://minio:9000/data/p", locationHint{endpoint: "http://minio"}, location{endpoint: "minio:9000", scheme: "http", bucket: "data", prefix: "p"}},
		{"s3://minio/data/p", locationHint{endpointFirst: &first}, location{endpoint: "minio", bucket: "data", prefix: "p"}},
		{"s3://minio/data/p", locationHint{bucket: "data"}, location{endpoint: "minio", bucket: "data", prefix: "p"}},
		{"s3://minio:9000", locationHint{bucket: "data"}, location{endpoint: "minio:9000", bucket: "data"}},
		{"s3://minio:9000/", locationHint{bucket: "data"}, location{endpoint: "minio:9000", bucket: "data"}},
		{"s3://minio.local/data", locationHint{bucket: "data"}, location{endpoint: "minio.local", bucket: "data"}},
		{"s3://", locationHint{bucket: "data"}, location{bucket: "data"}},
		{"s3:", locationHint{bucket: "data"}, location{bucket: "data"}},
		{"s3:///", locationHint{bucket: "data", endpoint: "minio"}, location{endpoint: "minio", bucket: "data"}},
		{"s3://", locationHint{endpoint: "data.s3.amazonaws.com"}, location{virtualHost: true, bucket: "data"}},
		{"s3://data/data", locationHint{bucket: "data"}, location{bucket: "data", prefix: "data"}},
		{"s3://same/same", locationHint{bucket: "same", endpoint: "same"}, location{endpoint: "same", bucket: "same"}},
		{"s3://same/p", locationHint{bucket: "same", endpoint: "same"}, location{endpoint: "same", bucket: "same", prefix: "p"}},
		{"s3://data.s3.eu-west-3.amazonaws.com/p", locationHint{bucket: "data", endpoint: "s3.eu-west-3.amazonaws.com"},
			location{virtualHost: true, region: "eu-west-3", bucket: "data", prefix: "p"}},
		{"s3://s3.eu-west-3.amazonaws.com/data", locationHint{endpoint: "https://s3.eu-west-3.amazonaws.com"},
			location{scheme: "https", region: "eu-west-3", bucket: "data"}},
		{"s3://[::1]:9000/data", locationHint{endpoint: "http://[0:0::1]:9000"}, location{endpoint: "[::1]:9000", scheme: "http", bucket: "data"}},
	} {
		got, err := parseLocation(test.text, test.hint)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q, %+v: got %+v, %v, want %+v", test.text, test.hint, got, err, test.want)
			continue
		}
		checkString(t, got)
	}
}

// checkString checks that String says all that the location does.
func checkString(t *testing.T, l location) {
	t.Helper()
	l.scheme = "" // which is not in the text of any location
	again, err := parseLocation(l.String(), locationHint{endpoint: l.endpoint})
	if err != nil || !reflect.DeepEqual(again, l) {
		t.Errorf("%+v is written %q, and that is %+v, %v", l, l, again, err)
	}
}

func TestLocationString(t *testing.T) {
	for _, test := range []struct {
		l    location
		want string
	}{
		{location{bucket: "bkt"}, "s3://bkt"},
		{location{bucket: "bkt", prefix: "a/b"}, "s3://bkt/a/b"},
		{location{bucket: point, region: "eu-west-3", prefix: "a/"}, "s3://" + point + "/a//"},
		{location{bucket: "bkt", prefix: "a/"}, "s3://bkt/a//"},
		{location{bucket: "my.bkt", prefix: "a"}, "s3:///my.bkt/a"},
		{location{bucket: "bkt", region: "eu-west-3"}, "s3://s3.eu-west-3.amazonaws.com/bkt"},
		{location{bucket: "bkt", region: "cn-north-1", dualstack: true}, "s3://s3.dualstack.cn-north-1.amazonaws.com.cn/bkt"},
		{location{bucket: "bkt", region: "us-gov-west-1", fips: true, virtualHost: true}, "s3://bkt.s3-fips.us-gov-west-1.amazonaws.com"},
		{location{bucket: "bkt", virtualHost: true}, "s3://bkt.s3.amazonaws.com"},
		{location{endpoint: "minio:9000", bucket: "my.bkt", prefix: "a"}, "s3://minio:9000/my.bkt/a"},
		{location{bucket: "bkt", params: map[string]string{"b": "x&y", "a": ""}}, "s3://bkt?a=&b=x%26y"},
	} {
		if got := test.l.String(); got != test.want {
			t.Errorf("%+v: got %q, want %q", test.l, got, test.want)
		}
		checkString(t, test.l)
	}
}

func TestParseLocationRefuses(t *testing.T) {
	first, second := true, false
	for _, test := range []struct {
		text string
		hint locationHint
		why  string
	}{
		{"", locationHint{}, "empty"},
		{"s3", locationHint{}, "no scheme"},
		{"bucket/prefix", locationHint{}, "no scheme"},
		{"/abs/path", locationHint{}, "no scheme"},
		{" s3://bkt", locationHint{}, "space before the scheme"},
		{"S3://bkt", locationHint{}, "scheme in capitals, which the engine does not know"},
		{"s3s://bkt", locationHint{}, "other scheme"},
		{"http://minio:9000/data", locationHint{}, "other scheme"},
		{"https://s3.amazonaws.com/data", locationHint{}, "other scheme"},
		{"gs://bkt", locationHint{}, "other scheme"},

		{"s3://arn:aws:s3:::my-bucket/a", locationHint{}, "ARN of a bucket"},
		{"s3://arn:aws:s3:eu-west-3:123456789012:accesspoint", locationHint{}, "no name"},
		{"s3://arn:aws:s3:eu-west-3:123456789012:accesspoint/", locationHint{}, "no name"},
		{"s3://arn:aws:s3:eu-west-3:123456789012:accesspoint:my-point", locationHint{}, "colon before the name"},
		{"s3://arn:aws:s3:eu-west-3:123456789012:accesspoint/My_Point", locationHint{}, "characters of the name"},
		{"s3://arn:aws:s3:eu-west-3:123456789012:accesspoint/evil.example#", locationHint{}, "characters of the name"},
		{"s3://arn:aws:s3:eu-west-3:12345:accesspoint/my-point", locationHint{}, "account"},
		{"s3://arn:aws:s3:eu-west-3:12345678901.:accesspoint/my-point", locationHint{}, "account"},
		{"s3://arn:aws-cn:s3:eu-west-3:123456789012:accesspoint/my-point", locationHint{}, "partition"},
		{"s3://arn:aws:s3:evil.example/:123456789012:accesspoint/my-point", locationHint{}, "region"},
		{"s3://arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", locationHint{}, "multi-region"},
		{"s3://arn:aws:s3-outposts:eu-west-3:123456789012:outpost/op-1/accesspoint/my-point", locationHint{}, "outposts"},
		{"s3://arn:aws:s3-object-lambda:eu-west-3:123456789012:accesspoint/my-point", locationHint{}, "lambda"},
		{"s3://arn:aws:iam::123456789012:role/r", locationHint{}, "other service"},
		{"s3://arn:aws:s3", locationHint{}, "half an ARN"},
		{"s3://s3.eu-west-1.amazonaws.com/" + point, locationHint{}, "other region"},
		{"s3://s3.amazonaws.com.evil.example/" + point, locationHint{}, "access point elsewhere"},
		{"s3://" + point, locationHint{endpoint: "minio:9000"}, "access point elsewhere"},
		{"s3://" + point, locationHint{bucket: "other-bucket"}, "other bucket"},

		{"s3:", locationHint{}, "no bucket"},
		{"s3://", locationHint{}, "no bucket"},
		{"s3:///", locationHint{}, "no bucket"},
		{"s3:////bkt", locationHint{}, "no bucket"},
		{"s3:////bkt", locationHint{bucket: "bkt"}, "no bucket, but a prefix"},
		{"s3://?x=y", locationHint{}, "no bucket"},
		{"s3://minio:9000", locationHint{}, "no bucket"},
		{"s3://minio:9000/", locationHint{}, "no bucket"},
		{"s3://minio:9000//data", locationHint{}, "no bucket"},
		{"s3://minio:9000//data", locationHint{bucket: "data"}, "no bucket, but a prefix"},
		{"s3://my.bucket", locationHint{}, "a host and no bucket"},
		{"s3://s3.eu-west-3.amazonaws.com", locationHint{}, "no bucket"},
		{"s3://bkt//", locationHint{}, "the folder with the empty name"},
		{"s3://minio:9000/data//", locationHint{}, "the folder with the empty name"},

		{"s3://ab", locationHint{}, "bucket too short"},
		{"s3://" + strings.Repeat("b", 256), locationHint{}, "bucket too long"},
		{"s3://-bkt", locationHint{}, "bucket begins with a hyphen"},
		{"s3://bkt-", locationHint{}, "bucket ends with a hyphen"},
		{"s3:///.bkt", locationHint{}, "bucket begins with a dot"},
		{"s3:///bkt.", locationHint{}, "bucket ends with a dot"},
		{"s3:///a..b", locationHint{}, "two dots in the bucket"},
		{"s3:///192.168.1.1/p", locationHint{}, "bucket is an address"},
		{"s3:///minio:9000/data", locationHint{}, "a host where only a bucket can be"},
		{"s3://b kt", locationHint{}, "space in the bucket"},
		{"s3://bkt#x", locationHint{}, "# in the bucket"},
		{"s3://bk%74", locationHint{}, "% in the bucket"},
		{"s3://b\u00fccket", locationHint{}, "letter outside of ASCII"},
		{"s3://arn:aws:s3:eu-west-3:1:accesspoint/x", locationHint{}, "ARN"},
		{"s3://minio:9000/ab", locationHint{}, "bucket too short"},
		{"s3://minio:9000/a:b", locationHint{}, "colon in the bucket"},
		{"s3://ab.s3.eu-west-3.amazonaws.com/p", locationHint{}, "bucket too short"},

		{"s3://bkt/\x00", locationHint{}, "control character"},
		{"s3://bkt/a\nb", locationHint{}, "control character"},
		{"s3://bkt/\x7f", locationHint{}, "control character"},
		{"s3://b\tkt", locationHint{}, "control character"},
		{"s3://bkt?a=\n", locationHint{}, "control character"},
		{"s3://bkt?a=%0A", locationHint{}, "control character"},
		{"s3://bkt?%00=a", locationHint{}, "control character"},
		{"s3://bkt/" + strings.Repeat("p", 1025), locationHint{}, "prefix too long"},

		{"s3://bkt?a=1&a=2", locationHint{}, "parameter twice"},
		{"s3://bkt?a=1&%61=2", locationHint{}, "parameter twice"},
		{"s3://bkt?a&a", locationHint{}, "parameter twice"},
		{"s3://bkt?=1", locationHint{}, "parameter without a name"},
		{"s3://bkt?a=1&", locationHint{}, "parameter without a name"},
		{"s3://bkt?&", locationHint{}, "parameter without a name"},
		{"s3://bkt?a=%zz", locationHint{}, "malformed escape"},
		{"s3://bkt?%=1", locationHint{}, "malformed escape"},

		{"s3://user@minio:9000/data", locationHint{}, "credentials"},
		{"s3://user:pass@minio:9000/data", locationHint{}, "credentials"},
		{"s3://@minio:9000/data", locationHint{}, "credentials"},
		{"s3://user:pass@bkt", locationHint{}, "credentials"},
		{"s3:///user:pass@bkt", locationHint{}, "credentials"},
		{"s3://data.s3.eu-west-3.amazonaws.com@evil.org/p", locationHint{}, "credentials"},

		{"s3://minio:/data", locationHint{}, "empty port"},
		{"s3://minio:0/data", locationHint{}, "port 0"},
		{"s3://minio:65536/data", locationHint{}, "port too large"},
		{"s3://minio:-1/data", locationHint{}, "port negative"},
		{"s3://minio:+80/data", locationHint{}, "port with a sign"},
		{"s3://minio:80a/data", locationHint{}, "port no number"},
		{"s3://minio:9000:9000/data", locationHint{}, "two ports"},
		{"s3://s3.eu-west-3.amazonaws.com:80/data", locationHint{}, "port of AWS"},
		{"s3://:9000/data", locationHint{}, "port without host"},

		{"s3://::1/data", locationHint{}, "IPv6 without brackets"},
		{"s3://[::1/data", locationHint{}, "bracket open"},
		{"s3://[[::1]]/data", locationHint{}, "brackets twice"},
		{"s3://[::1]x/data", locationHint{}, "text after the bracket"},
		{"s3://[::1]x:80/data", locationHint{}, "text after the bracket"},
		{"s3://[127.0.0.1]/data", locationHint{}, "IPv4 in brackets"},
		{"s3://[fe80::1%25eth0]/data", locationHint{}, "zone"},
		{"s3://[]/data", locationHint{}, "no address"},
		{"s3://127.1/data", locationHint{}, "short IPv4"},
		{"s3://256.0.0.1/data", locationHint{}, "no IPv4"},
		{"s3://127.0.0.01/data", locationHint{}, "octal IPv4"},
		{"s3://2130706433:80/data", locationHint{}, "IPv4 as one number"},
		{"s3://0x7f000001:80/data", locationHint{}, "IPv4 as one number"},
		{"s3://127.0.0.0x1/data", locationHint{}, "hexadecimal IPv4"},
		{"s3://minio..local/data", locationHint{}, "empty label"},
		{"s3://.minio.local/data", locationHint{}, "empty label"},
		{"s3://minio.local./data", locationHint{}, "empty label"},
		{"s3://-minio.local/data", locationHint{}, "label begins with a hyphen"},
		{"s3://minio.l\u00f6cal/data", locationHint{}, "letter outside of ASCII"},
		{"s3://s3.amazonaws.\uff43om/data", locationHint{}, "letter outside of ASCII"},
		{"s3://min\u212ao.local/data", locationHint{}, "letter whose lower case is in ASCII"},
		{"s3://minio.local\\evil/data", locationHint{}, "backslash"},
		{"s3://minio.local%2Fevil/data", locationHint{}, "escape in the host"},
		{"s3://" + strings.Repeat("h", 64) + ".local/data", locationHint{}, "label too long"},
		{"s3://" + strings.Repeat("h.", 127) + "local/data", locationHint{}, "host too long"},

		{"s3://s3.cn-north-1.amazonaws.com/data", locationHint{}, "region of another partition"},
		{"s3://s3.eu-west-3.amazonaws.com.cn/data", locationHint{}, "region of another partition"},
		{"s3://s3.amazonaws.com.cn/data", locationHint{}, "no global host there"},
		{"s3://s3.dualstack.amazonaws.com/data", locationHint{}, "dual stack without region"},
		{"s3://s3-fips.amazonaws.com/data", locationHint{}, "FIPS without region"},
		{"s3://data.s3-accelerate.amazonaws.com/p", locationHint{}, "transfer acceleration"},
		{"s3://data.s3-accelerate.dualstack.amazonaws.com/p", locationHint{}, "transfer acceleration"},
		{"s3://data.s3-website-us-east-1.amazonaws.com/p", locationHint{}, "website host"},
		{"s3://data.s3-website.eu-west-3.amazonaws.com/p", locationHint{}, "website host"},
		{"s3://ap-123.s3-accesspoint.eu-west-3.amazonaws.com/p", locationHint{}, "access point"},
		{"s3://s3-control.eu-west-3.amazonaws.com/data", locationHint{}, "control host"},
		{"s3://s3express-control.us-east-1.amazonaws.com/data", locationHint{}, "control host"},
		{"s3://s3express-use1-az4.amazonaws.com/data", locationHint{}, "zone without region"},

		{"s3://bkt/p", locationHint{bucket: "other"}, "another bucket"},
		{"s3://minio:9000/data", locationHint{bucket: "other"}, "another bucket"},
		{"s3://my.bucket/p", locationHint{bucket: "other"}, "another bucket"},
		{"s3://Data/p", locationHint{bucket: "data"}, "bucket names have case"},
		{"s3://data.s3.eu-west-3.amazonaws.com/p", locationHint{bucket: "other"}, "another bucket"},
		{"s3://other/p", locationHint{endpoint: "data.s3.eu-west-3.amazonaws.com"}, "another bucket"},
		{"s3://minio/data/p", locationHint{bucket: "data", endpointFirst: &second}, "another bucket"},
		{"s3://minio:9000/data", locationHint{endpoint: "other:9000"}, "another endpoint"},
		{"s3://minio:9000/data", locationHint{endpoint: "minio:9001"}, "another port"},
		{"s3://127.0.0.1/data", locationHint{endpoint: "minio"}, "another endpoint"},
		{"s3://localhost/data", locationHint{endpoint: "minio"}, "another endpoint"},
		{"s3://[::1]/data", locationHint{endpoint: "[::2]"}, "another endpoint"},
		{"s3://s3.eu-west-3.amazonaws.com/data", locationHint{endpoint: "minio:9000"}, "another endpoint"},
		{"s3://s3.eu-west-3.amazonaws.com/data", locationHint{endpoint: "s3.eu-west-1.amazonaws.com"}, "another region"},
		{"s3://s3.eu-west-3.amazonaws.com/data", locationHint{endpoint: "s3.dualstack.eu-west-3.amazonaws.com"}, "another host"},
		{"s3://minio/data", locationHint{endpoint: "other", endpointFirst: &first}, "another endpoint"},
		{"s3://minio:9000/data", locationHint{endpointFirst: &second}, "no bucket name"},
		{"s3://bkt", locationHint{endpointFirst: &first}, "no bucket"},
		{"s3://data.s3-accelerate.amazonaws.com/p", locationHint{endpoint: "minio"}, "AWS host beside another endpoint"},
	} {
		l, err := parseLocation(test.text, test.hint)
		if !errors.Is(err, ErrInvalidLocation) || !reflect.DeepEqual(l, location{}) {
			t.Errorf("%q, %+v: got %+v, %v, want ErrInvalidLocation: %s", test.text, test.hint, l, err, test.why)
		}
	}
}

func TestParseLocationRefusesHint(t *testing.T) {
	for _, hint := range []locationHint{
		{bucket: "a"},
		{bucket: "a/b"},
		{endpoint: "ftp://minio"},
		{endpoint: "http://"},
		{endpoint: "://minio"},
		{endpoint: "http://minio/path"},
		{endpoint: "minio:0"},
		{endpoint: "http://hunter2@minio"},
		{endpoint: "http://user:hunter2@minio"},
		{endpoint: "hunter2://user@minio"},
		{endpoint: "s3.cn-north-1.amazonaws.com"},
	} {
		l, err := parseLocation("s3://bkt", hint)
		if !errors.Is(err, ErrInvalidOption) || errors.Is(err, ErrInvalidLocation) || !reflect.DeepEqual(l, location{}) {
			t.Errorf("%+v: got %+v, %v, want ErrInvalidOption", hint, l, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: the error %q shows the password", hint, err)
		}
	}
}

// A key pair of AWS in a location breaks it in odd places, because secrets
// hold slashes. None of the pieces may be shown.
func TestParseLocationShowsNoSecret(t *testing.T) {
	for _, text := range []string{
		"s3://AKIA:hunter2@minio:9000/data",
		"s3://AKIA:hunter2@",
		"s3://hunter2@minio/data",
		"s3://AKIA:x/hunter2@minio:9000/data",
		"s3://AKIA:12/hunter2@minio:9000/data",
		"s3://AKIA:12/x/hunter2@minio:9000/data",
		"s3://AKIA:x?hunter2@minio:9000/data",
		"s3://AKIA:12/data?hunter2=1&hunter2=2@minio:9000/data",
		"s3://hunter2.a:12/x@minio:9000/data",
		"s3://ab/x@minio?hunter2=1&hunter2=2",
		"s3:AKIA:hunter2@minio:9000/data",
		"s3:/AKIA:hunter2@minio:9000/data",
		"s3:///AKIA:hunter2@minio:9000/data",
		"s3:///AKIA:hunter2/x@minio:9000/data",
		"s3://AKIA:hunter2/data",
		"s3://AKIA:hunter2",
		"https://AKIA:hunter2@minio:9000/data",
		"hunter2://AKIA@minio:9000/data",
	} {
		for _, hint := range []locationHint{{}, {bucket: "other"}, {endpoint: "http://minio:9001"}} {
			_, err := parseLocation(text, hint)
			if !errors.Is(err, ErrInvalidLocation) {
				t.Errorf("%q: got %v, want ErrInvalidLocation", text, err)
			} else if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: the error %q shows the secret", text, err)
			}
		}
	}
}

func FuzzParseLocation(f *testing.F) {
	for _, text := range []string{
		"s3://my-bucket/path/", "s3:///my.bucket//", "s3:bucket", "s3://minio:9000/data/p?a=b&c", "s3://[::1]:9000/data",
		"s3://data.s3.dualstack.eu-west-3.amazonaws.com/p", "s3://s3-fips-us-gov-west-1.amazonaws.com/data/p//",
		"s3://AKIA:x/y@minio:9000/data", "s3://bkt/a@b", "s3://bkt/\xff?%61=%41", "s3://x.s3.us-east-1.vpce.amazonaws.com/data",
	} {
		f.Add(text, "", "", byte(0))
		f.Add(text, "http://minio:9000", "data", byte(1))
		f.Add(text, "s3.eu-west-3.amazonaws.com", "", byte(2))
	}
	f.Fuzz(func(t *testing.T, text, endpoint, bucket string, first byte) {
		hint := locationHint{endpoint: endpoint, bucket: bucket}
		if yes := first == 2; first == 1 || first == 2 {
			hint.endpointFirst = &yes
		}
		l, err := parseLocation(text, hint)
		if err != nil {
			if !errors.Is(err, ErrInvalidLocation) && !errors.Is(err, ErrInvalidOption) || !reflect.DeepEqual(l, location{}) {
				t.Errorf("%q, %+v: got %+v, %v", text, hint, l, err)
			}
			return
		}
		if checkBucket(l.bucket) != nil || len(l.prefix) > maxKey || bucket != "" && l.bucket != bucket {
			t.Errorf("%q, %+v: got %+v", text, hint, l)
		}
		checkString(t, l)
	})
}

func FuzzParseLocationSecret(f *testing.F) {
	f.Add("AKIA", "x/y", "minio:9000/data", "")
	f.Add("AKIA", "12/x?", "minio:9000/data", "other")
	f.Add("", "?a=", "&a=@", "bkt")
	f.Fuzz(func(t *testing.T, user, secret, rest, bucket string) {
		const mark = "zq9zq9"
		if strings.Contains(user+rest+bucket, mark) {
			return
		}
		text := "s3://" + user + ":" + mark + secret + mark + "@" + rest
		// A user name with a slash or a question mark in it is a bucket.
		if _, err := parseLocation(text, locationHint{bucket: bucket}); err != nil && strings.Contains(err.Error(), mark) {
			t.Errorf("%q: the error %q shows the secret", text, err)
		}
	})
}
