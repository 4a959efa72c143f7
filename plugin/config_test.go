package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
)

// TestErrorsNameTheKey gives wrong values, and never finds a secret in the error.
func TestErrorsNameTheKey(t *testing.T) {
	const secret = "do-not-show-me"
	for key, value := range map[string]string{
		"no_such_key":       "x",
		"use_tls":           "maybe",
		"port":              "many",
		"concurrency":       "0",
		"memory":            "little",
		"storage_class":     "COLD STORAGE",
		"sse_customer_key":  secret,
		"ca_file":           "/no/such/file",
		"tags":              "sometimes",
		"on_failure":        "shrug",
		"secret_access_key": secret,
		"session_token":     secret,
	} {
		_, err := parse(map[string]string{"location": "s3://bucket", key: value})
		switch {
		case err == nil:
			t.Errorf("%s=%s is accepted", key, value)
		case !errors.Is(err, s3kloset.ErrInvalidOption):
			t.Errorf("%s: %v is not %v", key, err, s3kloset.ErrInvalidOption)
		case strings.Contains(err.Error(), secret):
			t.Errorf("%s: the error shows the secret: %v", key, err)
		case !strings.Contains(err.Error(), key):
			t.Errorf("%s: the error does not name it: %v", key, err)
		}
	}
}

func TestOnFailure(t *testing.T) {
	for value, keep := range map[string]bool{"": false, "abort": false, "keep": true} {
		config := map[string]string{"location": "s3://bucket"}
		if value != "" {
			config[onFailure] = value
		}
		s, err := parse(config)
		if err != nil {
			t.Fatal(err)
		}
		s.bucket.Close()
		if s.keep != keep {
			t.Errorf("%q: keep is %v", value, s.keep)
		}
	}
}

func TestCreates(t *testing.T) {
	tests := []struct {
		config map[string]string
		want   bool
	}{
		{map[string]string{"location": "s3://bucket"}, false},
		{map[string]string{"location": "s3://bucket", "create_bucket": "True"}, true},
		{map[string]string{"location": "s3://bucket", "create_bucket": "0"}, false},
		{map[string]string{"location": "s3://bucket?create_bucket=true"}, true},
		{map[string]string{"location": "s3://bucket?create_bucket=true", "create_bucket": "false"}, false},
	}
	for _, test := range tests {
		s, err := parse(test.config)
		if err != nil {
			t.Fatal(err)
		}
		s.bucket.Close()
		if s.create != test.want {
			t.Errorf("%v: %v", test.config, s.create)
		}
	}
}

// TestArchiveClasses keeps a store out of classes that nothing can be read from.
func TestArchiveClasses(t *testing.T) {
	for _, class := range []string{"GLACIER", "DEEP_ARCHIVE"} {
		for _, config := range []map[string]string{
			{"location": "s3://bucket", "storage_class": class},
			{"location": "s3://bucket?storage_class=" + class, "archive": "fail"},
		} {
			if _, err := newStore(config); !errors.Is(err, s3kloset.ErrInvalidOption) || !strings.Contains(err.Error(), "storage_class") {
				t.Errorf("%v: %v", config, err)
			}
		}
		s, err := newStore(map[string]string{"location": "s3://bucket", "storage_class": class, "archive": "Standard:7"})
		if err != nil {
			t.Errorf("%s with a policy: %v", class, err)
			continue
		}
		s.Close(t.Context())
	}
	s, err := newStore(map[string]string{"location": "s3://bucket", "storage_class": "GLACIER_IR"})
	if err != nil {
		t.Fatal(err)
	}
	s.Close(t.Context())
}
