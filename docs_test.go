package s3kloset

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	spanOfCode   = regexp.MustCompile("`([^`]+)`")
	testName     = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)
	fateName     = regexp.MustCompile(`^(Err|Warn)[A-Z]\w*$`)
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	link         = regexp.MustCompile(`\]\(([^)#:]+)\)`)
)

// testNames are those of all tests of the repository, nested modules too.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, m := range testFunction.FindAllSubmatch(source, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// fateNames are those of the errors and warnings that a program can ask for.
func fateNames(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, file := range parseSource(t) {
		for _, declaration := range file.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				if values, ok := spec.(*ast.ValueSpec); ok {
					for _, name := range values.Names {
						names[name.Name] = true
					}
				}
			}
		}
	}
	return names
}

func pages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]string)
	for _, path := range append(paths, "README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	return texts
}

// TestDocsNameWhatExists: tests, errors, warnings, and the targets of links.
func TestDocsNameWhatExists(t *testing.T) {
	tests, fates := testNames(t), fateNames(t)
	for path, text := range pages(t) {
		for _, m := range spanOfCode.FindAllStringSubmatch(text, -1) {
			name := m[1]
			if testName.MatchString(name) && !tests[name] {
				t.Errorf("%s names a test %s that does not exist", path, name)
			}
			if fateName.MatchString(name) && !fates[name] {
				t.Errorf("%s names %s, which the package does not have", path, name)
			}
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s has a dead link: %v", path, err)
			}
		}
	}
}

// TestGuaranteesAreTested: each row of a table ends with the tests that prove it.
func TestGuaranteesAreTested(t *testing.T) {
	rows := 0
	for line := range strings.Lines(pages(t)["docs/guarantees.md"]) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasSuffix(line, "| test |") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "|"), "|")
		proofs := spanOfCode.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(proofs) == 0 {
			t.Errorf("no test for %s", line)
		}
		for _, m := range proofs {
			if !testName.MatchString(m[1]) {
				t.Errorf("%s is no test, in %s", m[1], line)
			}
		}
	}
	if rows == 0 {
		t.Error("docs/guarantees.md has no row")
	}
}
