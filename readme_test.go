package s3kloset

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update-readme", false, "write the table of options into README.md")

const (
	tableBegin = "<!-- options -->\n"
	tableEnd   = "<!-- /options -->\n"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// optionsTable is the table of the README as the code has it.
func optionsTable() string {
	var b strings.Builder
	b.WriteString("| key | Option | meaning |\n|---|---|---|\n")
	for _, s := range settings {
		option := "–"
		if s.option != "" {
			option = "`" + s.option + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.key, option, s.help)
	}
	return b.String()
}

func TestREADMEHasAllSettings(t *testing.T) {
	text := readme(t)
	before, rest, found := strings.Cut(text, tableBegin)
	table, after, closed := strings.Cut(rest, tableEnd)
	if !found || !closed {
		t.Fatalf("README.md has no table between %q and %q", tableBegin, tableEnd)
	}
	want := optionsTable()
	if table == want {
		return
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the table of options is not that of the code; go test -run TestREADME . -update-readme writes it")
}

// Every Option has a key, or is named as one that only exists in Go.
func TestREADMEHasAllOptions(t *testing.T) {
	_, rest, _ := strings.Cut(readme(t), "Only in Go: ")
	onlyInGo, _, _ := strings.Cut(rest, ".")
	options := exportedOptions(t)
	if len(options) == 0 {
		t.Fatal("no Option found in the source")
	}
	for _, option := range options {
		hasKey := slices.ContainsFunc(settings, func(s setting) bool { return s.option == option })
		named := strings.Contains(onlyInGo, "`"+option+"`")
		if hasKey == named {
			t.Errorf("%s: key in the settings %v, named in the README as one without %v", option, hasKey, named)
		}
	}
	for _, s := range settings {
		if s.option != "" && !slices.Contains(options, s.option) {
			t.Errorf("key %s stands for %s, which does not exist", s.key, s.option)
		}
	}
}

// exportedOptions are the names of the functions of this package that return an
// Option.
func exportedOptions(t *testing.T) []string {
	t.Helper()
	var options []string
	for _, file := range parseSource(t) {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() || f.Type.Results == nil || len(f.Type.Results.List) != 1 {
				continue
			}
			if result, ok := f.Type.Results.List[0].Type.(*ast.Ident); ok && result.Name == "Option" {
				options = append(options, f.Name.Name)
			}
		}
	}
	return options
}

func parseSource(t *testing.T) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// fragment is what a piece of Go in the README is part of when it is no program
// of its own.
const fragment = `package fragment

import (
	"context"
	"errors"
	"log"

	"github.com/s3kloset/s3kloset"
)

func _(ctx context.Context, backups *s3kloset.Bucket, passphrase []byte) error {
	%s
	_, _, _ = errors.Is, log.Printf, s3kloset.New
	return nil
}
`

func TestREADMECompiles(t *testing.T) {
	folder := t.TempDir()
	overlay := map[string]string{}
	packages := []string{"build", "-overlay", filepath.Join(folder, "overlay.json")}
	for i, code := range goBlocks(readme(t)) {
		if !strings.HasPrefix(code, "package ") {
			code = fmt.Sprintf(fragment, code)
		}
		real := filepath.Join(folder, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(real, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		// In the module, without being in its folder.
		name := fmt.Sprintf("internal/readme%d", i)
		virtual, err := filepath.Abs(filepath.Join(name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		overlay[virtual] = real
		packages = append(packages, "./"+name)
	}
	if len(overlay) < 2 {
		t.Fatalf("%d pieces of Go found in README.md", len(overlay))
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "overlay.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", packages...).CombinedOutput(); err != nil {
		t.Errorf("the Go in README.md does not compile: %v\n%s", err, out)
	}
}

// goBlocks returns the pieces of Go in a Markdown text.
func goBlocks(text string) []string {
	var blocks []string
	for {
		_, rest, found := strings.Cut(text, "\n```go\n")
		if !found {
			return blocks
		}
		block, after, _ := strings.Cut(rest, "\n```\n")
		blocks, text = append(blocks, block), after
	}
}
