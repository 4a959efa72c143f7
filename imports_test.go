package s3kloset_test

import (
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/s3kloset/s3kloset"

// goPackage is what `go list` tells of a package.
type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// all are the imports of the package and of its tests.
func (p goPackage) all() []string {
	return slices.Concat(p.Imports, p.TestImports, p.XTestImports)
}

// within tells whether the package, or one that it stands for, lies below a
// path of the module.
func within(importPath, path string) bool {
	whole := strings.TrimSuffix(modulePath+"/"+path, "/")
	return importPath == whole || strings.HasPrefix(importPath, whole+"/")
}

func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		if failed, ok := err.(*exec.ExitError); ok {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, failed.Stderr)
		}
		t.Fatal(err)
	}
	return out
}

// modulePackages lists the packages of the root module.
func modulePackages(t *testing.T) []goPackage {
	t.Helper()
	out := goTool(t, "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p goPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
}

// TestOnePackageSpeaksToAWS: the SDK stays replaceable as long as one package
// knows it. Tests are no exception: they would hold on to it as firmly.
func TestOnePackageSpeaksToAWS(t *testing.T) {
	seen := false
	for _, p := range modulePackages(t) {
		for _, imported := range p.all() {
			if !strings.HasPrefix(imported, "github.com/aws/") {
				continue
			}
			if within(p.ImportPath, "internal/bucket") {
				seen = true
			} else {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
	if !seen {
		t.Error("internal/bucket does not import the SDK: the test looks in the wrong place")
	}
}

// TestRooms: who must not know whom. The fake stays independent of what it
// tests, the engine stays out of the code that speaks S3, and nothing that is
// only for tests gets into programs.
func TestRooms(t *testing.T) {
	type rule struct {
		room   string
		denied string // a prefix of import paths
		tests  bool   // its tests may not either
	}
	rules := []rule{
		{"internal/bucket", "github.com/PlakarKorp/", true},
		{"internal/bucket", modulePath + "/internal/klosettest", true},
		{"internal/s3test", "github.com/PlakarKorp/", true},
		{"internal/s3test", "golang.org/x/", true},
		{"internal/s3test", modulePath + "/internal/bucket", true},
		{"internal/s3test", modulePath + "/internal/klosettest", true},
		{"internal/klosettest", modulePath + "/internal/bucket", false},
		{"internal/klosettest", modulePath + "/internal/s3test", false},
	}
	met := map[string]bool{}
	for _, p := range modulePackages(t) {
		for _, r := range rules {
			if !within(p.ImportPath, r.room) {
				continue
			}
			met[r.room] = true
			imports := p.Imports
			if r.tests {
				imports = p.all()
			}
			for _, imported := range imports {
				if strings.HasPrefix(imported, r.denied) {
					t.Errorf("%s imports %s", p.ImportPath, imported)
				}
			}
		}
		if p.ImportPath != modulePath {
			continue
		}
		met[""] = true
		for _, imported := range p.Imports {
			if imported == "testing" || within(imported, "internal/s3test") || within(imported, "internal/klosettest") {
				t.Errorf("programs would carry %s", imported)
			}
		}
	}
	for _, room := range []string{"", "internal/bucket", "internal/s3test", "internal/klosettest"} {
		if !met[room] {
			t.Errorf("there is no package %q", modulePath+"/"+room)
		}
	}
}

// reviewed are the modules that this one may require directly, and what for.
// Whoever embeds us takes them all: an addition needs a reason.
var reviewed = map[string]string{
	"github.com/PlakarKorp/kloset":             "the engine",
	"github.com/PlakarKorp/integrations/fs":    "examples: repositories on a local disk",
	"github.com/aws/aws-sdk-go-v2":             "internal/bucket",
	"github.com/aws/aws-sdk-go-v2/config":      "internal/bucket: the default chain of credentials",
	"github.com/aws/aws-sdk-go-v2/credentials": "internal/bucket: given keys, assumed roles",
	"github.com/aws/aws-sdk-go-v2/service/s3":  "internal/bucket",
	"github.com/aws/aws-sdk-go-v2/service/sts": "internal/bucket: assumed roles, who we are",
	"github.com/aws/smithy-go":                 "internal/bucket: errors and headers of the SDK",
	"github.com/bmatcuk/doublestar/v4":         "patterns to include and exclude; the engine has it too",
	"github.com/vbauerster/mpb/v8":             "examples: progress bars",
	"golang.org/x/sync":                        "groups and semaphores",
	"golang.org/x/time":                        "rate limits",
	"github.com/google/go-cmp":                 "tests",
}

func TestDependenciesAreReviewed(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal(goTool(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	direct := map[string]bool{}
	for _, required := range mod.Require {
		if !required.Indirect {
			direct[required.Path] = true
		}
	}
	if len(direct) == 0 {
		t.Fatal("go.mod requires nothing")
	}
	for _, path := range slices.Sorted(maps.Keys(direct)) {
		if reviewed[path] == "" {
			t.Errorf("%s is required and not reviewed", path)
		}
	}
	for _, replaced := range mod.Replace {
		// A replacement counts here only: programs that embed us would get
		// the original.
		t.Errorf("%s is replaced", replaced.Old.Path)
	}
}
