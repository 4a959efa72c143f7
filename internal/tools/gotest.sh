#!/usr/bin/env bash
# gotest.sh MODULE PACKAGES [FLAG...]: go test of packages of a module, through gotestsum.
#
# A test that fails runs again, twice at most, and five tests at most: a defect of the product
# fails three times. One that passes then is a defect all the same: its name is added to
# $FLAKY, which the Makefile prints at the end.
#
# A test that hangs ends its package after $TIMEOUT. Nothing that is merely slow may reach it:
# a package that is ended runs nothing again.
set -euo pipefail

module=$1 packages=$2
shift 2

reruns=$(mktemp)
trap 'rm -f "$reruns"' EXIT

status=0
(cd "$module" && "$GOTESTSUM" --format pkgname-and-test-fails --format-icons text --hide-summary skipped \
	--rerun-fails=2 --rerun-fails-max-failures=5 --rerun-fails-report="$reruns" --packages="$packages" \
	-- -count=1 -timeout "${TIMEOUT:-20m}" "$@") || status=$?

# A line of the report is "PACKAGE.TEST: RUNS runs, FAILURES failures".
sed -nE 's/^(.*): ([0-9]+) runs, ([0-9]+) failures$/\2 \3 \1/p' "$reruns" |
	while read -r runs failures name; do
		if [ "$runs" -gt "$failures" ]; then echo "FLAKY: $name" >>"$FLAKY"; fi
	done
exit "$status"
