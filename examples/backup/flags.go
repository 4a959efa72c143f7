package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// command is what the command line asks for.
type command struct {
	source   string
	store    string
	restore  string
	snapshot string

	plan   bool
	list   bool
	check  bool
	verify depth
	json   bool

	sourceOptions  options
	storeOptions   options
	restoreOptions options
	options        options // for all three

	passphraseEnv string
	passphrase    string
	plaintext     bool
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

const synopsis = `Usage:
  backup                                    demonstration that needs nothing
  backup -source LOC -store LOC|DIR         back up a bucket
  backup -restore LOC -store LOC|DIR        restore a snapshot into a bucket
  backup -plan -source LOC                  tell what a backup would do
  backup -list|-check -store LOC|DIR        look at a repository
  backup -verify -source LOC -store LOC|DIR compare a bucket with a snapshot

LOC is s3://BUCKET/PREFIX or s3://HOST[:PORT]/BUCKET/PREFIX. Several of these can
be asked for at once; they happen in the order of the list.

Flags:
`

// parse reads the command line. All of its errors but flag.ErrHelp are
// mistakes of the caller.
func parse(args []string, getenv func(string) string, stderr io.Writer) (*command, error) {
	c := &command{}
	flags := c.flags(stderr)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, synopsis)
			flags.PrintDefaults()
			return nil, err
		}
		return nil, usage("%w; -help lists the flags", err)
	}
	if flags.NArg() > 0 {
		// Not shown: it may be the value of an option, and that a secret.
		return nil, usage("there is an argument that belongs to no flag")
	}
	c.passphrase = getenv(c.passphraseEnv)
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *command) flags(stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("backup", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {} // parse says what there is to say
	f.StringVar(&c.source, "source", "", "`location` of the objects to back up")
	f.StringVar(&c.store, "store", "", "`location` or local folder of the repository; a backup creates it when there is none")
	f.StringVar(&c.restore, "restore", "", "`location` to restore into")
	f.StringVar(&c.snapshot, "snapshot", "", "`identifier`, or the beginning of one, of the snapshot to restore, check or verify; by default the one that this run made, or else the newest")
	f.BoolVar(&c.plan, "plan", false, "tell what a backup of the source would read, ask for and cost; there is none, and needs no store")
	f.BoolVar(&c.list, "list", false, "list the snapshots")
	f.BoolVar(&c.check, "check", false, "check a snapshot")
	f.Var(&c.verify, "verify", "compare a snapshot with the bucket that it was restored into or, without -restore, with the source, which is then not backed up; by its list, or -verify=metadata or -verify=content")
	f.Var(&c.sourceOptions, "source-option", "`key=value` for the source; may be repeated, as may the next three")
	f.Var(&c.storeOptions, "store-option", "`key=value` for a store in S3")
	f.Var(&c.restoreOptions, "restore-option", "`key=value` for the restore")
	f.Var(&c.options, "option", "`key=value` for all of them")
	f.StringVar(&c.passphraseEnv, "passphrase-env", "S3KLOSET_PASSPHRASE", "`name` of the environment variable with the passphrase of the repository")
	f.BoolVar(&c.plaintext, "plaintext", false, "use a repository without encryption")
	f.BoolVar(&c.json, "json", false, "write the report as one JSON object")
	return f
}

// demo tells whether there is no job to do.
func (c *command) demo() bool {
	return c.store == "" && !c.hasJob()
}

func (c *command) hasJob() bool {
	return c.plan || c.source != "" || c.restore != "" || c.list || c.check
}

// backsUp tells whether the source is there to be backed up.
func (c *command) backsUp() bool {
	return c.source != "" && (c.verify == "" || c.restore != "")
}

func (c *command) validate() error {
	for _, o := range c.allOptions() {
		if o.err != nil {
			return &usageError{o.err}
		}
	}
	if c.demo() {
		if c.snapshot != "" || c.verify != "" || c.plaintext || slices.ContainsFunc(c.allOptions(), (*options).given) {
			return usage("-store is missing")
		}
		return nil
	}
	if c.plan {
		return c.validatePlan()
	}
	switch {
	case c.store == "":
		return usage("-store is missing")
	case !c.hasJob():
		return usage("nothing to do: give -source, -restore, -list or -check")
	case c.verify != "" && c.source == "" && c.restore == "":
		return usage("-verify needs -source or -restore")
	case c.snapshot != "" && c.restore == "" && !c.check && c.verify == "":
		return usage("-snapshot is for -restore, -check and -verify")
	case c.source == "" && c.sourceOptions.given():
		return usage("-source-option without -source")
	case c.restore == "" && c.restoreOptions.given():
		return usage("-restore-option without -restore")
	case !isS3(c.store) && c.storeOptions.given():
		return usage("-store-option is for stores in S3")
	case !c.plaintext && c.passphrase == "":
		return usage("no passphrase: set the environment variable %s, or give -plaintext", c.passphraseEnv)
	}
	return nil
}

func (c *command) validatePlan() error {
	switch {
	case c.source == "":
		return usage("-plan needs -source")
	case c.store != "" || c.restore != "" || c.snapshot != "" || c.list || c.check || c.verify != "" ||
		c.storeOptions.given() || c.restoreOptions.given():
		return usage("-plan goes with -source and its options alone")
	}
	return nil
}

func (c *command) allOptions() []*options {
	return []*options{&c.sourceOptions, &c.storeOptions, &c.restoreOptions, &c.options}
}

// isS3 tells a location from a local folder.
func isS3(location string) bool { return strings.HasPrefix(location, "s3:") }

// options collects flags of the form key=value.
type options struct {
	values map[string]string
	err    error // of the first one that is malformed
}

// String implements flag.Value. Values may be secrets.
func (o *options) String() string { return "" }

// Set implements flag.Value. It leaves errors to validate, because package flag
// would show them together with the value.
func (o *options) Set(text string) error {
	if err := o.add(text); err != nil && o.err == nil {
		o.err = err
	}
	return nil
}

func (o *options) add(text string) error {
	key, value, found := strings.Cut(text, "=")
	switch {
	case !found || key == "":
		return errors.New("an option is not of the form key=value")
	case key == "location":
		return errors.New("option location: locations have flags of their own")
	case key == "passphrase" || key == "passphrase_cmd":
		return fmt.Errorf("option %s: the passphrase comes from the environment, see -passphrase-env", key)
	}
	if _, twice := o.values[key]; twice {
		return fmt.Errorf("option %q is given twice", key)
	}
	if o.values == nil {
		o.values = map[string]string{}
	}
	o.values[key] = value
	return nil
}

func (o *options) given() bool { return o.err != nil || len(o.values) > 0 }

// over returns the values of o and, where it says nothing, those of common.
func (o *options) over(common options) map[string]string {
	all := map[string]string{}
	maps.Copy(all, common.values)
	maps.Copy(all, o.values)
	return all
}
