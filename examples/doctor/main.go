// Doctor tells whether a location can serve as a source, a destination or a
// store, and if not, why not and what to do:
//
//	doctor s3://my-bucket
//	doctor -role store -option region=eu-west-3 s3://my-backups/repository
//	doctor -role destination -json s3://minio.example.com:9000/bucket
//
// Credentials come from where the AWS tools look for them, or from options
// (-option profile=NAME). A source is never written to. What is written to a
// destination or a store, a few small objects and one of 5 MiB, is removed
// again.
//
// The exit status is 0 when nothing is wrong, 1 when something works with
// less, 2 when something is broken, and 3 when the command line makes no sense
// or the examination was interrupted.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/s3kloset/s3kloset"
)

// Exit statuses.
const (
	exitOK       = 0
	exitDegraded = 1
	exitBroken   = 2
	exitFailed   = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole command.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	var d *s3kloset.Diagnosis
	if err == nil {
		d, err = c.examine(ctx)
	}
	if d != nil {
		if failed := c.write(stdout, d); err == nil {
			err = failed
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "doctor: %v\n", err)
		return exitFailed
	}
	return status(d.Verdict())
}

func status(v s3kloset.Verdict) int {
	switch v {
	case s3kloset.VerdictBroken:
		return exitBroken
	case s3kloset.VerdictDegraded:
		return exitDegraded
	}
	return exitOK
}

// command is what the command line asks for.
type command struct {
	location string
	role     s3kloset.Role
	options  options
	json     bool
}

// options are key=value pairs, as FromConfig takes them.
type options map[string]string

func (o options) String() string { return "" } // values may be secret

func (o options) Set(pair string) error {
	key, value, ok := strings.Cut(pair, "=")
	if !ok {
		return errors.New("it is not key=value")
	}
	o[key] = value
	return nil
}

func parse(args []string, stderr io.Writer) (*command, error) {
	c := &command{options: make(options)}
	role := s3kloset.RoleSource.String()
	f := flag.NewFlagSet("doctor", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, "Usage: doctor [flags] s3://BUCKET/PREFIX | s3://HOST[:PORT]/BUCKET/PREFIX\n\nFlags:\n")
		f.PrintDefaults()
	}
	f.StringVar(&role, "role", role, "what the location is for: source, destination or `store`")
	f.Var(c.options, "option", "`key=value` of the configuration; may be repeated")
	f.BoolVar(&c.json, "json", false, "write the diagnosis as one JSON object")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() != 1 {
		return nil, errors.New("give one location; -help tells more")
	}
	c.location = f.Arg(0)
	var err error
	c.role, err = s3kloset.ParseRole(role)
	return c, err
}

func (c *command) examine(ctx context.Context) (*s3kloset.Diagnosis, error) {
	opts, err := s3kloset.FromConfig(c.options)
	if err != nil {
		return nil, err
	}
	bucket, err := s3kloset.New(c.location, opts...)
	if err != nil {
		return nil, err
	}
	defer bucket.Close()
	return bucket.Diagnose(ctx, c.role)
}

func (c *command) write(w io.Writer, d *s3kloset.Diagnosis) error {
	if c.json {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(d)
	}
	return printTable(w, d)
}
