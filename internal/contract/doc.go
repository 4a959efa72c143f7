// Package contract has no code: its tests hold the three values of s3kloset, as their users
// make them, to the suites of internal/klosettest, over a server in memory that works and
// over one that fails every so often. They look for goroutines that a check leaves behind,
// and so run beside no other test.
package contract
