// Doctor tells whether a location can serve as a source, a destination or a
// store, and if not, why not and what to do:
//
//	doctor s3://my-bucket
//	doctor -role store -option region=eu-west-3 s3://my-backups/repository
//	doctor -role destination -json s3://minio.example.com:9000/bucket
//
// With -policy it makes no request, and prints the least IAM policy that the role
// needs on the location with these options, and with what the bucket has:
//
//	doctor -policy -role store -option object_lock=COMPLIANCE:720h s3://my-backups/repository
//	doctor -policy -with versions -with diagnosis s3://my-bucket
//
// Credentials come from where the AWS tools look for them, or from options
// (-option profile=NAME). A source is never written to. What is written to a
// destination or a store, a few small objects and one of 5 MiB, is removed
// again.
//
// The exit status is 0 when nothing is wrong, 1 when something works with
// less, 2 when something is broken, and 3 when the command line makes no sense
// or the examination was interrupted. That of -policy is 0 or 3.
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
	verdict := s3kloset.VerdictOK
	switch {
	case err != nil:
	case c.policy:
		err = c.prescribe(stdout)
	default:
		verdict, err = c.examine(ctx, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "doctor: %v\n", err)
		return exitFailed
	}
	return status(verdict)
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
	policy   bool
	with     extras
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

// extras are what a policy is to have besides.
type extras []s3kloset.PolicyOption

func (x *extras) String() string { return "" }

func (x *extras) Set(what string) error {
	var option s3kloset.PolicyOption
	switch {
	case what == "versions":
		option = s3kloset.WithVersionedBucket()
	case what == "locks":
		option = s3kloset.WithLockedBucket()
	case what == "diagnosis":
		option = s3kloset.WithDiagnosis()
	case strings.HasPrefix(what, "arn:"):
		option = s3kloset.WithKMSKey(what)
	default:
		return errors.New("it is none of versions, locks, diagnosis, and no ARN")
	}
	*x = append(*x, option)
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
	f.BoolVar(&c.policy, "policy", false, "print the least IAM policy for the role and the options, and make no request")
	f.Var(&c.with, "with", "`what` the policy has besides: versions or locks, if the bucket has them, diagnosis for this program, or the ARN of a KMS key; may be repeated")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() != 1 {
		return nil, errors.New("give one location; -help tells more")
	}
	if len(c.with) > 0 && !c.policy || c.json && c.policy {
		return nil, errors.New("-with is for -policy, which is JSON without -json")
	}
	c.location = f.Arg(0)
	var err error
	c.role, err = s3kloset.ParseRole(role)
	return c, err
}

func (c *command) open() (*s3kloset.Bucket, error) {
	opts, err := s3kloset.FromConfig(c.options)
	if err != nil {
		return nil, err
	}
	return s3kloset.New(c.location, opts...)
}

// prescribe writes the policy.
func (c *command) prescribe(w io.Writer) error {
	bucket, err := c.open()
	if err != nil {
		return err
	}
	defer bucket.Close()
	policy, err := bucket.Policy(c.role, c.with...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, policy)
	return err
}

// examine writes the diagnosis, as far as there is one.
func (c *command) examine(ctx context.Context, w io.Writer) (s3kloset.Verdict, error) {
	bucket, err := c.open()
	if err != nil {
		return s3kloset.VerdictBroken, err
	}
	defer bucket.Close()
	d, err := bucket.Diagnose(ctx, c.role)
	if d == nil {
		return s3kloset.VerdictBroken, err
	}
	return d.Verdict(), errors.Join(err, c.write(w, d))
}

func (c *command) write(w io.Writer, d *s3kloset.Diagnosis) error {
	if c.json {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(d)
	}
	return printTable(w, d)
}
