package main

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
)

// TestKeysOfTheExistingIntegration holds us to the keys, and the forms of a
// location, that configurations in use have.
func TestKeysOfTheExistingIntegration(t *testing.T) {
	tests := map[string]struct {
		config map[string]string
		origin string
		root   string
	}{
		"endpoint first": {
			map[string]string{"location": "s3://localhost:9000/bucket/some/path", "use_tls": "false"},
			"localhost:9000/bucket", "/some/path",
		},
		"endpoint apart": {
			map[string]string{"location": "s3://bucket/some/path", "endpoint": "minio.example.com", "port": "9000"},
			"minio.example.com:9000/bucket", "/some/path",
		},
		"endpoint twice": {
			map[string]string{"location": "s3://minio.example.com:9000/bucket/path", "endpoint": "minio.example.com:9000"},
			"minio.example.com:9000/bucket", "/path",
		},
		"host with a dot, every key": {
			map[string]string{
				"location": "s3://s3.example.com/bucket", "access_key": "a", "secret_access_key": "s",
				"use_tls": "true", "tls_insecure_no_verify": "true", "virtual_host": "true", "storage_class": "standard_ia",
				"region": "fr-par", "sse_customer_key": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
				"root": "below", "passphrase": "not ours",
			},
			"s3.example.com/bucket", "/below",
		},
		"empty values": {
			map[string]string{"location": "s3://s3.example.com/bucket/path", "endpoint": "", "port": "", "region": "", "root": "", "sse_customer_key": ""},
			"s3.example.com/bucket", "/path",
		},
		"bucket apart": {
			map[string]string{"location": "s3://my.bucket", "bucket": "my.bucket", "endpoint": "s3.example.com"},
			"s3.example.com/my.bucket", "/",
		},
		"AWS": {
			map[string]string{"location": "s3://bucket"},
			"s3.amazonaws.com/bucket", "/",
		},
		"root, the default": {
			map[string]string{"location": "s3://s3.example.com/bucket/path", "root": "/"},
			"s3.example.com/bucket", "/path",
		},
		"root with the bucket": {
			map[string]string{"location": "s3://s3.example.com/bucket/path", "root": "/bucket/other/path/"},
			"s3.example.com/bucket", "/other/path",
		},
		"root with nothing but the bucket": {
			map[string]string{"location": "s3://s3.example.com/bucket/path", "root": "/bucket"},
			"s3.example.com/bucket", "/",
		},
		"root names the bucket": {
			map[string]string{"location": "s3://s3.example.com:9000", "root": "/bucket/path"},
			"s3.example.com:9000/bucket", "/path",
		},
		"root repeats the location": {
			map[string]string{"location": "s3://bucket/some/path", "endpoint": "s3.example.com", "root": "/some/path"},
			"s3.example.com/bucket", "/some/path",
		},
		"bucket in the host": {
			map[string]string{"location": "s3://bucket.s3.example.com:9000/path", "virtual_host": "true"},
			"s3.example.com:9000/bucket", "/path",
		},
		"bucket with dots in the host": {
			map[string]string{"location": "s3://my.bucket.s3.example.com/path", "virtual_host": "true", "endpoint": "https://s3.example.com/"},
			"s3.example.com/my.bucket", "/path",
		},
		"bucket in the host and apart": {
			map[string]string{"location": "s3://my.bucket.s3.example.com", "virtual_host": "true", "bucket": "my.bucket"},
			"s3.example.com/my.bucket", "/",
		},
		"bucket alone, to be put into the host": {
			map[string]string{"location": "s3://bucket/path", "virtual_host": "true", "endpoint": "s3.example.com"},
			"s3.example.com/bucket", "/path",
		},
		"bucket in the host, and root": {
			map[string]string{"location": "s3://bucket.s3.example.com", "virtual_host": "true", "endpoint": "s3.example.com", "root": "/bucket/path"},
			"s3.example.com/bucket", "/path",
		},
		"bucket in a host of AWS": {
			map[string]string{"location": "s3://our.bucket.s3.eu-west-3.amazonaws.com/path", "virtual_host": "true"},
			"s3.amazonaws.com/our.bucket", "/path",
		},
		"address": {
			map[string]string{"location": "s3://127.0.0.1:9000/bucket", "virtual_host": "true"},
			"127.0.0.1:9000/bucket", "/",
		},
		"host before the bucket, after all": {
			map[string]string{"location": "s3://minio.example.com/bucket", "virtual_host": "true", "endpoint_first": "true"},
			"minio.example.com/bucket", "/",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := maps.Clone(test.config)
			s, err := parse(test.config)
			if err != nil {
				t.Fatal(err)
			}
			defer s.bucket.Close()
			source := s.bucket.Source()
			if source.Origin() != test.origin || source.Root() != test.root {
				t.Errorf("%q %q, want %q %q", source.Origin(), source.Root(), test.origin, test.root)
			}
			if !maps.Equal(before, test.config) {
				t.Error("the caller's map was changed")
			}
		})
	}
}

// TestRootOfAnotherBucket has two meanings, and so has none.
func TestRootOfAnotherBucket(t *testing.T) {
	for _, location := range []string{"s3://bucket", "s3://bucket/path"} {
		_, err := parse(map[string]string{"location": location, "endpoint": "s3.example.com", "root": "/other/path"})
		if !errors.Is(err, s3kloset.ErrInvalidOption) || !strings.Contains(err.Error(), `root: "/other/path"`) {
			t.Errorf("%s: %v", location, err)
		}
	}
}

// TestClassInLowerCase is one: not a class of ours that no server knows.
func TestClassInLowerCase(t *testing.T) {
	for class, want := range map[string]string{
		"glacier_ir": "GLACIER_IR", "Standard": "STANDARD", // of the existing integration
		"my_class": "my_class", // of a server that has such
	} {
		config, err := translate(map[string]string{"location": "s3://bucket", "storage_class": class})
		if err != nil || config["storage_class"] != want {
			t.Errorf("%s: %q, %v", class, config["storage_class"], err)
		}
	}
	if _, err := newStore(map[string]string{"location": "s3://bucket", "storage_class": "glacier"}); !errors.Is(err, s3kloset.ErrInvalidOption) {
		t.Errorf("a store in glacier: %v", err)
	}
}
