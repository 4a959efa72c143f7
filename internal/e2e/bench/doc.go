// Package bench measures s3kloset as ratios, each within one run: against the
// raw network (a plain client with 32 requests in flight) and against the engine
// alone (the same data from memory, or into it). Its S3 is a real MinIO behind
// a proxy that adds the round trip of a network.
//
// Each benchmark does its work three times, leg beside leg, but for the serial
// listing of a million keys, which is long enough to be done once. What comes of it
// is printed at the end as a table of medians: the seconds of each leg, the
// throughput of ours over that of the others, the requests that ours made, the
// peak memory of ours and of the engine alone (without the data and the
// repositories, which are in files), the processor time of both (of ours with the
// proxy and without MinIO), and the bars that the workload is held to.
//
// Run it with `make bench`. Ratios hold on a quiet machine: when others use
// its processors, the raw leg, which waits most, suffers least.
package bench
