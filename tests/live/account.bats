#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# account.bats - when bytes are lost, it is known how many, whose and why.
#
# A buffer too small for the load, a tracer that is stopped, a tracer that is
# killed: seen = delivered + lost to the byte, what is incomplete says so, what
# is not marked incomplete is right, and nothing is left in the kernel.

load helpers

setup_file() {
	start_database
}

teardown_file() {
	stop_database
}

setup() {
	prepare
	know_database
	agents=load$BASHPID
}

teardown() {
	clean_up
}

# Part of what the agents asked is lost: else the test proves nothing.
something_lost() {
	account_closes
	account '."capture.bytes_lost" > 0 and
		."capture.lost.buffer_full" > 0' >/dev/null && return 0
	echo "nothing was lost: the test is void"
	return 1
}

# Each exchange of a statement that is called complete is one of the truth,
# with its rows and its error; some are, and some are incomplete.
complete_is_right() {
	exchanges 'select(."datasnoop.complete" and ."db.query.text")' |
		exchange_lines | sort >"$work/complete"
	truth_lines | sort >"$work/true"
	[ -s "$work/complete" ]
	[ -z "$(comm -23 "$work/complete" "$work/true" | head -5)" ] || {
		echo "complete, but not what was asked or answered:"
		comm -23 "$work/complete" "$work/true" | head -5
		return 1
	}
	[ "$(exchanges 'select(."datasnoop.complete" | not)' | wc -l)" -gt 0 ]
}

# overloaded OPTION...: full load into the smallest buffer, the tracer stopped
# for two seconds of it.
overloaded() {
	trace "$datasnoop" -j --show-values -c "$agents" --ring-mb 0.0625 "$@"
	load_aside --name "$agents" --agents 4 --duration 4 --mix mixed \
		--statement-tag --truth "$work/truth"
	wait_for [ -s "$out" ]
	kill -STOP "$tracer"
	sleep 2
	kill -CONT "$tracer"
	wait "$loader"
	end_trace
	something_lost
	complete_is_right
}

@test "ring buffer of the smallest size, full load, a pause: all is accounted" {
	overloaded --transport ring
}

@test "perf buffer of the smallest size, full load, a pause: all is accounted" {
	overloaded --transport perf
}

@test "naive scheme, smallest buffer, full load, a pause: all is accounted" {
	overloaded --no-accumulate
}

@test "after a pause that lost bytes exchanges are complete again" {
	local resumed connections
	trace "$datasnoop" -j --show-values -c "$agents" --ring-mb 0.125
	load_aside --name "$agents" --agents 4 --duration 5 --rate 400 \
		--statement-tag --truth "$work/truth"
	wait_for [ -s "$out" ]
	kill -STOP "$tracer"
	sleep 2
	kill -CONT "$tracer"
	resumed=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
	wait "$loader"
	end_trace
	something_lost
	complete_is_right
	connections=$(cut -f2 "$work/truth" | sort -u | wc -l)
	[ "$connections" -eq 4 ]
	for connection in $(cut -f2 "$work/truth" | sort -u); do
		[ "$(exchanges "select(.\"client.port\" == $connection and
			.\"datasnoop.complete\" and
			.timestamp > \"$resumed\")" | wc -l)" -gt 10 ] || {
			echo "connection of port $connection: not complete" \
				"again after $resumed"
			return 1
		}
	done
}

@test "kill -9 leaves nothing in the kernel, and the load goes on" {
	local programs
	command -v bpftool || skip "no bpftool here"
	trace "$datasnoop" -j -c "$agents"
	load_aside --name "$agents" --agents 2 --duration 5 --rate 1000
	wait_for [ -s "$out" ]
	programs=$(programs_of "$tracer")
	[ "$(wc -l <<<"$programs")" -ge 8 ]
	bpftool prog show id "$(head -1 <<<"$programs")"
	kill -KILL "$tracer"
	wait "$tracer" || [ $? -eq 137 ]
	# shellcheck disable=SC2086 # words
	wait_for none_loaded $programs
	[ "$(grep -c "bcc_$tracer" $tracing/uprobe_events)" -eq 0 ]
	is_running "$loader"
	wait "$loader"
	[ "$(loaded failures)" -eq 0 ]
	[ "$(loaded statements)" -gt 0 ]
}

# ends_well SIGNAL: status 0, and the account in words and as JSON.
ends_well() {
	trace "$datasnoop" -j -c "$agents"
	load_aside --name "$agents" --agents 2 --duration 20 --rate 1000
	wait_for [ -s "$out" ]
	kill "-$1" "$tracer"
	wait "$tracer"
	grep -q 'bytes seen = .* delivered + 0 lost' "$err"
	nothing_lost
	account '."capture.exchanges" > 0 and ."capture.bytes_seen" > 0'
	is_running "$loader"
	kill "$loader"
	wait "$loader"
	[ "$(loaded failures)" -eq 0 ]
}

@test "Ctrl-C ends with status 0 and the account" {
	ends_well INT
}

@test "SIGTERM ends with status 0 and the account" {
	ends_well TERM
}

@test "a reader that goes away ends it, with status 0 and the account" {
	load_aside --name "$agents" --agents 2 --duration 30 --rate 500
	"$datasnoop" -j -c "$agents" -d $LIFE 2>"$err" 3>&- \
		> >(head -n 1 >"$work/first") &
	tracer=$!
	own_pids+=("$tracer")
	wait_for has_ended "$tracer"
	wait "$tracer"
	grep -q 'bytes seen = ' "$err"
	jq -e '."event.name" == "datasnoop.exchange"' "$work/first"
}
