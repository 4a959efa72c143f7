package s3test

import "strconv"

// extent is the part of an object that is asked for.
type extent struct {
	offset, size int64
	partial      bool
	number       int // of the part; 0 if the request did not name one
	checksum     checksum
}

// part finds out what Range or partNumber mean for v.
func (x *exchange) part(v *version) (extent, error) {
	whole := extent{size: v.content.size, checksum: v.checksum}
	rangeHeader := x.header("Range")
	if x.ignoreRange {
		rangeHeader = ""
	}
	if number := x.query.Get("partNumber"); number != "" && x.server.settings.has(PartNumbers) {
		if rangeHeader != "" {
			return whole, failuref("InvalidRequest", "Cannot specify both Range header and partNumber query parameter.")
		}
		return v.partNumbered(number)
	}
	offset, size, ok := parseRange(rangeHeader, v.content.size)
	if !ok {
		return whole, nil
	}
	if size == 0 {
		return whole, failure("InvalidRange").
			with("RangeRequested", rangeHeader).
			with("ActualObjectSize", strconv.FormatInt(v.content.size, 10)).
			withHeader("Content-Range", "bytes */"+strconv.FormatInt(v.content.size, 10))
	}
	// A client would compare the whole object's checksum with the range.
	return extent{offset: offset, size: size, partial: true}, nil
}

func (v *version) partNumbered(number string) (extent, error) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > maxParts {
		return extent{}, failuref("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive").
			with("ArgumentName", "partNumber").with("ArgumentValue", number)
	}
	if len(v.parts) == 0 && n == 1 {
		return extent{size: v.content.size, partial: v.content.size > 0, number: 1, checksum: v.checksum}, nil
	}
	for _, part := range v.parts {
		if part.number == n {
			sum := part.checksum
			if sum.algorithm != nil {
				sum.kind = v.checksum.kind
			}
			return extent{offset: part.offset, size: part.size, partial: part.size > 0, number: n, checksum: sum}, nil
		}
	}
	return extent{}, failure("InvalidPartNumber").
		with("PartNumberRequested", number).with("ActualPartCount", itoa(max(len(v.parts), 1)))
}
