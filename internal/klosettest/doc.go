// Package klosettest holds conformance suites for the three connectors of
// Kloset v1.1.4: [RunStore] for a storage.Store, [RunSource] for an
// importer.Importer and [RunDestination] for an exporter.Exporter. [RunRoundTrip]
// joins a source and a destination through a real repository.
//
// The suites know Kloset's interfaces and nothing else: no S3, no package of
// this module. A connector that passes needs no other test of its contract with
// the engine; what is left to its own package is what the engine cannot see,
// such as requests, retries and credentials.
//
// # Harness
//
// A suite is given a harness, a struct of functions that make instances. Each
// check asks for a fresh one and closes it. Where a service cannot do something,
// the harness says so in a field that carries the reason, and the suite logs the
// reason instead of passing in silence.
//
// Every check ends by looking for goroutines and HTTP bodies that it left
// behind, so the suites must not run beside parallel tests of the same binary.
//
// # Fixtures
//
// [MemStore], [MemImporter] and [MemExporter] are complete connectors in memory,
// stricter than production ones, with call counts and fault hooks. [Repository]
// drives the real engine with caches in a temporary folder, and knows its traps:
// concurrency of at least one, errors of single paths read back, the lock waited
// for. They serve the suites and are free for other tests to use.
package klosettest
