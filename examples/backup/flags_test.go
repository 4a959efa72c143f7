package main

import (
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	server, options := service(t)
	job := func(more ...string) []string {
		return append(append([]string{"-source", "s3://source", "-store", "s3://backups"}, options...), more...)
	}
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"-unknown"}, "-unknown"},
		{[]string{"-json=perhaps"}, "json"},
		{[]string{"-source"}, "needs an argument"},
		{[]string{"-source", "s3://source"}, "-store is missing"},
		{[]string{"-list"}, "-store is missing"},
		{[]string{"-plaintext"}, "-store is missing"},
		{[]string{"-snapshot", "ab"}, "-store is missing"},
		{[]string{"-verify"}, "-store is missing"},
		{[]string{"-plan"}, "-plan needs -source"},
		{job("-plan"), "-plan goes with -source"},
		{[]string{"-plan", "-source", "s3://source", "-list"}, "-plan goes with -source"},
		{[]string{"-plan", "-source", "s3://a"}, "-source: invalid location"},
		{options, "-store is missing"},
		{[]string{"-store", "s3://backups"}, "nothing to do"},
		{job("-snapshot", "ab"), "-snapshot"},
		{job("-verify=closely"), "none of list, metadata and content"},
		{[]string{"-store", "folder", "-list", "-verify"}, "-verify needs"},
		{job("-restore-option", "create_bucket=true"), "-restore-option without -restore"},
		{[]string{"-store", "folder", "-list", "-source-option", "region=x"}, "-source-option without -source"},
		{[]string{"-store", "folder", "-list", "-store-option", "region=x"}, "-store-option"},
		{job("-passphrase-env", "UNSET"), "UNSET"},
		{job("stray"), "belongs to no flag"},
		{job(secret), "belongs to no flag"},

		{job("-option", secret), "key=value"},
		{job("-option", "="+secret), "key=value"},
		{job("-option", "secret_access_key="+secret), "secret_access_key"},
		{job("-store-option", "passphrase="+secret), "-passphrase-env"},
		{job("-option", "location=s3://elsewhere"), "location"},
		{job("-option", "no_such_key="+secret), "no_such_key"},
		{job("-source-option", "concurrency=0"), "concurrency"},
		{job("-store-option", "part_size="), "part_size"},
		{job("-source-option", "sse_customer_key="+secret), "sse_customer_key"},
		{[]string{"-source", "http://source", "-store", "folder"}, "-source: invalid location"},
		{[]string{"-source", "s3://source?secret_access_key=" + secret, "-store", "folder"}, "-source: invalid location"},
		{[]string{"-source", "s3://AKIA:" + secret + "@host/source", "-store", "folder"}, "-source: invalid location"},
		{[]string{"-store", "s3://", "-list"}, "-store: invalid location"},
		{job("-restore", "s3://x"), "-restore: invalid location"},
	} {
		i := invoke(t.Context(), t, test.args...)
		if i.status != exitUsage || i.stdout != "" || !strings.Contains(i.stderr, test.says) {
			t.Errorf("%q: status %d, stdout %q, stderr %q, want %q", test.args, i.status, i.stdout, i.stderr, test.says)
		}
	}
	if n := server.Count(""); n > 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestHelp(t *testing.T) {
	i := invoke(t.Context(), t, "-help")
	for _, flag := range []string{"-source", "-store", "-restore", "-snapshot", "-list", "-check", "-verify", "-plan", "-source-option", "-store-option",
		"-restore-option", "-option", "-passphrase-env", "-plaintext", "-json", "S3KLOSET_PASSPHRASE"} {
		if !strings.Contains(i.stderr, flag) {
			t.Errorf("the help does not mention %s", flag)
		}
	}
	if i.status != exitOK || i.stdout != "" {
		t.Errorf("status %d, stdout %q", i.status, i.stdout)
	}
}
