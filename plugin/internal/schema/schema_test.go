package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/s3kloset/s3kloset"
)

var update = flag.Bool("update", false, "write the schemas anew")

const (
	table  = "../../../settings.go"
	folder = "../../schema"
)

// TestSchemasAreCurrent holds the files that are packed to the code; -update
// writes them.
func TestSchemasAreCurrent(t *testing.T) {
	for _, role := range Roles {
		want, err := Of(role, table)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(folder, string(role)+".json")
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the table of settings says: go test ./internal/schema -update", file)
		}
	}
}

// TestCodeTakesWhatSchemaSays gives the code a value of each form for each key,
// and one key that no schema has.
func TestCodeTakesWhatSchemaSays(t *testing.T) {
	values := map[string]string{
		"boolean": "true", "bucketKey": "true", "number": "8", "number64": "8", "fraction": "0.5", "size": "16MiB", "duration": "90s",
		"text": "value", "ignored": "value", "commaList": "a/**,b", "archive": "skip", "objectLock": "COMPLIANCE:720h", "sse": "aws:kms",
		"accessKey": "value", "secretKey": "value", "sessionToken": "value", "roleARN": "value", "externalID": "value",
		"clientCert": "value", "clientKey": "value",
		"customerKey": "0123456789abcdef0123456789abcdef",
	}
	settings, err := readTable(table)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		samples := s.values
		if len(samples) == 0 {
			value, ok := values[s.kind]
			if !ok {
				t.Errorf("%s: the test has no value of the kind %q", s.key, s.kind)
			}
			samples = []string{value}
		}
		for _, sample := range samples {
			if _, err := s3kloset.FromConfig(map[string]string{s.key: sample}); err != nil {
				t.Errorf("%s=%s: %v", s.key, sample, err)
			}
			if form := forms[s.kind]; form.Pattern != "" && !regexp.MustCompile(form.Pattern).MatchString(sample) {
				t.Errorf("%s: the schema's pattern does not take %q", s.key, sample)
			}
		}
	}
	if _, err := s3kloset.FromConfig(map[string]string{"no_such_key": "value"}); err == nil {
		t.Error("the code takes a key that no schema has")
	}
}

// TestPatternsRefuse holds the patterns to values that the code refuses.
func TestPatternsRefuse(t *testing.T) {
	for kind, wrong := range map[string]string{
		"boolean": "yes", "bucketKey": "yes", "number": "many", "fraction": "1,5", "size": "16 TiB", "duration": "90",
	} {
		if regexp.MustCompile(forms[kind].Pattern).MatchString(wrong) {
			t.Errorf("%s: the pattern takes %q", kind, wrong)
		}
	}
}

func TestSchemaIsWhole(t *testing.T) {
	settings, err := readTable(table)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{"on_failure": true}
	for _, s := range settings {
		keys[s.key] = true
	}
	for _, role := range Roles {
		text, err := Of(role, table)
		if err != nil {
			t.Fatal(err)
		}
		var schema struct {
			Properties map[string]json.RawMessage
			Closed     *bool `json:"additionalProperties"`
		}
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatal(err)
		}
		got, want := slices.Sorted(maps.Keys(schema.Properties)), slices.Sorted(maps.Keys(keys))
		if !slices.Equal(got, want) {
			t.Errorf("%s has the keys %q, the code has %q", role, got, want)
		}
		if schema.Closed == nil || *schema.Closed {
			t.Errorf("%s takes other keys", role)
		}
	}
	for key := range lookedAtBy {
		if !keys[key] {
			t.Errorf("the roles of %q are listed, and there is no such key", key)
		}
	}
}
