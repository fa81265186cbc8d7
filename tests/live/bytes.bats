#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# bytes.bats - what is captured is what was moved: each byte, once, in order.
#
# Peers write what each of their calls moved; streamdump writes what the
# capture delivers; the files must be the same, and the account must name as
# many bytes as the peers moved.

load helpers

setup() {
	prepare
	name_peer
}

teardown() {
	clean_up
}

# Each of these ends by itself and needs no option of its own.
common='records tiny threads handed reuse clear exit kill half'
all="$common sizes sizes-ex wants"

# The buffer takes a pause of the tracer on a busy machine: what is lost when
# it does not is account.bats' matter.
roomy='--ring-mb 64'

# identical SCENARIOS OPTION...: all of them under one tracer.
identical() {
	local scenarios=$1 scenario failed=0
	shift
	# shellcheck disable=SC2086 # words
	dump_trace -c "$peer" $roomy "$@"
	for scenario in $scenarios; do
		play "$scenario"
	done
	end_trace
	for scenario in $scenarios; do
		same_bytes "$scenario" || failed=1
	done
	nothing_lost || failed=1
	seen_is_truth || failed=1
	return $failed
}

@test "ring buffer: all scenarios" {
	identical "$all" --transport ring
}

@test "ring buffer, no placement: all scenarios" {
	identical "$all" --transport ring --no-placement
}

@test "perf buffer: all scenarios" {
	identical "$all" --transport perf
}

@test "perf buffer, no placement: all scenarios" {
	identical "$all" --transport perf --no-placement
}

# A call of 3 MB is more than so many small records may be sent of.
@test "naive scheme, ring buffer: calls of up to 16 KB" {
	identical "$common" --transport ring --no-accumulate
}

@test "naive scheme, perf buffer: calls of up to 16 KB" {
	identical "$common" --transport perf --no-accumulate
}

@test "the smallest and the largest batches: all scenarios" {
	identical "$common sizes" --flush-size 256 --copy-size 64
	start_over
	identical "$common sizes" --flush-size 16384
}

# Two tracers at once, of the same calls.
@test "both placements give identical bytes" {
	local placed scenario
	# shellcheck disable=SC2086
	dump_trace -c "$peer" $roomy
	placed=$tracer
	session unplaced
	# shellcheck disable=SC2086
	dump_trace -c "$peer" $roomy --no-placement
	for scenario in $all; do
		play "$scenario"
	done
	end_trace
	nothing_lost
	end_trace "$placed"
	session main
	nothing_lost
	diff <(connections_of "$work/main.dump") \
		<(connections_of "$work/unplaced.dump")
	[ "$(cat "$work"/main.dump/*.in "$work"/main.dump/*.out | wc -c)" -eq \
		"$(truth_bytes)" ]
}

@test "a connection open before the tracer: later bytes, right addresses" {
	local transport
	for transport in ring perf; do
		start_over
		play_aside early
		wait_for [ -e "$work/truth/early/ready.client" ]
		wait_for [ -e "$work/truth/early/ready.server" ]
		dump_trace -c "$peer" --transport $transport
		touch "$work/truth/early/go"
		wait "$played"
		end_trace
		same_bytes early
		nothing_lost
		seen_is_truth
	done
}

# milliseconds_between FILE LATER: of their last changes.
milliseconds_between() {
	echo "$(stat -c %.6Y "$1") $(stat -c %.6Y "$2")" |
		awk '{ printf "%d\n", ($2 - $1) * 1000 }'
}

# All that the truth has so far is in $dump, the connection still open.
all_has_come() {
	local file
	for file in "$work"/truth/quiet/*.in "$work"/truth/quiet/*.out; do
		cmp -s "$file" "$dump/${file##*/}" || return 1
	done
}

# quiet_within MS OPTION...: the last bytes of an idle connection.
quiet_within() {
	local limit=$1 file late
	shift
	start_over
	dump_trace -c "$peer" "$@"
	play_aside quiet
	wait_for [ -e "$work/truth/quiet/quiet.client" ]
	wait_for [ -e "$work/truth/quiet/quiet.server" ]
	wait_for all_has_come
	is_running "$played"
	for file in "$work"/truth/quiet/*.in "$work"/truth/quiet/*.out; do
		late=$(milliseconds_between "$file" "$dump/${file##*/}")
		echo "$* ${file##*/}: $late ms"
		[ "$late" -le "$limit" ]
	done
	touch "$work/truth/quiet/stop"
	wait "$played"
	end_trace
	same_bytes quiet
	seen_is_truth
}

@test "a last response with nothing after it comes within --flush-ms" {
	quiet_within 400 --transport ring
	quiet_within 400 --transport perf
	quiet_within 1300 --flush-ms 1000
}

# With no state there are no addresses: only the bytes are compared.
@test "more connections than the kernel's map takes: all bytes, and said so" {
	dump_trace -c "$peer" --max-connections 64 --transport ring
	play many
	end_trace
	same_bytes many "*.in *.out"
	nothing_lost
	seen_is_truth
	account '."capture.fragments_direct" > 0'
}

@test "more connections than the map takes, perf buffer: the account closes" {
	dump_trace -c "$peer" --max-connections 64 --transport perf
	play many
	end_trace
	account_closes
	seen_is_truth
}

@test "beyond --max-capture: an exact gap, and right bytes behind it" {
	local transport client written
	for transport in ring perf; do
		start_over
		dump_trace -c "$peer" --max-capture 131072 \
			--transport $transport
		play large
		end_trace
		written=$(find "$work/truth/large" -name '*.out' -size +1M)
		client=$(basename "$written" .out)
		[ "$(cat "$dump/$client.gaps")" = "out 131072 917504" ]
		cmp <(head -c 131072 "$written" &&
			tail -c 1000 "$written") \
			"$dump/$client.out"
		cmp "$work/truth/large/$client.in" "$dump/$client.in"
		account_closes
		seen_is_truth
		account '."capture.bytes_lost" == 917504 and
			."capture.lost.over_limit" == 917504'
	done
}

# Each tail call on the way to the bytes is one less for the bytes.
@test "as much as is captured of one call: all bytes" {
	identical most --transport ring
	start_over
	identical most --transport perf
}

# The libraries that peer uses, as files that no process has mapped.
copy_libraries() {
	mkdir -p "$work/libraries"
	ldd "$top/build/tests/live/peer" |
		awk '/lib(ssl|crypto)\.so/ { print $3 }' |
		xargs -I{} cp {} "$work/libraries"
	[ -e "$work/libraries/libssl.so.3" ]
}

@test "a library that no process had mapped: all bytes" {
	copy_libraries
	dump_trace -c "$peer"
	LD_LIBRARY_PATH=$work/libraries play fresh
	end_trace
	same_bytes fresh
	nothing_lost
	seen_is_truth
}
