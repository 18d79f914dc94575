#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME (default 5s).
set -euo pipefail
cd "$(dirname "$0")/.."
time=${FUZZTIME:-5s}
grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r dir; do
	for target in $(grep -rhoE --include='*_test.go' --exclude-dir=testdata '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | awk '{print $2}' | sort -u); do
		echo "fuzz $dir $target"
		if ! out=$(go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" </dev/null 2>&1); then
			echo "$out"
			exit 1
		fi
	done
done
