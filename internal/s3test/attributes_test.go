package s3test_test

import (
	"encoding/xml"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestGetObjectAttributes(t *testing.T) {
	_, b, c := started(t)
	o := b.Put("k", []byte("0123456789"), s3test.Properties{}, s3test.InParts(4, 4), s3test.WithChecksum("CRC32"))
	type answer struct {
		XMLName      xml.Name `xml:"GetObjectAttributesResponse"`
		ETag         string
		StorageClass string
		ObjectSize   *int64
		Checksum     *struct{ ChecksumCRC32, ChecksumType string }
		ObjectParts  *struct {
			PartsCount           int
			NextPartNumberMarker int
			IsTruncated          bool
			Part                 []struct {
				PartNumber    int
				Size          int64
				ChecksumCRC32 string
			}
		}
	}
	var got answer
	target := at("k") + "?attributes"
	c.get(target, with("X-Amz-Object-Attributes", "ETag,Checksum"), with("X-Amz-Object-Attributes", "ObjectParts, StorageClass, ObjectSize"),
		with("X-Amz-Max-Parts", "2")).ok().into(&got)
	equal(t, "tag", got.ETag, o.ETag)
	equal(t, "class", got.StorageClass, "STANDARD")
	equal(t, "size", *got.ObjectSize, 10)
	equal(t, "checksum", got.Checksum.ChecksumCRC32, o.Checksum.Value)
	equal(t, "checksum type", got.Checksum.ChecksumType, "COMPOSITE")
	equal(t, "parts", got.ObjectParts.PartsCount, 3)
	equal(t, "listed parts", len(got.ObjectParts.Part), 2)
	equal(t, "truncated", got.ObjectParts.IsTruncated, true)
	equal(t, "part checksum", got.ObjectParts.Part[0].ChecksumCRC32, crc32Base64("0123"))
	got = answer{}
	c.get(target, with("X-Amz-Object-Attributes", "ObjectParts"), with("X-Amz-Part-Number-Marker", "2")).ok().into(&got)
	equal(t, "last part", got.ObjectParts.Part[0].Size, 2)
	equal(t, "what was not asked", got.ETag+got.StorageClass, "")
	c.get(target).is(400, "InvalidArgument")
	c.get(target, with("X-Amz-Object-Attributes", "Weather")).is(400, "InvalidArgument")
	c.get(target, with("X-Amz-Object-Attributes", "ETag"), with("X-Amz-Max-Parts", "x")).is(400, "InvalidArgument")
	c.get(at("none")+"?attributes", with("X-Amz-Object-Attributes", "ETag")).is(404, "NoSuchKey")
}
