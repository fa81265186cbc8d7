#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# pcapng.bats - -w on a live server: -r shows what the tracer showed.

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
}

teardown() {
	clean_up
}

# Exchanges of $1, as they are compared: in the order of connections, each in
# its own.  What a file has no place for: nothing, of a connection whose
# addresses are known.
comparable() {
	jq -cS 'select(."event.name" == "datasnoop.exchange")' "$1" |
		jq -csS 'sort_by(."client.port", ."process.pid",
			.timestamp)[]'
}

@test "what a traced MariaDB said over TLS reads back the same" {
	trace "$datasnoop" -j --show-values --both-ends --port "$server_port" \
		-w "$work/dump.pcapng"
	load --agents 3 --duration 2 --rate 200
	sleep 0.5
	end_trace
	nothing_lost
	[ "$(account '."capture.bytes_unwritten"')" = 0 ]
	[ "$(stat -c %a "$work/dump.pcapng")" = 600 ]
	"$datasnoop" -j --show-values --both-ends -r "$work/dump.pcapng" \
		>"$work/read" 2>/dev/null
	comparable "$out" >"$work/before"
	comparable "$work/read" >"$work/after"
	[ "$(wc -l <"$work/before")" -ge 200 ]
	grep -q '"process.pid"' "$work/after"
	diff "$work/before" "$work/after" >"$work/diff" || { head -c 3000 "$work/diff"; false; }
}

@test "the server's end is as little shown from a file as live" {
	trace "$datasnoop" -j --port "$server_port" -w "$work/dump.pcapng"
	load --agents 2 --duration 1 --rate 50
	sleep 0.5
	end_trace
	"$datasnoop" -j -r "$work/dump.pcapng" >"$work/read" 2>/dev/null
	[ "$(exchanges '."db.query.text" // empty' | wc -l)" -ge 40 ]
	[ "$(jq -c 'select(."event.name" == "datasnoop.exchange") |
		."datasnoop.role"' "$work/read" | sort -u)" = '"client"' ]
	diff <(comparable "$out" | jq -c '[."client.port", ."timestamp"]') \
		<(comparable "$work/read" |
			jq -c '[."client.port", ."timestamp"]')
}

@test "tshark reads the decrypted protocol as it is being written" {
	command -v tshark >/dev/null || skip "no tshark here"
	mkfifo "$work/pipe"
	timeout 60 tshark -l -i - -d "tcp.port==$server_port,mysql" \
		-Y mysql.query -T fields -e mysql.query <"$work/pipe" \
		>"$work/queries" 2>/dev/null 3>&- &
	own_pids+=($!)
	trace "$datasnoop" --no-records --port "$server_port" -w "$work/pipe"
	load --agents 1 --duration 1 --rate 20
	wait_for grep -q SELECT "$work/queries"
	end_trace
}
