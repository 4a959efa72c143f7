// Package conformance is one table of S3 behaviours, run against every server the
// project tests on: its own fake, MinIO, versitygw and minis3. It keeps the fake honest,
// and tells tests which of the others can be trusted with what.
//
// A row is a short conversation: requests with the answers that S3 gives. They are sent
// by a plain HTTP client, so that nothing that an SDK would add, hide or repair stands
// between the table and the server.
//
// A server that answers otherwise is excused step by step, with the reason and with the
// answer that it gives instead. Both are asserted: a server that starts to behave makes
// its excuse fail. A row ends at its first excused step, since what would follow depends
// on it.
package conformance
