// Command s3kloset-plugin is the package "s3" of plakar: it backs up buckets,
// restores into them, and keeps repositories in them. plakar starts it, and
// talks with it over standard input and output; see README.md.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/s3kloset/s3kloset/plugin/internal/pipe"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "s3kloset-plugin is started by plakar: plakar pkg add s3_VERSION_OS_ARCH.ptar")
		os.Exit(2)
	}
	// A terminal interrupts plakar and us alike. When we are to end is for
	// plakar to say, which closes our input: an earlier death would turn its
	// message into an I/O error, and leave uploads behind that can be aborted.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "s3:", err)
		os.Exit(1)
	}
}

func run() error {
	host, err := pipe.Stdio()
	if err != nil {
		return err
	}
	return pipe.Serve(host, s3(os.Stderr))
}
