package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// readAll opens and reads an object, and closes it.
func readAll(ctx context.Context, c *Client, key string, pin Pin) ([]byte, error) {
	return drained(c.Get(ctx, key, pin))
}

func readRange(ctx context.Context, c *Client, key string, pin Pin, offset, length int64) ([]byte, error) {
	return drained(c.GetRange(ctx, key, pin, offset, length))
}

func drained(object *Object, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer object.Body.Close()
	return io.ReadAll(object.Body)
}

// pinOf is what a listing knows of an object.
func pinOf(o s3test.Object) Pin { return Pin{ETag: o.ETag, Size: int64(len(o.Body)), Sized: true} }

func TestGet(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC)
	body := bytesOf(100_000, 1)
	play(t, Config{}, func(t *testing.T, s *stage) {
		put := s.bucket.Put("k", body, s3test.Properties{
			ContentType: "text/x", CacheControl: "no-cache", Expires: "tomorrow", Metadata: map[string]string{"a": "b"},
			Tags: map[string]string{"t": "v"}, StorageClass: "STANDARD_IA",
		}, s3test.WithChecksum("SHA256"), s3test.ModifiedAt(at))
		object, err := s.client.Get(t.Context(), "k", pinOf(put))
		if err != nil {
			t.Fatal(err)
		}
		got, err := drained(object, nil)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		a := object.Attributes
		if a.Size != int64(len(body)) || a.ETag != put.ETag || !a.LastModified.Equal(at) || a.ContentType != "text/x" ||
			a.CacheControl != "no-cache" || a.Expires != "tomorrow" || a.User["a"] != "b" || a.TagCount != 1 || a.StorageClass != "STANDARD_IA" {
			t.Errorf("attributes are %+v", a)
		}
		if want := []Checksum{{Algorithm: "SHA256", Value: put.Checksum.Value}}; !slices.Equal(a.Checksums, want) {
			t.Errorf("checksums are %v", a.Checksums)
		}
		s.wantCount("", 1)
	})
}

func TestGetNothing(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		empty := s.bucket.Put("empty", nil, s3test.Properties{})
		if got, err := readAll(t.Context(), s.client, "empty", pinOf(empty)); err != nil || len(got) != 0 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		_, err := s.client.Get(t.Context(), "missing", Pin{})
		wantError(t, err, ErrNotFound, "get", "missing")
		s.wantCount("", 2)
	})
}

// TestGetEncoded: a body comes as it is stored, whatever it says it is.
func TestGetEncoded(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		for _, encoding := range []string{"gzip", "br", "aws-chunked", "gzip,aws-chunked"} {
			body := []byte("\x1f\x8b is no gzip")
			put := s.bucket.Put("k", body, s3test.Properties{ContentEncoding: encoding})
			object, err := s.client.Get(t.Context(), "k", pinOf(put))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := drained(object, nil); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s: %q, %v", encoding, got, err)
			}
			if want := strings.Trim(strings.Replace(encoding, "aws-chunked", "", 1), ","); object.ContentEncoding != want {
				t.Errorf("%s becomes %q", encoding, object.ContentEncoding)
			}
		}
	})
}

func TestGetPinned(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		old := s.bucket.Put("k", []byte("old"), s3test.Properties{})
		s.bucket.Put("k", []byte("new"), s3test.Properties{})
		for name, read := range map[string]func(Pin) error{
			"get":       func(p Pin) error { _, err := s.client.Get(t.Context(), "k", p); return err },
			"get range": func(p Pin) error { _, err := s.client.GetRange(t.Context(), "k", p, 1, 1); return err },
			"head":      func(p Pin) error { _, err := s.client.Head(t.Context(), "k", p); return err },
			"head part": func(p Pin) error { _, _, err := s.client.PartLayout(t.Context(), "k", p); return err },
		} {
			op, _, _ := strings.Cut(name, " range")
			wantError(t, read(pinOf(old)), ErrChanged, op, "k")
		}
	})
}

// TestGetFromAServerThatIgnoresConditions: the answer tells that it is
// another object.
func TestGetFromAServerThatIgnoresConditions(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		put := s.bucket.Put("k", []byte("bytes"), s3test.Properties{})
		s.fault(s3test.Fault{Action: s3test.SetHeader("ETag", `"other"`)})
		_, err := s.client.Get(t.Context(), "k", pinOf(put))
		wantError(t, err, ErrChanged, "get", "k")
		s.fault(s3test.Fault{Times: readTries, Action: s3test.RawBody(200, "text/html", "please log in")})
		_, err = s.client.Get(t.Context(), "k", Pin{ETag: put.ETag})
		wantError(t, err, ErrBody, "get", "k")
		for kind, action := range map[error]s3test.Action{
			ErrChanged: s3test.SetHeader("ETag", `"other"`),
			ErrBody:    s3test.RawBody(200, "text/html", "please log in"),
		} {
			s.fault(s3test.Fault{Times: 2, Action: action})
			_, err = s.client.Head(t.Context(), "k", pinOf(put))
			wantError(t, err, kind, "head", "k")
			_, _, err = s.client.PartLayout(t.Context(), "k", pinOf(put))
			wantError(t, err, kind, "head part", "k")
		}
	})
}

// TestPinnedNullVersion: it is overwritten while versions are suspended.
func TestPinnedNullVersion(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		old := s.bucket.Put("k", []byte("old"), s3test.Properties{})
		s.bucket.Put("k", []byte("new"), s3test.Properties{})
		pin := Pin{ETag: old.ETag, VersionID: "null"}
		_, err := s.client.Get(t.Context(), "k", pin)
		wantError(t, err, ErrChanged, "get", "k")
		_, err = s.client.Head(t.Context(), "k", pin)
		wantError(t, err, ErrChanged, "head", "k")
		_, _, err = s.client.PartLayout(t.Context(), "k", pin)
		wantError(t, err, ErrChanged, "head part", "k")
	})
}

func TestGetVersion(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.SetVersioning(true)
		old := s.bucket.Put("k", []byte("old"), s3test.Properties{})
		s.bucket.Put("k", []byte("new"), s3test.Properties{})
		pin := Pin{VersionID: old.VersionID, ETag: old.ETag}
		if got, err := readAll(t.Context(), s.client, "k", pin); err != nil || string(got) != "old" {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := readRange(t.Context(), s.client, "k", pin, 1, 1); err != nil || string(got) != "l" {
			t.Errorf("%q, %v", got, err)
		}
		if a, err := s.client.Head(t.Context(), "k", Pin{VersionID: old.VersionID}); err != nil || a.VersionID != old.VersionID {
			t.Errorf("%+v, %v", a, err)
		}
		s.bucket.DeleteVersion("k", old.VersionID)
		_, err := s.client.Get(t.Context(), "k", pin)
		wantError(t, err, ErrNotFound, "get", "k")
	})
}

// interruptions end a body early in all the ways there are.
var interruptions = map[string]func(int64) s3test.Action{
	"reset": s3test.ResetAfter, "cut": s3test.CutAfter, "stall": s3test.StallAfter, "short length": s3test.ShortLength,
}

// TestGetResumes at the byte where the connection ended, with the ETag of what
// was read so far, and verifies the whole.
func TestGetResumes(t *testing.T) {
	body := bytesOf(300_000, 2)
	for name, interrupt := range interruptions {
		if name == "short length" {
			continue // refused before a byte is read, see TestGetLengths
		}
		for _, at := range []int64{0, 1, 150_000, 299_999} {
			t.Run(fmt.Sprint(name, " after ", at), func(t *testing.T) {
				play(t, Config{}, func(t *testing.T, s *stage) {
					put := s.bucket.Put("k", body, s3test.Properties{}, s3test.WithChecksum("CRC32C"))
					s.fault(s3test.Fault{Op: "GetObject", Action: interrupt(at)})
					got, err := readAll(t.Context(), s.client, "k", pinOf(put))
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
					again := s.Requests()[1].Header
					if again.Get("If-Match") != `"`+put.ETag+`"` {
						t.Errorf("resumed with If-Match %s", again.Get("If-Match"))
					}
					if want := fmt.Sprintf("bytes=%d-299999", at); name == "cut" && again.Get("Range") != want {
						t.Errorf("resumed with Range %s, want %s", again.Get("Range"), want)
					}
				})
			})
		}
	}
}

// TestGetResumesRepeatedly: progress renews the patience.
func TestGetResumesRepeatedly(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(10*3*readTries, 3)
		put := s.bucket.Put("k", body, s3test.Properties{}, s3test.WithChecksum("CRC32"))
		s.fault(s3test.Fault{Op: "GetObject", Times: 3*readTries - 1, Action: s3test.CutAfter(10)})
		got, err := readAll(t.Context(), s.client, "k", Pin{ETag: put.ETag})
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		s.wantCount("GetObject", 3*readTries)
	})
}

// TestGetGivesUp without progress, with what came so far.
func TestGetGivesUp(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(1000, 4)
		s.bucket.Put("k", body, s3test.Properties{})
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.CutAfter(400)})
		s.fault(s3test.Fault{Op: "GetObject", Times: readTries, Action: s3test.CutAfter(0)})
		got, err := readAll(t.Context(), s.client, "k", Pin{})
		wantError(t, err, ErrBody, "get", "k")
		if !bytes.Equal(got, body[:400]) {
			t.Errorf("%d bytes", len(got))
		}
		s.wantCount("GetObject", 1+readTries)
	})
}

// TestGetWithoutETag: nobody can tell whether the rest is of the same object, so it is
// not asked for.
func TestGetWithoutETag(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(1000, 4)
		s.bucket.Put("k", body, s3test.Properties{})
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.Chain(s3test.SetHeader("ETag", ""), s3test.CutAfter(400))})
		got, err := readAll(t.Context(), s.client, "k", Pin{})
		wantError(t, err, ErrBody, "get", "k")
		if !bytes.Equal(got, body[:400]) {
			t.Errorf("%d bytes", len(got))
		}
		s.wantCount("GetObject", 1)
	})
}

// TestGetReplacedInTheMiddle: bytes of two states never mix.
func TestGetReplacedInTheMiddle(t *testing.T) {
	for name, change := range map[string]func(s *stage){
		"replaced": func(s *stage) { s.bucket.Put("k", bytesOf(1000, 6), s3test.Properties{}) },
		"deleted":  func(s *stage) { s.bucket.Delete("k") },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				body := bytesOf(1000, 5)
				s.bucket.Put("k", body, s3test.Properties{})
				s.fault(s3test.Fault{Op: "GetObject", Action: s3test.CutAfter(500)})
				s.fault(s3test.Fault{Op: "GetObject", Action: s3test.RunFirst(func() { change(s) })})
				got, err := readAll(t.Context(), s.client, "k", Pin{})
				want := ErrChanged
				if name == "deleted" {
					want = ErrNotFound
				}
				wantError(t, err, want, "get", "k")
				if !bytes.Equal(got, body[:500]) {
					t.Errorf("%d bytes before the error", len(got))
				}
			})
		})
	}
}

// TestGetChecksum: a flipped bit is found with every algorithm, and a whole
// body passes.
func TestGetChecksum(t *testing.T) {
	body := bytesOf(10_000, 7)
	for _, algorithm := range []string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		for _, layout := range []string{"one part", "three parts"} {
			options := []s3test.PutOption{s3test.WithFullChecksum(algorithm)}
			if layout == "three parts" {
				if strings.HasPrefix(algorithm, "SHA") {
					continue // has no checksum of the whole
				}
				options = append(options, s3test.InParts(5000, 4000))
			}
			t.Run(algorithm+" "+layout, func(t *testing.T) {
				play(t, Config{}, func(t *testing.T, s *stage) {
					put := s.bucket.Put("k", body, s3test.Properties{}, options...)
					if got, err := readAll(t.Context(), s.client, "k", pinOf(put)); err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
					s.fault(s3test.Fault{Op: "GetObject", Action: s3test.FlipBit(9_999)})
					_, err := readAll(t.Context(), s.client, "k", pinOf(put))
					wantError(t, err, ErrChecksum, "get", "k")
					if !strings.Contains(err.Error(), algorithm) {
						t.Errorf("message does not name %s: %v", algorithm, err)
					}
				})
			})
		}
	}
}

// TestGetNewerChecksums: those that S3 got in 2025 are verified too, by the
// header that the answer has.
func TestGetNewerChecksums(t *testing.T) {
	body := bytesOf(10_000, 7)
	for _, algorithm := range []string{"SHA512", "MD5"} {
		t.Run(algorithm, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				put := s.bucket.Put("k", body, s3test.Properties{})
				stated := s3test.Chain(s3test.SetHeader(checksumHeader(algorithm), sumOf(algorithm, body)), s3test.SetHeader("X-Amz-Checksum-Type", "FULL_OBJECT"))
				s.fault(s3test.Fault{Op: "GetObject", Action: stated})
				object, err := s.client.Get(t.Context(), "k", pinOf(put))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := drained(object, nil); err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				if want := []Checksum{{Algorithm: algorithm, Value: sumOf(algorithm, body)}}; !slices.Equal(object.Checksums, want) {
					t.Errorf("checksums are %v", object.Checksums)
				}
				s.fault(s3test.Fault{Op: "GetObject", Action: s3test.Chain(stated, s3test.FlipBit(9_999))})
				_, err = readAll(t.Context(), s.client, "k", pinOf(put))
				wantError(t, err, ErrChecksum, "get", "k")
				if err != nil && !strings.Contains(err.Error(), algorithm) {
					t.Errorf("message does not name %s: %v", algorithm, err)
				}
			})
		})
	}
}

// TestGetChecksumAcrossConnections: a bit that is wrong in either half.
func TestGetChecksumAcrossConnections(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		put := s.bucket.Put("k", bytesOf(1000, 8), s3test.Properties{}, s3test.WithChecksum("CRC32C"))
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.CutAfter(500)})
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.FlipBit(10)})
		_, err := readAll(t.Context(), s.client, "k", pinOf(put))
		wantError(t, err, ErrChecksum, "get", "k")
	})
}

// TestGetComposite: a checksum of checksums says nothing of the whole.
func TestGetComposite(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(1000, 9)
		put := s.bucket.Put("k", body, s3test.Properties{}, s3test.InParts(600), s3test.WithChecksum("CRC32"))
		object, err := s.client.Get(t.Context(), "k", pinOf(put))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := drained(object, nil); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if len(object.Checksums) != 1 || !object.Checksums[0].Composite || object.Checksums[0].Computable() {
			t.Errorf("checksums are %+v", object.Checksums)
		}
	})
}

// TestGetLengths: a length that is not the listed one is not believed.
func TestGetLengths(t *testing.T) {
	body := []byte("0123456789")
	for _, c := range []struct {
		name   string
		answer s3test.Action
		times  int
		want   error
	}{
		{"short once", s3test.ShortLength(5), 1, nil},
		{"short always", s3test.ShortLength(5), readTries, ErrBody},
		{"extra bytes", s3test.ExtraBytes(5), 1, nil}, // the length counts
		{"no length", s3test.HTTP10(), 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				put := s.bucket.Put("k", body, s3test.Properties{})
				s.fault(s3test.Fault{Op: "GetObject", Times: c.times, Action: c.answer})
				got, err := readAll(t.Context(), s.client, "k", pinOf(put))
				if c.want != nil {
					wantError(t, err, c.want, "get", "k")
				} else if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%q, %v", got, err)
				}
			})
		})
	}
}

// TestGetTooLong: more bytes than the listing said, and no length to tell.
func TestGetTooLong(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		put := s.bucket.Put("k", []byte("0123456789"), s3test.Properties{})
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.HTTP10()})
		_, err := readAll(t.Context(), s.client, "k", Pin{ETag: put.ETag, Size: 5, Sized: true})
		wantError(t, err, ErrBody, "get", "k")
	})
}

// TestGetTooLongOnARealConnection, whose end is clean: the listed size tells where the
// object ends.
func TestGetTooLongOnARealConnection(t *testing.T) {
	server, client := quirky(t, "aws")
	put := server.Bucket("bucket").Put("k", []byte("0123456789"), s3test.Properties{})
	for size, want := range map[int64]error{5: ErrBody, 10: nil} {
		server.Faults().Add(s3test.Fault{Op: "GetObject", Action: s3test.HTTP10()})
		if _, err := readAll(t.Context(), client, "k", Pin{ETag: put.ETag, Size: size, Sized: true}); !errors.Is(err, want) {
			t.Errorf("%d of 10 bytes: error is %v, want %v", size, err, want)
		}
	}
	server.Faults().VerifyAll(t)
}

func TestGetRange(t *testing.T) {
	body := bytesOf(1000, 10)
	for _, c := range []struct {
		offset, length int64
		want           []byte
		err            error
	}{
		{0, 1, body[:1], nil},
		{0, -1, body, nil},
		{10, 20, body[10:30], nil},
		{10, -1, body[10:], nil},
		{990, 100, body[990:], nil},
		{999, 1, body[999:], nil},
		{0, 5000, body, nil},
		{1000, 1, nil, ErrInvalidRange},
		{1000, -1, nil, ErrInvalidRange},
		{0, 0, nil, ErrInvalidRange},
		{-1, 5, nil, ErrInvalidRange},
	} {
		for name, answer := range map[string]s3test.Action{"honoured": nil, "ignored": s3test.IgnoreRange()} {
			t.Run(fmt.Sprintf("%d bytes from %d, %s", c.length, c.offset, name), func(t *testing.T) {
				play(t, Config{}, func(t *testing.T, s *stage) {
					s.bucket.Put("k", body, s3test.Properties{}, s3test.WithChecksum("CRC32"))
					whole := c.offset == 0 && c.length < 0 // asked for without a range
					if answer != nil && c.length != 0 && c.offset >= 0 && !whole {
						s.fault(s3test.Fault{Op: "GetObject", Action: answer})
					}
					got, err := readRange(t.Context(), s.client, "k", Pin{}, c.offset, c.length)
					if c.err != nil {
						wantError(t, err, c.err, "get", "k")
					} else if err != nil || !bytes.Equal(got, c.want) {
						t.Errorf("%d bytes, %v; want %d", len(got), err, len(c.want))
					}
				})
			})
		}
	}
}

// TestGetRangeAsIfItWereAll: a piece with the status of a whole object is the
// piece that its Content-Range names, and no object to cut it out of.
func TestGetRangeAsIfItWereAll(t *testing.T) {
	body := bytesOf(1000, 10)
	without := s3test.WithoutFeature(s3test.PartialContent)
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", body, s3test.Properties{}, s3test.WithChecksum("CRC32"))
		for _, c := range []span{{0, 100}, {10, 100}, {10, 20}, {600, 300}, {600, 1000}, {10, -1}, {999, 1}, {0, 1000}} {
			got, err := readRange(t.Context(), s.client, "k", Pin{}, c.offset, c.length)
			want := body[c.offset : c.offset+c.within(1000)]
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v: %d bytes, %v; want %d", c, len(got), err, len(want))
			}
		}
	}, without)
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", body, s3test.Properties{}, s3test.WithChecksum("CRC32"))
		s.fault(s3test.Fault{Op: "GetObject", Times: 3, Action: s3test.ResetAfter(200)})
		got, err := readAll(t.Context(), s.client, "k", Pin{})
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}, without)
	// The header alone makes no piece.
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", body, s3test.Properties{})
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.Chain(s3test.IgnoreRange(), s3test.SetHeader("Content-Range", "bytes 10-29/1000"))})
		got, err := readRange(t.Context(), s.client, "k", Pin{}, 10, 20)
		if err != nil || !bytes.Equal(got, body[10:30]) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

func TestGetRangeResumes(t *testing.T) {
	body := bytesOf(100_000, 11)
	for name, interrupt := range interruptions {
		for _, length := range []int64{50_000, -1} {
			t.Run(fmt.Sprint(name, " of ", length), func(t *testing.T) {
				play(t, Config{}, func(t *testing.T, s *stage) {
					s.bucket.Put("k", body, s3test.Properties{})
					s.fault(s3test.Fault{Op: "GetObject", Times: 3, Action: interrupt(10_000)})
					got, err := readRange(t.Context(), s.client, "k", Pin{}, 40_000, length)
					want := body[40_000:]
					if length >= 0 {
						want = want[:length]
					}
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
					if last := s.Requests()[3].Header.Get("Range"); !strings.HasPrefix(last, "bytes=70000-") {
						t.Errorf("resumed with %s", last)
					}
				})
			})
		}
	}
}

// TestGetRangeOfAnotherPlace is refused: the bytes would be the wrong ones.
func TestGetRangeOfAnotherPlace(t *testing.T) {
	for name, contentRange := range map[string]string{
		"one off": "bytes 11-20/100", "longer": "bytes 10-20/100", "none": "", "nonsense": "bytes ten-20/100", "unit": "words 10-19/100",
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				s.bucket.Put("k", bytesOf(100, 12), s3test.Properties{})
				s.fault(s3test.Fault{Action: s3test.SetHeader("Content-Range", contentRange)})
				_, err := s.client.GetRange(t.Context(), "k", Pin{}, 10, 10)
				wantError(t, err, ErrInvalidRange, "get", "k")
			})
		})
	}
}

func TestReadCancelled(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.bucket.Put("k", bytesOf(1000, 13), s3test.Properties{})
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.StallAfter(500)})
		object, err := s.client.Get(ctx, "k", Pin{})
		if err != nil {
			t.Fatal(err)
		}
		defer object.Body.Close()
		if _, err := io.ReadFull(object.Body, make([]byte, 500)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := object.Body.Read(make([]byte, 1)); err != context.Canceled {
			t.Errorf("error is %v", err)
		}
		s.wantCount("", 1)
	})
}

func TestReadAfterClose(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", bytesOf(1000, 14), s3test.Properties{})
		object, err := s.client.Get(t.Context(), "k", Pin{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := object.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		_, err = object.Body.Read(make([]byte, 1))
		wantError(t, err, ErrClosed, "get", "k")
	})
}

// TestReadErrorStays: whoever reads on after an error gets it again.
func TestReadErrorStays(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", []byte("bytes"), s3test.Properties{}, s3test.WithChecksum("CRC32"))
		s.fault(s3test.Fault{Action: s3test.FlipBit(0)})
		object, err := s.client.Get(t.Context(), "k", Pin{})
		if err != nil {
			t.Fatal(err)
		}
		defer object.Body.Close()
		_, first := io.ReadAll(object.Body)
		_, second := object.Body.Read(make([]byte, 1))
		if !errors.Is(first, ErrChecksum) || second != first {
			t.Errorf("%v, then %v", first, second)
		}
	})
}

func TestArchived(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", []byte("bytes"), s3test.Properties{StorageClass: "GLACIER"})
		_, err := s.client.Get(t.Context(), "k", Pin{})
		wantError(t, err, ErrArchived, "get", "k")
		_, err = s.client.GetRange(t.Context(), "k", Pin{}, 1, 2)
		wantError(t, err, ErrArchived, "get", "k")
		if a, err := s.client.Head(t.Context(), "k", Pin{}); err != nil || a.StorageClass != "GLACIER" {
			t.Errorf("%+v, %v", a, err)
		}
		s.wantCount("", 3)
	})
}

func TestPartLayout(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		put := s.bucket.Put("parts", bytesOf(250, 15), s3test.Properties{}, s3test.InParts(100, 100))
		count, size, err := s.client.PartLayout(t.Context(), "parts", pinOf(put))
		if count != 3 || size != 100 || err != nil {
			t.Errorf("%d parts of %d, %v", count, size, err)
		}
		s.bucket.Put("whole", bytesOf(250, 15), s3test.Properties{})
		if count, _, err := s.client.PartLayout(t.Context(), "whole", Pin{}); count != 0 || err != nil {
			t.Errorf("%d parts, %v", count, err)
		}
	})
}

func TestCustomerKeyTravelsWithReads(t *testing.T) {
	play(t, Config{SSECustomerKey: bytesOf(32, 16)}, func(t *testing.T, s *stage) {
		if _, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{}); err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(t.Context(), s.client, "k", Pin{}); err != nil || string(got) != "bytes" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
			t.Error(err)
		}
	}, s3test.WithSSECOverHTTP())
}

func TestSpan(t *testing.T) {
	for _, c := range []struct {
		span   span
		answer string
		size   int64
		ok     bool
	}{
		{span{0, 10}, "bytes 0-9/100", 10, true},
		{span{0, 10}, "bytes 0-4/100", 10, true}, // the server's choice; the rest is asked for again
		{span{0, 10}, "bytes 0-4/5", 5, true},
		{span{0, 10}, "bytes 0-4/*", 5, true},
		{span{90, -1}, "bytes 90-99/100", 10, true},
		{span{90, -1}, "bytes 90-94/100", 10, true},
		{span{0, 10}, "bytes 0-10/100", 0, false},
		{span{0, 10}, "bytes 0-9/9", 0, false},
		{span{5, 10}, "bytes 0-9/100", 0, false},
		{span{0, 10}, "bytes 5-4/100", 0, false},
		{span{0, 10}, "bytes +0-9/100", 0, false},
		{span{0, 10}, "bytes */100", 0, false},
		{span{0, 10}, "", 0, false},
	} {
		if size, ok := c.span.answeredBy(c.answer); size != c.size || ok != c.ok {
			t.Errorf("%v answered by %q: %d, %t", c.span, c.answer, size, ok)
		}
	}
}

// FuzzContentRange: an accepted range lies in the object, and begins where it
// was asked for.
func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-9/100", int64(0), int64(10))
	f.Add("bytes 5-5/*", int64(5), int64(-1))
	f.Add("bytes 9223372036854775807-9223372036854775807/*", int64(9223372036854775807), int64(-1))
	f.Fuzz(func(t *testing.T, text string, offset, length int64) {
		if offset < 0 || length == 0 {
			return
		}
		size, ok := span{offset, length}.answeredBy(text)
		if !ok {
			return
		}
		if size <= 0 || (length > 0 && size > length) {
			t.Errorf("%q has %d bytes of the %d from %d", text, size, length, offset)
		}
		if !strings.HasPrefix(text, "bytes ") || !strings.Contains(text, strconv.FormatInt(offset, 10)) {
			t.Errorf("%q begins at %d", text, offset)
		}
	})
}

// errGoneAway is of a consumer that wants no more.
var errGoneAway = errors.New("gone away")

// TestBodyLeftUnread: closing is enough to let go of everything.
func TestBodyLeftUnread(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", bytesOf(10<<20, 17), s3test.Properties{})
		for range 3 {
			object, err := s.client.Get(t.Context(), "k", Pin{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(writerFunc(func([]byte) (int, error) { return 0, errGoneAway }), object.Body); err != errGoneAway {
				t.Error(err)
			}
			object.Body.Close()
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestCustomTransport: a round tripper that fills in only what it must.
func TestCustomTransport(t *testing.T) {
	client := mustNew(t, Config{Name: bucketName, Endpoint: "http://s3.test", BytesPerSecond: 1 << 20,
		Credentials: Credentials{Keys: Keys{AccessKey: "AK", SecretKey: "SK"}},
		Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Length": {"5"}},
				Body: readCloser("bytes")}, nil
		})})
	if got, err := readAll(t.Context(), client, "k", Pin{}); err != nil || string(got) != "bytes" {
		t.Errorf("%q, %v", got, err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func readCloser(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }
