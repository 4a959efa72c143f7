// Backup backs up S3 buckets into encrypted Kloset repositories, and restores
// them: the main job of package s3kloset as a small program.
//
// Without flags it runs a complete demonstration that needs nothing: it starts
// an S3 in memory, fills a bucket, backs it up twice, restores it into a new
// bucket, and compares every property of every object.
//
// With flags it is a tool:
//
//	export S3KLOSET_PASSPHRASE=...
//	backup -source s3://my-bucket -store s3://my-backups/repository
//	backup -store s3://my-backups/repository -list
//	backup -store s3://my-backups/repository -restore s3://another-bucket
//
// The exit status is 0 when everything was stored, 1 when something failed, and
// 2 when the command line makes no sense. The report on the standard output
// says which keys failed, and why.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the run cleanly, the second one at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the whole command. The report goes to stdout, all else to stderr.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	c, err := parse(args, getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "backup: %v\n", err)
		return exitUsage
	}
	d := newDisplay(stderr)
	var result result
	switch {
	case c.demo():
		result, err = demonstrate(ctx, d)
	case c.plan:
		result, err = c.makePlan(ctx, d)
	default:
		result, err = c.run(ctx, d)
	}
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		fmt.Fprintf(stderr, "backup: %v\n", err)
		return exitUsage
	}
	if err := write(stdout, result, err, c.json); err != nil {
		fmt.Fprintf(stderr, "backup: write the report: %v\n", err)
		return exitFailed
	}
	if err != nil {
		fmt.Fprintf(stderr, "backup: %v\n", err)
		return exitFailed
	}
	return exitOK
}
