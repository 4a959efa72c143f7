package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/s3kloset/s3kloset"
)

// Keys that mean more to the plugin than to s3kloset.FromConfig.
const (
	// onFailure says what becomes of a backup with failures. plakar exits with 0
	// once there is a snapshot, so a failure can be told by its exit status only
	// when there is none.
	onFailure = "on_failure"
	// metadataCache is on by default: the plugin does not see the previous
	// snapshot. The value off turns it off.
	metadataCache = "metadata_cache"
)

// settings is what a config map says: a bucket, and what concerns the plugin
// alone.
type settings struct {
	bucket *s3kloset.Bucket
	// keep makes a snapshot although objects are missing in it.
	keep bool
	// create says that a missing bucket is no error.
	create bool
}

// parse reads a config map: the keys of s3kloset.FromConfig, with the meaning
// that they have for the existing integration of plakar, and on_failure.
// The error names the key. The bucket belongs to the caller.
func parse(config map[string]string) (settings, error) {
	var s settings
	rest, err := translate(config)
	if err != nil {
		return s, err
	}
	switch value, ok := rest[onFailure]; {
	case !ok, value == "abort":
	case value == "keep":
		s.keep = true
	default:
		return s, refuse(onFailure, "%q is none of abort, keep", value)
	}
	delete(rest, onFailure)
	var opts []s3kloset.Option
	switch value(config, metadataCache) {
	case "":
		if dir, err := os.UserCacheDir(); err == nil && !isTrue(value(config, "unordered")) {
			opts = append(opts, s3kloset.WithMetadataCache(filepath.Join(dir, "s3kloset")))
		}
	case "off":
		delete(rest, metadataCache)
		rest["location"] = without(rest["location"], metadataCache)
	}
	more, err := s3kloset.FromConfig(rest)
	if err != nil {
		return s, err
	}
	if s.bucket, err = s3kloset.New(rest["location"], append(opts, more...)...); err != nil {
		return s, err
	}
	s.create = isTrue(value(config, "create_bucket"))
	return s, nil
}

// without takes a key out of the query of a location.
func without(location, key string) string {
	place, query, found := strings.Cut(location, "?")
	params, err := url.ParseQuery(query)
	if !found || err != nil {
		return location // New refuses it, if there is anything to refuse
	}
	params.Del(key)
	if len(params) == 0 {
		return place
	}
	return place + "?" + params.Encode()
}

// value is what a key has in the map, or else in the query of the location.
func value(config map[string]string, key string) string {
	if value, ok := config[key]; ok {
		return value
	}
	_, query, _ := strings.Cut(config["location"], "?")
	params, err := url.ParseQuery(query)
	if err != nil {
		return "" // New refuses the location
	}
	return params.Get(key)
}

// isTrue reads a boolean. What is none is refused by FromConfig.
func isTrue(value string) bool {
	on, err := strconv.ParseBool(strings.ToLower(value))
	return err == nil && on
}

func refuse(key, format string, args ...any) error {
	return fmt.Errorf("%w %s: %s", s3kloset.ErrInvalidOption, key, fmt.Sprintf(format, args...))
}

// checkClass refuses a class that would make a repository unreadable. The engine
// tells a store which packfiles hold metadata, and plakar does not hand that on:
// all of them would be archived, and not even the list of snapshots could be
// read. With a policy for archived objects it can, after hours.
func checkClass(config map[string]string) error {
	const key = "storage_class"
	class := strings.ToUpper(value(config, key))
	switch archive := value(config, "archive"); {
	case class != "GLACIER" && class != "DEEP_ARCHIVE":
		return nil
	case archive != "" && archive != "fail" && archive != "skip":
		return nil
	}
	return refuse(key, "in class %s plakar could not read the repository back; choose GLACIER_IR, or archive=TIER:DAYS to wait hours for each access", class)
}

// reach asks for the bucket at the start, where plakar shows an error as it is
// and nothing has been read yet: a host that does not answer, keys that are
// wrong, a bucket that is missing. Keys that may do what they are needed for
// and not list the whole bucket are good enough.
func (s settings) reach(ctx context.Context) error {
	err := s.bucket.Ping(ctx)
	if errors.Is(err, s3kloset.ErrAccessDenied) || s.create && errors.Is(err, s3kloset.ErrBucketNotFound) {
		return nil
	}
	return err
}
