// Package s3test is a strict S3 in memory, served over HTTP, for tests. It needs the standard library alone, starts in
// microseconds and can be had many times in one process.
//
//	srv := s3test.Start(t)                              // closed at the end of the test
//	bucket := srv.CreateBucket("backup")
//	bucket.Put("a//b", []byte("body"), s3test.Properties{Tags: map[string]string{"team": "x"}})
//	client := ...                                       // srv.URL(), srv.Region(), srv.AccessKey(), srv.SecretKey()
//
// # What it is strict about
//
// The server is harder to please than S3: what it accepts, S3 accepts. It checks signatures, clocks, regions and session
// tokens, every digest and every length that a request declares, and the framing of aws-chunked bodies. A query flag or
// a configuration that it does not know is refused with NotImplemented, never ignored. Keys are bytes and are never
// cleaned: "a//b", "../x", "folder/" and "\x01" are what they are. Listings are in byte order. Writes that are refused
// leave nothing behind.
//
// It knows objects, versions, delete markers, conditions, ranges, checksums of all kinds, multipart uploads, copies,
// tags, canned ACLs, object lock, storage classes with restores from the archive, SSE-C, presigned requests and, as
// documents without effect, the configuration of buckets; see [Operations]. Nothing is really encrypted, and only
// [Bucket.SetPublic] and policies that let everybody read have an effect on who may do what.
//
// [WithoutFeature] and its neighbours make a lesser server of it, as there are many.
//
// # Objects without requests
//
// The methods of [Bucket] reach its objects directly: Put, Get, Delete, Versions and Dump, SetTags, SetClass and
// FinishRestore. They are not signed, logged or disturbed by faults, so that a test can prepare and inspect a bucket
// while the code under test works on it.
//
// # Time
//
// All that the server dates or judges by time goes by its [Clock]. With a [ManualClock] a restore from the archive, the
// end of a retention or the expiry of credentials takes no time at all:
//
//	clock := s3test.NewManualClock(time.Now())
//	srv := s3test.Start(t, s3test.WithClock(clock))
//	...
//	clock.Advance(5 * time.Hour) // the restore is done
//
// Only the network is in real time: [Delay], [SlowBody], [WithLatency] and [WithBandwidth].
//
// # Faults
//
// What goes wrong is written down as a script. A [Fault] selects requests by operation, bucket and key, says which of
// them it meets, and has an [Action]:
//
//	faults := srv.Faults()
//	// The first three listings are told to come back later.
//	faults.Add(s3test.Fault{Op: "ListObjectsV2", Times: 3, Action: s3test.Status(503, "SlowDown", "Retry-After: 1")})
//	// The second read of a large object breaks off after a mebibyte.
//	faults.Add(s3test.Fault{Op: "GetObject", Key: "large/*", Nth: 2, Action: s3test.ResetAfter(1 << 20)})
//	// An upload succeeds, and nobody learns of it.
//	faults.Add(s3test.Fault{Op: "CompleteMultipartUpload", Action: s3test.LoseAnswer()})
//	// The object changes between two ranges of it.
//	faults.Add(s3test.Fault{Op: "GetObject", Key: "moving", Nth: 2, Action: s3test.RunFirst(func() {
//		bucket.Put("moving", changed, s3test.Properties{})
//	})})
//	// One listing ends in the middle of its document, another one repeats a page with its token.
//	faults.Add(s3test.Fault{Op: "ListObjectsV2", Nth: 5, Action: s3test.HalfBody()})
//	faults.Add(s3test.Fault{Op: "ListObjectsV2", Nth: 6, Times: 2, Action: s3test.Replay()})
//	...
//	faults.VerifyAll(t) // fails the test if one of these did not happen
//
// The actions are
//   - answers: [Status], [StatusHTML], [RawBody], [Body200Error];
//   - connections: [Reset], [CloseConn], [LoseAnswer], [Stall], [Delay], [Gather];
//   - bodies: [ResetAfter], [CutAfter], [StallAfter], [ShortLength], [HalfBody], [ExtraBytes], [FlipBit], [SlowBody],
//     [SpacesFirst], [HTTP10];
//   - contents: [SetHeader], [WrongContentRange], [IgnoreRange], [Rewrite], [SetElement], [RemoveElement], [Replay];
//   - and [RunFirst] for everything else, [Chain] to join several, or any function of the type.
//
// A fault that met its request and changed nothing, because the body was shorter than where it should have been cut, say,
// counts as one that did not happen.
//
// # Counting
//
// Every request is in the log from its arrival on: [Server.Requests] tells what was asked, what was answered and which
// fault was met. [Server.Totals] adds up requests and bytes by operation, and knows how many were in flight at the same
// time at most; [Server.Count] and [Server.Peak] are parts of it. [Bucket.Uploads] counts multipart uploads that are
// neither completed nor aborted, and [Server.OpenConns] finds bodies that nobody closed.
//
// # In front of other servers
//
// A [Proxy] has the same faults, log and network, and another server behind it:
//
//	proxy := s3test.StartProxy(t, "http://127.0.0.1:9000", s3test.WithLatency(30*time.Millisecond))
//	client := ... // proxy.URL(), with the credentials of the server behind it
//	proxy.Faults().Add(s3test.Fault{Op: "PutObject", Nth: 2, Action: s3test.Reset()})
//
// Signatures stay valid because Host, path and headers are passed on as they came; bodies are streamed; and any number
// of requests are on their way at once. [IgnoreRange] alone must sign anew, for which the proxy needs [WithCredentials].
package s3test
