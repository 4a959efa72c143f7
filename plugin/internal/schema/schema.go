// Package schema writes the JSON schemas of the package's connectors. They are
// made from the table of settings in the root package, so that what they say is
// what the code takes.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Role is a connector of the package.
type Role string

// The connectors.
const (
	Importer Role = "importer"
	Exporter Role = "exporter"
	Storage  Role = "storage"
)

// Roles are all connectors.
var Roles = []Role{Importer, Exporter, Storage}

// words of roles in descriptions.
var words = map[Role]string{Importer: "source", Exporter: "destination", Storage: "store"}

// lookedAtBy lists the keys that not all connectors look at. All take them, so
// that one set of options serves a source, a destination and a store.
var lookedAtBy = map[string][]Role{
	"include":            {Importer},
	"exclude":            {Importer},
	"unordered":          {Importer},
	"on_failure":         {Importer},
	"tags":               {Importer},
	"metadata_cache":     {Importer},
	"overwrite":          {Exporter},
	"folder_markers":     {Exporter},
	"restore_encryption": {Exporter},
	"restore_lock":       {Exporter},
	"create_bucket":      {Exporter, Storage},
	"object_lock":        {Storage},
	"storage_class":      {Exporter, Storage},
}

// own are the keys of the plugin itself.
var own = []setting{{
	key: "on_failure", kind: "oneOf", values: []string{"abort", "keep"},
	help: "when objects cannot be read: make no snapshot and fail (abort, the default), or make one without them (keep)",
}}

// notes say what the plugin adds to the meaning of a key.
var notes = map[string]string{
	"metadata_cache": "; s3kloset in the cache folder of the user by default, off for none",
}

// property is one key in a schema. Values come as text from the command line;
// other programs may have them as what they are.
type property struct {
	Type        []string `json:"type"`
	Description string   `json:"description"`
	Enum        []string `json:"enum,omitempty"`
	Pattern     string   `json:"pattern,omitempty"`
	WriteOnly   bool     `json:"writeOnly,omitempty"`
}

// Of makes the schema of a connector from the file that holds the table.
func Of(role Role, table string) ([]byte, error) {
	settings, err := readTable(table)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", role, err)
	}
	properties := make(map[string]property)
	for _, s := range append(settings, own...) {
		properties[s.key] = propertyOf(role, s)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "S3 " + words[role],
		"type":                 "object",
		"properties":           properties,
		"required":             []string{"location"},
		"additionalProperties": false,
	})
	return out.Bytes(), err
}

// whole is the form of a number without a fraction.
var whole = property{Type: []string{"integer", "string"}, Pattern: "^[0-9]+$"}

var truth = property{Type: []string{"boolean", "string"}, Pattern: "^([01tTfF]|[tT][rR][uU][eE]|[fF][aA][lL][sS][eE])$"}

// forms of the values of a kind, for the kinds that are not plain text.
var forms = map[string]property{
	"boolean":   truth,
	"bucketKey": truth,
	"number":    whole,
	"number64":  whole,
	"fraction":  {Type: []string{"number", "string"}, Pattern: "^[0-9]*[.]?[0-9]+$"},
	"size":      {Type: []string{"integer", "string"}, Pattern: "^[0-9]+ *(B|KB|MB|GB|K|M|G|KiB|MiB|GiB)?$"},
	"duration":  {Type: []string{"string"}, Pattern: "^([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+$"},
}

func propertyOf(role Role, s setting) property {
	p, ok := forms[s.kind]
	if !ok {
		p.Type = []string{"string"}
	}
	p.Description, p.Enum, p.WriteOnly = s.help+notes[s.key], s.values, s.secret && s.key != "location"
	if roles := lookedAtBy[s.key]; roles != nil && !slices.Contains(roles, role) {
		p.Description += "; taken, and of no effect for a " + words[role]
	}
	return p
}
