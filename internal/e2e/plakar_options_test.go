package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// bundle is a small bucket with a folder in it.
func bundle() []exhibit {
	return []exhibit{
		show("a", "Content-Type", "text/plain", "x-amz-meta-a", "1", "x-amz-tagging", "t=1"),
		show("a/b"),
		show("path/to/data"),
		show("path/to/data/"),
		show("path/to/data/one", "x-amz-meta-a", "1"),
		show("path/to/data/two.tmp"),
		show("path/to/database"),
	}
}

// keysOf are the keys of exhibits, in order.
func keysOf(exhibits []exhibit) []string {
	var keys []string
	for _, e := range exhibits {
		keys = append(keys, e.key)
	}
	slices.Sort(keys)
	return keys
}

// TestPlakarTLS talks to servers whose certificate nobody knows.
func TestPlakarTLS(t *testing.T) {
	t.Parallel()
	for _, name := range plakarServers {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Start(t, name, server.TLS()))
			original, restored := at.newName(t, "original"), at.newName(t, "restored")
			at.fill(t, original, cargo)
			h := newHome(t)
			h.must("create", "-plaintext")
			h.add("source", "src", bucketFirst(at.server, original))
			h.fails("certificate", "backup", "@src")
			h.must("source", "set", "src", "ca_file="+at.server.CAFile)
			h.must("backup", "@src")
			h.add("destination", "dst", hostFirst(at.server, restored),
				[]string{"use_tls=true", "tls_insecure_no_verify=true", "create_bucket=true"})
			h.must("restore", "-to", "@dst", h.newest())
			at.compare(t, restored, original, keysOf(cargo))
		})
	}
}

// TestPlakarLocations backs up buckets and folders of them by all their names, and
// restores to other places.
func TestPlakarLocations(t *testing.T) {
	t.Parallel()
	at := newSite(t, server.Shared(t, conformance.S3Test))
	h := newHome(t)
	h.must("create", "-plaintext")
	dotted := at.newName(t, "with") + ".dots"
	at.fill(t, dotted, bundle())
	everything := keysOf(bundle())
	// Keys count from the folder of the source.
	inFolder := []string{"there", "there/", "there/one", "there/two.tmp"}

	for name, test := range map[string]struct {
		config []string
		target string
		keys   []string
	}{
		"bucket":            {bucketFirst(at.server, dotted), "", everything},
		"bucket-twice":      {append(bucketFirst(at.server, dotted), "bucket="+dotted), "", everything},
		"bucket-alone":      {append(bucketFirst(at.server, ""), "bucket="+dotted), "", everything},
		"host":              {hostFirst(at.server, dotted), "", everything},
		"folder":            {bucketFirst(at.server, dotted+"/path/to/data"), "/there", inFolder},
		"folder-after-host": {hostFirst(at.server, dotted+"/path/to/data"), "/there", inFolder},
		"root":              {append(hostFirst(at.server, dotted), "root=path/to/data"), "/there", inFolder},
		"folder-to-bucket":  {bucketFirst(at.server, dotted+"/path/to"), "", []string{"data", "data/", "data/one", "data/two.tmp", "database"}},
		"excluded":          {append(hostFirst(at.server, dotted), "include=a/*,**/*.tmp", "exclude=a/**"), "", []string{"path/to/data/two.tmp"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := h.of(t)
			h.add("source", name, test.config)
			h.must("source", "ping", name)
			h.must("backup", "@"+name)
			restored := at.newName(t, "restored")
			h.add("destination", name, hostFirst(at.server, restored+test.target), []string{"create_bucket=true"})
			h.must("restore", "-to", "@"+name, h.newest())
			h.must("destination", "ping", name)
			if got := at.keys(t, restored); !slices.Equal(got, test.keys) {
				t.Errorf("restored were %q, want %q", got, test.keys)
			}
		})
	}
}

// TestPlakarOverrides gives options on the command line, and classes to a destination and
// a store.
func TestPlakarOverrides(t *testing.T) {
	t.Parallel()
	at := newSite(t, server.Shared(t, conformance.S3Test))
	h := newHome(t)
	original := at.newName(t, "original")
	at.fill(t, original, bundle())
	h.add("source", "src", hostFirst(at.server, original))

	repo := at.newName(t, "repo")
	h.add("store", "store", hostFirst(at.server, repo),
		[]string{"storage_class=STANDARD_IA", "create_bucket=true", "passphrase=" + string(passphrase)})
	h.must("at", "@store", "create")
	h.must("store", "ping", "store")
	h.must("at", "@store", "backup", "-o", "exclude=**/*.tmp", "@src")
	packfiles := 0
	for _, o := range at.server.Fake.Bucket(repo).Dump() {
		switch {
		case !strings.HasPrefix(o.Key, "packfiles/"):
			if o.StorageClass == "STANDARD_IA" {
				t.Errorf("%s is in class %s", o.Key, o.StorageClass)
			}
		default:
			packfiles++
			if o.StorageClass != "STANDARD_IA" {
				t.Errorf("%s is in class %q", o.Key, o.StorageClass)
			}
		}
	}
	if packfiles == 0 {
		t.Error("there are no packfiles")
	}

	restored := at.newName(t, "restored")
	h.add("destination", "dst", hostFirst(at.server, restored),
		[]string{"storage_class=GLACIER_IR", "create_bucket=true"})
	h.must("at", "@store", "restore", "-to", "@dst", "-o", "storage_class=REDUCED_REDUNDANCY", h.newest("at", "@store"))
	want := slices.DeleteFunc(keysOf(bundle()), func(key string) bool { return strings.HasSuffix(key, ".tmp") })
	var got []string
	for _, o := range at.server.Fake.Bucket(restored).Dump() {
		got = append(got, o.Key)
		if o.StorageClass != "REDUCED_REDUNDANCY" {
			t.Errorf("%s is in class %q", o.Key, o.StorageClass)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("restored were %q, want %q", got, want)
	}
}
