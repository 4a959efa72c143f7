package e2e_test

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// bundle is a small bucket with a folder in it. Where an object cannot be beside a folder of
// its name, there is the folder.
func bundle(name conformance.Server) []exhibit {
	all := []exhibit{
		show("a", "Content-Type", "text/plain", "x-amz-meta-a", "1", "x-amz-tagging", "t=1"),
		show("a/b"),
		show("path/to/data"),
		show("path/to/data/"),
		show("path/to/data/one", "x-amz-meta-a", "1"),
		show("path/to/data/two.tmp"),
		show("path/to/database"),
	}
	if _, files := conformance.Deviation(name, "key/object beside a folder of its name"); !files {
		return all
	}
	return slices.DeleteFunc(all, func(e exhibit) bool { return e.key == "a" || e.key == "path/to/data" })
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

			h.add("store", "store", bucketFirst(at.server, at.newName(t, "repo")), []string{"create_bucket=true"})
			h.fails("certificate", "at", "@store", "create", "-plaintext")
			h.must("store", "set", "store", "ca_file="+at.server.CAFile)
			h.must("at", "@store", "create", "-plaintext")
			h.must("at", "@store", "backup", "@src")
			h.must("at", "@store", "check")
		})
	}
}

// TestPlakarPackage is installed, shown, removed and installed again, as the README
// tells those who have another one.
func TestPlakarPackage(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	pkg := built(t, "s3_*_"+runtime.GOOS+"_"+runtime.GOARCH+".ptar")
	version := strings.Split(filepath.Base(pkg), "_")[1]
	for range 2 {
		if got := h.must("pkg", "show"); !strings.Contains(got, "s3@"+version) {
			t.Errorf("pkg show: %q, want s3@%s", got, version)
		}
		h.must("pkg", "rm", "s3")
		if got := h.must("pkg", "show"); strings.Contains(got, "s3@") {
			t.Errorf("pkg show after pkg rm: %q", got)
		}
		h.must("pkg", "add", pkg)
	}
}

// TestPlakarLocations backs up buckets and folders of them by all their names, and
// restores to other places.
func TestPlakarLocations(t *testing.T) {
	t.Parallel()
	eachForPlakar(t, func(t *testing.T, at site) {
		h := newHome(t)
		h.must("create", "-plaintext")
		dotted := at.newName(t, "with") + ".dots"
		everything := at.fill(t, dotted, bundle(at.server.Name))
		// Keys count from the folder of the source.
		inFolder := []string{"there", "there/", "there/one", "there/two.tmp"}
		fromParent := []string{"data", "data/", "data/one", "data/two.tmp", "database"}
		if !slices.Contains(everything, "path/to/data") {
			inFolder, fromParent = inFolder[1:], fromParent[1:]
		}

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
			"folder-to-bucket":  {bucketFirst(at.server, dotted+"/path/to"), "", fromParent},
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
	})
}

// TestPlakarOverrides gives options on the command line, and classes to a destination and
// a store.
func TestPlakarOverrides(t *testing.T) {
	t.Parallel()
	classes := map[conformance.Server]string{conformance.S3Test: "STANDARD_IA", conformance.MinIO: "REDUCED_REDUNDANCY"}
	eachForPlakar(t, func(t *testing.T, at site) {
		class := classes[at.server.Name]
		h := newHome(t)
		original := at.newName(t, "original")
		keys := at.fill(t, original, bundle(at.server.Name))
		h.add("source", "src", hostFirst(at.server, original))

		repo := at.newName(t, "repo")
		h.add("store", "store", hostFirst(at.server, repo),
			[]string{"storage_class=" + class, "create_bucket=true", "passphrase=" + string(passphrase)})
		h.must("at", "@store", "create")
		h.must("store", "ping", "store")
		h.must("at", "@store", "backup", "-o", "exclude=**/*.tmp", "@src")
		if len(at.packfiles(t, repo)) == 0 {
			t.Error("there are no packfiles")
		}
		for _, key := range at.keys(t, repo) {
			got := at.classOf(t, repo, key)
			if cold := strings.HasPrefix(key, "packfiles/"); cold != (got == class) {
				t.Errorf("%s is in class %q", key, got)
			}
		}

		restored := at.newName(t, "restored")
		h.add("destination", "dst", hostFirst(at.server, restored),
			[]string{"storage_class=GLACIER_IR", "create_bucket=true"})
		h.must("at", "@store", "restore", "-to", "@dst", "-o", "storage_class=REDUCED_REDUNDANCY", h.newest("at", "@store"))
		want := slices.DeleteFunc(keys, func(key string) bool { return strings.HasSuffix(key, ".tmp") })
		got := at.keys(t, restored)
		if !slices.Equal(got, want) {
			t.Errorf("restored were %q, want %q", got, want)
		}
		for _, key := range got {
			if class := at.classOf(t, restored, key); class != "REDUCED_REDUNDANCY" {
				t.Errorf("%s is in class %q", key, class)
			}
		}
	})
}

// classOf is the storage class of an object; empty is the default one.
func (at site) classOf(t *testing.T, bucket, key string) string {
	t.Helper()
	header, err := at.client.Head(t.Context(), bucket, key)
	if err != nil {
		t.Fatal(err)
	}
	return header.Get("X-Amz-Storage-Class")
}
