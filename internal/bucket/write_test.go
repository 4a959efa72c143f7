package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// wantStored fails unless the bucket has the bytes under the key.
func (s *stage) wantStored(key string, body []byte) s3test.Object {
	s.t.Helper()
	got, ok := s.bucket.Get(key)
	if !ok || !bytes.Equal(got.Body, body) {
		s.t.Errorf("%q has %d bytes, %t; want %d", key, len(got.Body), ok, len(body))
	}
	return got
}

// wantNothing fails if there is an object or an unfinished upload.
func (s *stage) wantNothing() {
	s.t.Helper()
	if keys := s.bucket.Keys(); len(keys) > 0 {
		s.t.Errorf("objects were stored: %q", keys)
	}
	s.wantNoUploads()
}

func (s *stage) wantNoUploads() {
	s.t.Helper()
	if n := s.bucket.Uploads(); n > 0 {
		s.t.Errorf("%d uploads left behind", n)
	}
}

func TestPut(t *testing.T) {
	until := time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)
	a := Attributes{
		ContentType: "text/x", CacheControl: "no-cache", ContentDisposition: `attachment; filename="a b"`, ContentEncoding: "gzip",
		ContentLanguage: "eo", Expires: "tomorrow", WebsiteRedirect: "/elsewhere", User: map[string]string{"a": "b  c", "empty": ""},
		StorageClass: "STANDARD_IA", SSE: "aws:kms", KMSKeyID: "key", BucketKey: true,
		LockMode: "GOVERNANCE", LockUntil: until, LegalHold: "ON",
	}
	tags := map[string]string{"t": "v w+x", "k=:/@": "é"}
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.EnableObjectLock()
		body := bytesOf(1000, 20)
		written, err := s.client.Put(t.Context(), "k", body, Write{Attributes: a, Tags: tags})
		if err != nil {
			t.Fatal(err)
		}
		stored := s.wantStored("k", body)
		if written.ETag != stored.ETag || written.VersionID != stored.VersionID || written.Size != 1000 || written.Parts != 0 {
			t.Errorf("written %+v, stored %s %s", written, stored.ETag, stored.VersionID)
		}
		p := stored.Properties
		if p.ContentType != a.ContentType || p.CacheControl != a.CacheControl || p.ContentDisposition != a.ContentDisposition ||
			p.ContentEncoding != a.ContentEncoding || p.ContentLanguage != a.ContentLanguage || p.Expires != a.Expires ||
			p.WebsiteRedirect != a.WebsiteRedirect || p.StorageClass != a.StorageClass || p.Encryption != a.SSE ||
			p.KMSKeyID != a.KMSKeyID || !p.BucketKey || p.LockMode != a.LockMode || !p.LockUntil.Equal(until) || !p.LegalHold {
			t.Errorf("stored %+v", p)
		}
		if !maps.Equal(p.Metadata, a.User) || !maps.Equal(p.Tags, tags) {
			t.Errorf("metadata %q, tags %q", p.Metadata, p.Tags)
		}
		if stored.Checksum.Algorithm != defaultAlgorithm || stored.Checksum.Value != sumOf(defaultAlgorithm, body) {
			t.Errorf("checksum is %+v", stored.Checksum)
		}
		s.wantCount("", 1)
	})
}

// TestPutAddsNothing: an object without headers stays one.
func TestPutAddsNothing(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		if _, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{}); err != nil {
			t.Fatal(err)
		}
		h := s.Requests()[0].Header
		for _, name := range []string{"Content-Type", "Content-Encoding", "X-Amz-Storage-Class", "X-Amz-Tagging", "If-Match", "If-None-Match"} {
			if _, sent := h[name]; sent {
				t.Errorf("%s: %s was sent", name, h.Get(name))
			}
		}
	})
}

func TestPutRetries(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(100_000, 21)
		for _, action := range []s3test.Action{
			s3test.Status(503, "SlowDown"), s3test.Reset(), s3test.CloseConn(), s3test.Status(400, "BadDigest"), s3test.LoseAnswer(),
		} {
			s.fault(s3test.Fault{Op: "PutObject", Action: action})
		}
		if _, err := s.client.Put(t.Context(), "k", body, Write{}); err != nil {
			t.Fatal(err)
		}
		s.wantStored("k", body)
		s.wantCount("PutObject", 6)
	})
}

// TestPutChecksTheAnswer: the server says what it stored.
func TestPutChecksTheAnswer(t *testing.T) {
	wrong := sumOf(defaultAlgorithm, []byte("other bytes"))
	for name, c := range map[string]struct {
		cfg    Config
		answer s3test.Action
	}{
		"checksum": {Config{}, s3test.SetHeader("x-amz-checksum-crc32", wrong)},
		"ETag":     {Config{NoChecksums: true}, s3test.SetHeader("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)},
		"ETag without a checksum": {Config{}, s3test.Chain(
			s3test.SetHeader("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`), s3test.SetHeader("x-amz-checksum-crc32", ""))},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, c.cfg, func(t *testing.T, s *stage) {
				s.fault(s3test.Fault{Op: "PutObject", Action: c.answer})
				_, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{})
				wantError(t, err, ErrChecksum, "put", "k")
			})
		})
	}
}

// TestPutOpaqueETag: an ETag that is no MD5 says nothing.
func TestPutOpaqueETag(t *testing.T) {
	play(t, Config{NoChecksums: true}, func(t *testing.T, s *stage) {
		for _, etag := range []string{`"not-an-md5"`, `"d41d8cd98f00b204e9800998ecf8427e-1"`} {
			s.fault(s3test.Fault{Op: "PutObject", Action: s3test.SetHeader("ETag", etag)})
			if _, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{}); err != nil {
				t.Errorf("%s: %v", etag, err)
			}
		}
		if _, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{Attributes: Attributes{SSE: "aws:kms"}}); err != nil {
			t.Errorf("under KMS: %v", err)
		}
	})
}

func TestPutExpected(t *testing.T) {
	body := []byte("bytes")
	for _, algorithm := range []string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		t.Run(algorithm, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				right := Checksum{Algorithm: algorithm, Value: sumOf(algorithm, body)}
				if _, err := s.client.Put(t.Context(), "k", body, Write{Expect: right}); err != nil {
					t.Fatal(err)
				}
				if stored := s.wantStored("k", body); stored.Checksum.Algorithm != algorithm {
					t.Errorf("stored with %+v", stored.Checksum)
				}
				wrong := Checksum{Algorithm: algorithm, Value: sumOf(algorithm, []byte("other"))}
				_, err := s.client.Put(t.Context(), "k", body, Write{Expect: wrong})
				wantError(t, err, ErrChecksum, "put", "k")
				s.wantCount("PutObject", 1) // damaged bytes are not even sent
			})
		})
	}
}

// TestPutExpectedOfUnknownKind: what cannot be computed is not compared.
func TestPutExpectedOfUnknownKind(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		for _, expect := range []Checksum{
			{Algorithm: "XXHASH", Value: "x"}, {Algorithm: "CRC32", Value: "AAAAAA==-2", Composite: true}, {Algorithm: "CRC32"},
		} {
			if _, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{Expect: expect}); err != nil {
				t.Errorf("%+v: %v", expect, err)
			}
		}
	})
}

// TestNoChecksums: none is sent, and an expected one is compared all the same.
func TestNoChecksums(t *testing.T) {
	play(t, Config{NoChecksums: true}, func(t *testing.T, s *stage) {
		body := []byte("bytes")
		if _, err := s.client.Put(t.Context(), "k", body, Write{Expect: Checksum{Algorithm: "SHA256", Value: sumOf("SHA256", body)}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.client.Upload(t.Context(), "k", bytes.NewReader(bytesOf(100, 22)), 100, Write{PartSize: 60}); err != nil {
			t.Fatal(err)
		}
		for _, r := range s.Requests() {
			for name := range r.Header {
				if strings.HasPrefix(name, "X-Amz-Checksum") || strings.HasPrefix(name, "X-Amz-Sdk-Checksum") {
					t.Errorf("%s sends %s", r.Op, name)
				}
			}
		}
		_, err := s.client.Put(t.Context(), "k", body, Write{Expect: Checksum{Algorithm: "SHA256", Value: "wrong"}})
		wantError(t, err, ErrChecksum, "put", "k")
	}, s3test.WithMinPartSize(1))
}

func TestPutConditions(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		first, err := s.client.Put(t.Context(), "k", []byte("one"), Write{IfNoneMatch: true})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.client.Put(t.Context(), "k", []byte("two"), Write{IfNoneMatch: true})
		wantError(t, err, ErrAlreadyExists, "put", "k")
		if _, err := s.client.Put(t.Context(), "k", []byte("two"), Write{IfMatch: first.ETag}); err != nil {
			t.Error(err)
		}
		_, err = s.client.Put(t.Context(), "k", []byte("three"), Write{IfMatch: first.ETag})
		wantError(t, err, ErrChanged, "put", "k")
		s.wantStored("k", []byte("two"))
	})
}

// TestPutRace: of many that want to be first one is, and the others know.
func TestPutRace(t *testing.T) {
	for name, options := range map[string][]s3test.Option{"turns": nil, "conflicts": {s3test.WithConflicts()}} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				errs := make(chan error)
				for i := range 10 {
					go func() {
						_, err := s.client.Put(t.Context(), "k", []byte{byte(i)}, Write{IfNoneMatch: true})
						errs <- err
					}()
				}
				won := 0
				for range 10 {
					if err := <-errs; err == nil {
						won++
					} else if !errors.Is(err, ErrAlreadyExists) {
						t.Error(err)
					}
				}
				if won != 1 {
					t.Errorf("%d were first", won)
				}
			}, options...)
		})
	}
}

// TestPutLostAnswer: our own object does not count as somebody else's.
func TestPutLostAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		options []s3test.Option
		between func(s *stage)
		w       Write
		kind    error
	}{
		"ours":                     {},
		"ours, ETag is no MD5":     {w: Write{Attributes: Attributes{SSE: "aws:kms"}}},
		"ours, with other headers": {w: Write{Attributes: Attributes{ContentType: "text/x"}}},
		"replaced meanwhile": {kind: ErrAlreadyExists, between: func(s *stage) {
			s.bucket.Put("k", []byte("other"), s3test.Properties{})
		}},
		"replaced by a longer one": {kind: ErrAlreadyExists, between: func(s *stage) {
			s.bucket.Put("k", []byte("a longer one"), s3test.Properties{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				s.fault(s3test.Fault{Op: "PutObject", Action: s3test.LoseAnswer()})
				if c.between != nil {
					s.fault(s3test.Fault{Op: "PutObject", Action: s3test.RunFirst(func() { c.between(s) })})
				}
				c.w.IfNoneMatch = true
				written, err := s.client.Put(t.Context(), "k", []byte("bytes"), c.w)
				if c.kind != nil {
					wantError(t, err, c.kind, "put", "k")
					return
				}
				stored := s.wantStored("k", []byte("bytes"))
				if err != nil || written.ETag != stored.ETag || written.Size != 5 {
					t.Errorf("%+v, %v", written, err)
				}
			}, c.options...)
		})
	}
}

// TestPutLateTags: tags that do not fit into the headers follow the object.
func TestPutLateTags(t *testing.T) {
	tags := map[string]string{}
	for i := range 10 {
		tags[fmt.Sprintf("%d%s", i, strings.Repeat("é", 120))] = strings.Repeat("ü", 250)
	}
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.SetVersioning(true)
		if _, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{Tags: tags}); err != nil {
			t.Fatal(err)
		}
		if stored := s.wantStored("k", []byte("bytes")); !maps.Equal(stored.Tags, tags) {
			t.Errorf("%d tags", len(stored.Tags))
		}
		for i, op := range []string{"GetObjectTagging", "PutObjectTagging"} {
			if r := s.Requests()[1+i]; r.Op != op || r.Query.Get("versionId") == "" {
				t.Errorf("tags went with %s of version %q", r.Op, r.Query.Get("versionId"))
			}
		}
		s.fault(s3test.Fault{Op: "PutObjectTagging", Action: s3test.Status(403, "AccessDenied")})
		_, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{Tags: tags})
		wantError(t, err, ErrAccessDenied, "put tags", "k")
	})
}

// TestClassFallback: the object is stored, and it is told where not.
func TestClassFallback(t *testing.T) {
	w := Write{Attributes: Attributes{StorageClass: "GLACIER"}, PartSize: 60}
	for name, put := range map[string]func(*stage, Write) (Written, error){
		"put": func(s *stage, w Write) (Written, error) { return s.client.Put(s.t.Context(), "k", bytesOf(100, 23), w) },
		"upload": func(s *stage, w Write) (Written, error) {
			return s.client.Upload(s.t.Context(), "k", bytes.NewReader(bytesOf(100, 23)), 100, w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				if _, err := put(s, w); !errors.Is(err, ErrStorageClass) {
					t.Errorf("without the fallback: %v", err)
				}
				s.wantNothing()
				w := w
				w.ClassFallback = true
				written, err := put(s, w)
				if err != nil || written.ClassRefused != "GLACIER" || written.Size != 100 {
					t.Errorf("%+v, %v", written, err)
				}
				if stored := s.wantStored("k", bytesOf(100, 23)); stored.StorageClass != "STANDARD" {
					t.Errorf("stored in %s", stored.StorageClass)
				}
			}, s3test.WithoutFeature(s3test.StorageClasses), s3test.WithMinPartSize(1))
		})
	}
}

// TestConditionFallback: a condition that the service refuses is given up where
// that is asked for, and it is told. Nobody else writes over what is there.
func TestConditionFallback(t *testing.T) {
	body := bytesOf(100, 23)
	for how, partSize := range map[string]int64{"put": 1000, "in parts": 60} {
		t.Run(how, func(t *testing.T) {
			play(t, Config{Vendor: "aws"}, func(t *testing.T, s *stage) {
				s.bucket.Put("k", []byte("of another"), s3test.Properties{})
				s.fault(s3test.Fault{Times: s3test.Always, Action: s3test.Status(501, "NotImplemented"),
					Match: func(r s3test.Request) bool { return r.Header.Get("If-None-Match") != "" }})
				w := Write{IfNoneMatch: true, PartSize: partSize}
				if _, err := s.client.Upload(t.Context(), "k", bytes.NewReader(body), 100, w); !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("without the fallback: %v", err)
				}
				s.wantStored("k", []byte("of another"))
				s.wantNoUploads()
				w.ConditionFallback = true
				written, err := s.client.Upload(t.Context(), "k", bytes.NewReader(body), 100, w)
				if err != nil || !written.ConditionRefused {
					t.Errorf("%+v, %v", written, err)
				}
				s.wantStored("k", body)
			}, s3test.WithMinPartSize(1))
		})
	}
}

// TestClassFallbackOfFewWords: Ceph does not say that it is the class that it
// refuses. What is refused for another reason stays so.
func TestClassFallbackOfFewWords(t *testing.T) {
	w := Write{Attributes: Attributes{StorageClass: "GLACIER"}, ClassFallback: true}
	for op, put := range map[string]func(*stage) (Written, error){
		"PutObject":             func(s *stage) (Written, error) { return s.client.Put(s.t.Context(), "k", []byte("x"), w) },
		"CreateMultipartUpload": func(s *stage) (Written, error) { return s.inParts(s.t.Context(), bytesOf(250, 1), w) },
	} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			withClass := func(r s3test.Request) bool { return r.Header.Get("X-Amz-Storage-Class") != "" }
			s.fault(s3test.Fault{Op: op, Match: withClass, Action: s3test.Status(400, "InvalidArgument")})
			if written, err := put(s); err != nil || written.ClassRefused != "GLACIER" {
				t.Errorf("%s: %+v, %v", op, written, err)
			}
			s.bucket.Delete("k")
			s.fault(s3test.Fault{Op: op, Times: 2, Action: s3test.Status(400, "InvalidArgument")})
			_, err := put(s)
			var failed *OpError
			if !errors.As(err, &failed) || failed.Code != "InvalidArgument" {
				t.Errorf("%s: %v", op, err)
			}
			s.wantNothing()
		}, smallParts)
	}
}

// TestTagFallback: where there are no tags the object is stored without, and it
// is told, whether the service refuses them or is known to.
func TestTagFallback(t *testing.T) {
	few, many := map[string]string{"k": "v"}, make(map[string]string)
	for i := range 10 {
		many[fmt.Sprint(i)] = strings.Repeat("\u00fc", 250) // too long for a header
	}
	for name, tags := range map[string]map[string]string{"few": few, "many": many} {
		for _, vendor := range []string{"aws", "garage"} {
			for how, partSize := range map[string]int64{"put": 1000, "in parts": 60} {
				t.Run(name+" "+how+" "+vendor, func(t *testing.T) {
					play(t, Config{Vendor: vendor}, func(t *testing.T, s *stage) {
						body := bytesOf(100, 23)
						upload := func(w Write) (Written, error) {
							return s.client.Upload(t.Context(), "k", bytes.NewReader(body), 100, w)
						}
						w := Write{Tags: tags, PartSize: partSize}
						if _, err := upload(w); vendor == "aws" && !errors.Is(err, errors.ErrUnsupported) {
							t.Errorf("without the fallback: %v", err)
						}
						w.TagFallback = true
						written, err := upload(w)
						if err != nil || !written.TagsRefused || written.ClassRefused != "" || written.Size != 100 {
							t.Errorf("%+v, %v", written, err)
						}
						s.wantStored("k", body)
						w.Tags = nil
						if written, err := upload(w); err != nil || written.TagsRefused {
							t.Errorf("without tags: %+v, %v", written, err)
						}
					}, s3test.WithoutFeature(s3test.Tagging), s3test.WithMinPartSize(1))
				})
			}
		}
	}
}

// TestPutWhatHTTPCannotCarry is refused before anything is sent.
func TestPutWhatHTTPCannotCarry(t *testing.T) {
	for name, a := range map[string]Attributes{
		"value":         {ContentType: "text/\x00"},
		"line":          {User: map[string]string{"k": "a\nb"}},
		"name":          {User: map[string]string{"a b": "v"}},
		"name in UTF-8": {User: map[string]string{"é": "v"}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				_, err := s.client.Put(t.Context(), "k", nil, Write{Attributes: a})
				wantError(t, err, ErrMetadata, "put", "k")
				s.wantCount("", 0)
			})
		})
	}
}

// TestUploadSizes: all sizes around the boundaries, of known and unknown
// length, from readers of all kinds.
func TestUploadSizes(t *testing.T) {
	const part = 1000
	readers := map[string]func(io.Reader) io.Reader{
		"plain":         func(r io.Reader) io.Reader { return r },
		"one byte":      iotest.OneByteReader,
		"half":          iotest.HalfReader,
		"data with EOF": iotest.DataErrReader,
	}
	for _, size := range []int{0, 1, part - 1, part, part + 1, 2*part - 1, 2 * part, 2*part + 1, 5 * part} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				body := bytesOf(size, 24)
				for name, reader := range readers {
					for _, announced := range []int64{int64(size), -1} {
						written, err := s.client.Upload(t.Context(), "k", reader(bytes.NewReader(body)), announced, Write{PartSize: part, Parallel: 3})
						parts := 0
						if size > part {
							parts = (size + part - 1) / part
						}
						stored := s.wantStored("k", body)
						if err != nil || written.Parts != parts || written.Size != int64(size) || written.ETag != stored.ETag || len(stored.PartSizes) != parts {
							t.Errorf("%s, announced %d: %+v, %v", name, announced, written, err)
						}
					}
				}
				s.wantNoUploads()
			}, s3test.WithMinPartSize(part))
		})
	}
}

// TestUploadWrongLength stores nothing.
func TestUploadWrongLength(t *testing.T) {
	for _, size := range []int64{0, 50, 100, 101, 199, 200, 350} {
		for _, off := range []int64{-1, 1} {
			if size+off < 0 {
				continue
			}
			t.Run(fmt.Sprintf("%d instead of %d", size+off, size), func(t *testing.T) {
				play(t, Config{}, func(t *testing.T, s *stage) {
					_, err := s.client.Upload(t.Context(), "k", bytes.NewReader(bytesOf(int(size+off), 25)), size, Write{PartSize: 100, Parallel: 2})
					wantError(t, err, ErrBody, "put", "k")
					s.wantNothing()
				}, s3test.WithMinPartSize(1))
			})
		}
	}
}

// TestUploadReaderThatFails: its error is the result, and nothing is stored.
func TestUploadReaderThatFails(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, size := range []int{0, 50, 100, 150, 250} {
		for _, announced := range []int64{-1, 1000} {
			t.Run(fmt.Sprintf("after %d of %d", size, announced), func(t *testing.T) {
				play(t, Config{}, func(t *testing.T, s *stage) {
					stream := io.MultiReader(bytes.NewReader(bytesOf(size, 26)), iotest.ErrReader(broken))
					_, err := s.client.Upload(t.Context(), "k", stream, announced, Write{PartSize: 100, Parallel: 2})
					wantError(t, err, broken, "put", "k")
					s.wantNothing()
				}, s3test.WithMinPartSize(1))
			})
		}
	}
}

// pastTheEnd fails the test when it is read again after its end: some readers
// then give the bytes of the next object.
type pastTheEnd struct {
	t     *testing.T
	inner io.Reader
	ended bool
}

func (r *pastTheEnd) Read(p []byte) (int, error) {
	if r.ended {
		r.t.Error("read again after the end")
		return 0, io.EOF
	}
	n, err := r.inner.Read(p)
	r.ended = err == io.EOF
	return n, err
}

func TestUploadDoesNotReadPastTheEnd(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		for _, size := range []int{0, 1, 99, 100, 101, 200, 250} {
			for _, announced := range []int64{-1, int64(size)} {
				stream := &pastTheEnd{t: t, inner: iotest.DataErrReader(bytes.NewReader(bytesOf(size, 27)))}
				if _, err := s.client.Upload(t.Context(), "k", stream, announced, Write{PartSize: 100}); err != nil {
					t.Error(err)
				}
				if !stream.ended {
					t.Errorf("%d bytes announced as %d were stored without having seen the end", size, announced)
				}
			}
		}
	}, s3test.WithMinPartSize(1))
}

func TestUploadCancelled(t *testing.T) {
	for op, times := range map[string]int{"CreateMultipartUpload": 1, "UploadPart": 2, "CompleteMultipartUpload": 1} {
		t.Run(op, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				s.fault(s3test.Fault{Op: op, Times: times, Action: s3test.Stall()})
				_, err := s.client.Upload(ctx, "k", bytes.NewReader(bytesOf(250, 28)), -1, Write{PartSize: 100, Parallel: 2})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error is %v", err)
				}
				s.wantNothing()
			}, s3test.WithMinPartSize(1))
		})
	}
}

func TestPartSizeFor(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct{ size, wanted, want int64 }{
		{-1, 0, DefaultPartSize},
		{0, 0, DefaultPartSize},
		{100, MinPartSize, MinPartSize},
		{DefaultPartSize * MaxParts, 0, DefaultPartSize},
		{DefaultPartSize*MaxParts + 1, 0, DefaultPartSize + mib},
		{MaxObjectSize, 0, 525 * mib},
		{MaxObjectSize, 600 * mib, 600 * mib},
	} {
		got := partSizeFor(c.size, c.wanted)
		if got != c.want {
			t.Errorf("%d bytes in parts of %d, want %d", c.size, got, c.want)
		}
		if c.size > got*MaxParts {
			t.Errorf("%d bytes make too many parts of %d", c.size, got)
		}
	}
}
