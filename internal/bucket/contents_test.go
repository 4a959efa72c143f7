package bucket

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

type answerFunc func(*http.Request) (*http.Response, error)

func (f answerFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// readPage lets the SDK alone read an answer.
func readPage(t testing.TB, body io.Reader) (*s3.ListObjectsV2Output, error) {
	t.Helper()
	client := s3.New(s3.Options{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}, Retryer: aws.NopRetryer{},
		HTTPClient: answerFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(body), ContentLength: -1}, nil
		})})
	page, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("b")})
	if page != nil {
		page.ResultMetadata = (&s3.ListObjectsV2Output{}).ResultMetadata
	}
	return page, err
}

// known leaves of entries what somebody asks for.
func known(entries []types.Object) []types.Object {
	left := slices.Clone(entries)
	for i := range left {
		left[i].Owner, left[i].ChecksumAlgorithm, left[i].ChecksumType = nil, nil, ""
	}
	return left
}

// compareScan compares what scanContents makes of a page with what the SDK does.
func compareScan(t *testing.T, page string) (scanned bool) {
	t.Helper()
	listed, frame, ok := scanContents([]byte(page))
	if !ok {
		return false
	}
	want, refusal := readPage(t, strings.NewReader(page))
	left, err := readPage(t, strings.NewReader(string(frame)))
	if (err == nil) != (refusal == nil) {
		t.Fatalf("%q leaves %q, of which the SDK says %v, and of the whole %v", page, frame, err, refusal)
	}
	if err != nil {
		return true // and the SDK tells it of the frame
	}
	if len(left.Contents) > 0 {
		t.Fatalf("%q leaves %q: %d entries", page, frame, len(left.Contents))
	}
	if !reflect.DeepEqual(known(listed), known(want.Contents)) && len(listed)+len(want.Contents) > 0 {
		t.Errorf("%q: %d entries, want %d, or not the same", page, len(listed), len(want.Contents))
	}
	want.Contents, left.Contents = nil, nil
	if !reflect.DeepEqual(left, want) {
		t.Errorf("%q leaves %q, which is another page", page, frame)
	}
	return true
}

const pageOfAWS = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><KeyCount>2</KeyCount>` +
	`<MaxKeys>1000</MaxKeys><Delimiter/><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J&amp;</NextContinuationToken>` +
	`<Contents><Key>a+b%2Fc</Key><LastModified>2026-11-30T10:00:00.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag>` +
	`<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>0</Size><StorageClass>STANDARD</StorageClass></Contents>` +
	`<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>
	<Contents>
	  <Key>ü&#x20ac;&lt;&gt;&apos;&#65;</Key><Size>5368709120</Size><Owner><ID>1</ID><DisplayName>n</DisplayName></Owner><LastModified>2026-11-30T10:00:00Z</LastModified><StorageClass/>
	</Contents></ListBucketResult>
`

var oddPages = map[string]string{
	"nothing":               "",
	"a web page":            "<!DOCTYPE html><html><body>Contents</body></html>",
	"an end":                `</Contents>`,
	"a part":                pageOfAWS[:len(pageOfAWS)/2],
	"all but the end":       strings.TrimSuffix(strings.TrimSpace(pageOfAWS), ">"),
	"a comment":             entry("<!-- --><Key>a</Key>"),
	"CDATA":                 entry("<Key><![CDATA[a]]></Key>"),
	"the end of CDATA":      entry("<Key>]]></Key>"),
	"a namespace":           entry("<s3:Key>a</s3:Key>"),
	"an attribute":          entry(`<Key xml:space="preserve">a</Key>`),
	"small letters":         entry("<key>a</key>"),
	"entries in others":     "<R><contents><Key>a</Key></contents></R>",
	"a restored object":     entry("<Key>a</Key><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>"),
	"an unknown field":      entry("<New>1</New>"),
	"text between":          entry("<Key>a</Key>b"),
	"an element in a key":   entry("<Key>a<b>c</b></Key>"),
	"crossed tags":          entry("<Key>a</Contents></Key>"),
	"another end":           entry("<Key>a</Size>"),
	"no number":             entry("<Size>many</Size>"),
	"spaces at a number":    entry("<Size> 1 </Size>"),
	"a number too long":     entry("<Size>9223372036854775808</Size>"),
	"no time":               entry("<LastModified>yesterday</LastModified>"),
	"a control character":   entry("<Key>\x01</Key>"),
	"a reference to one":    entry("<Key>&#x1;</Key>"),
	"a reference to none":   entry("<Key>&#xD800;</Key>"),
	"an unknown reference":  entry("<Key>&nbsp;</Key>"),
	"a lone ampersand":      entry("<Key>&</Key>"),
	"a carriage return":     entry("<Key>a\r\nb</Key>"),
	"a noncharacter":        entry("<Key>\uffff</Key>"),
	"no text":               entry("<Key>\xff</Key>"),
	"an owner without end":  entry("<Owner><ID></Owner>"),
	"too deep":              entry("<Owner><a><b><c><d><e><f></f></e></d></c></b></a></Owner>"),
	"a number as a name":    entry("<1>a</1>"),
	"more after the end":    entry("") + "<a>",
	"an empty root":         "<ListBucketResult/>",
	"a root in a namespace": "<s3:R><Contents></Contents></s3:R>",
}

func entry(fields string) string {
	return `<ListBucketResult><Contents>` + fields + `</Contents></ListBucketResult>`
}

// TestScanContents: a page is read as the SDK reads it, and one that is odd is
// left to it.
func TestScanContents(t *testing.T) {
	for _, page := range []string{pageOfAWS, "<R></R>", "<R a='b'> \r\n </R>", entry(""), entry("<Key></Key>"), entry("<Key/><Size>1</Size>"),
		entry("<Key>\tz \n</Key>"), entry("<Key>a</Key><Key>b</Key>"), entry("<Type>Normal</Type><Owner/><Size>-1</Size>")} {
		if !compareScan(t, page) {
			t.Errorf("%q is not scanned", page)
		}
	}
	for name, page := range oddPages {
		if compareScan(t, page) {
			t.Errorf("%s is scanned", name)
		}
	}
}

// FuzzScanContents: whatever is scanned, the SDK reads in the same way.
func FuzzScanContents(f *testing.F) {
	f.Add(pageOfAWS)
	for _, page := range oddPages {
		f.Add(page)
	}
	f.Fuzz(func(t *testing.T, page string) { compareScan(t, page) })
}

// TestSplitPage: what is too long, or ends early, reaches the SDK as it came.
func TestSplitPage(t *testing.T) {
	long := pageOfAWS[:len(pageOfAWS)-1] + strings.Repeat(" ", maxScannedPage)
	failure := errors.New("the connection ends")
	for _, test := range []struct {
		body    io.Reader
		entries int
		left    string
		err     error
	}{
		{strings.NewReader(entry("<Key>a</Key>")), 1, "<ListBucketResult></ListBucketResult>", nil},
		{iotest.OneByteReader(strings.NewReader(entry("<Key>a</Key>"))), 1, "<ListBucketResult></ListBucketResult>", nil},
		{strings.NewReader(long), 0, long, nil},
		{strings.NewReader(oddPages["CDATA"]), 0, oddPages["CDATA"], nil},
		{io.MultiReader(strings.NewReader("<R>"), iotest.ErrReader(failure)), 0, "<R>", failure},
	} {
		listed, left := splitPage(test.body, -1)
		got, err := io.ReadAll(left)
		if len(listed) != test.entries || string(got) != test.left || err != test.err {
			t.Errorf("%d entries, %d bytes left, %v; want %d, %d, %v", len(listed), len(got), err, test.entries, len(test.left), test.err)
		}
	}
}

func BenchmarkScanContents(b *testing.B) {
	contents := strings.Index(pageOfAWS, "<Contents>")
	end := strings.Index(pageOfAWS, "<CommonPrefixes>")
	page := []byte(pageOfAWS[:contents] + strings.Repeat(pageOfAWS[contents:end], pageSize) + "</ListBucketResult>")
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		if listed, _, ok := scanContents(page); !ok || len(listed) != pageSize {
			b.Fatal("not scanned")
		}
	}
}
