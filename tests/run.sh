#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh - all tests, in the order of their cost; a line each, a count at the end.
#
# A unit test that exits with 77 could not run here and says why.  Everything
# is built already: this is what `make check` ends with.
set -u
cd "$(dirname "$0")/.." || exit 99

FUZZ_RUNS=${FUZZ_RUNS:-4000}
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# step NAME COMMAND...: one line; what it printed only when it failed.
step() {
	local name=$1 status
	shift
	"$@" >"$log" 2>&1 </dev/null
	status=$?
	case $status in
	0) passed=$((passed + 1)) && echo "ok       $name" ;;
	77) skipped=$((skipped + 1)) && echo "skipped  $name: $(tail -n 1 "$log")" ;;
	*)
		failed=$((failed + 1))
		echo "FAILED   $name (status $status)"
		tail -n 60 "$log" | sed 's/^/    /'
		;;
	esac
}

# bats_file FILE: each of its tests counts.
bats_file() {
	local ok not skip
	timeout 900 bats --tap "$1" >"$log" 2>&1 </dev/null
	skip=$(grep -c '^ok .* # skip' "$log")
	ok=$(($(grep -c '^ok ' "$log") - skip))
	not=$(grep -c '^not ok ' "$log")
	if [ $((ok + not + skip)) -eq 0 ]; then
		not=1
	fi
	passed=$((passed + ok)) failed=$((failed + not)) skipped=$((skipped + skip))
	echo "$([ "$not" -eq 0 ] && echo 'ok      ' || echo 'FAILED  ') $1: $ok of $((ok + not)), $skip skipped"
	grep '^ok .* # skip' "$log" | sed 's/^ok [0-9]* /    skipped: /'
	[ "$not" -eq 0 ] || sed 's/^/    /' "$log"
}

for test in build/tests/unit/test_*; do
	[[ $test == *.d ]] || step "$test" timeout 300 "$test"
done
export ASAN_OPTIONS=abort_on_error=0:detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1
# Not again: what these two drive at every place, the parsers' own tests and
# the fuzzers drive with sanitizers.
for test in build/san/tests/unit/test_*; do
	[[ $test == *.d || $test == *_cuts || $test == *_gaps ]] ||
		step "$test" timeout 300 "$test"
done
# Each fuzzer starts from what the captures hold; what it finds is kept there.
step "seeds for the fuzzers" build/fuzz/seeds build/fuzz/from
for name in parsers pcap; do
	step "fuzz_$name, $FUZZ_RUNS inputs" timeout 300 \
		"build/fuzz/fuzz_$name" -runs="$FUZZ_RUNS" -seed=1 \
		-max_len=4096 -timeout=20 -rss_limit_mb=2048 -verbosity=0 \
		-artifact_prefix=build/fuzz/ "build/fuzz/from/$name"
done
step "tests/lint.sh" tests/lint.sh
step "tests/corpus-check" tests/corpus-check ../shared/corpus
step "tests/differential" timeout 600 tests/differential ../shared/corpus
for file in tests/*.bats tests/live/*.bats; do
	bats_file "$file"
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
