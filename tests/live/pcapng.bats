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
	server=
}

teardown() {
	if [ -n "$server" ]; then
		timeout 60 "$top/tools/$server.sh" stop "$served"
		rm -rf "$served"
	fi
	clean_up
}

# start_server NAME: tools/NAME.sh's, and what it says of itself.  It is of
# another user, who may not enter $work.
start_server() {
	server=$1
	served=$(mktemp -d "${BATS_TMPDIR:-/tmp}/datasnoop-$server.XXXXXX")
	timeout 90 "$top/tools/$server.sh" start "$served" \
		>"$work/env" 2>"$work/server.err" 3>&- ||
		{ cat "$work/server.err"; return 1; }
	# shellcheck source=/dev/null
	. "$work/env"
}

# dissected DISSECTOR PORT FIELD...: what tshark makes of what was written.
dissected() {
	local dissector=$1 port=$2 field fields=()
	shift 2
	for field; do
		fields+=(-e "$field")
	done
	tshark -r "$work/dump.pcapng" -d "tcp.port==$port,$dissector" \
		-Y "$dissector" -T fields -E aggregator=/s "${fields[@]}" \
		2>/dev/null
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

# ---- whose protocol nobody knows

# write_of SCENARIO OPTION...: what two processes move goes to a file too.
write_of() {
	local peer=odd$BASHPID
	mkdir -p "$work/truth" "$work/streams"
	trace "$datasnoop" -j -c "$peer" --ring-mb 64 \
		-w "$work/dump.pcapng" "${@:2}"
	case $1 in
	duplex) timeout -k 5 80 "$top/build/tests/live/duplex" \
		ipv4 2 1 3000000 "$work/truth" "$peer" 3>&- ;;
	*) timeout -k 5 80 "$top/tests/live/sockets_peer.py" "$1" \
		"$work/truth" "$peer" 3>&- ;;
	esac
	end_trace
	nothing_lost
}

sums_of() {
	sha256sum "$@" | cut -d' ' -f1 | sort
}

@test "a connection of unknown protocol is in the file, byte by byte" {
	write_of duplex
	"$top/tests/live/pcapng_streams.py" "$work/dump.pcapng" "$work/streams"
	account '."capture.bytes_written" == 24000000'
	[ "$(find "$work/truth" -size +1M | wc -l)" -eq 8 ]
	diff <(sums_of "$work"/truth/*.in "$work"/truth/*.out) \
		<(sums_of "$work"/streams/*)
}

# 64 MB and 64 KB, seen at both ends, with time to leave it alone in between.
@test "a connection of unknown protocol goes on being written" {
	write_of bulk
	account '."capture.bytes_written" == 2 * 1025 * 65536 and
		."capture.bytes_unparsed" == ."capture.bytes_written"'
}

@test "a connection of a protocol that -P excludes does not" {
	write_of http -P mysql
	account '."capture.bytes_written" > 0 and
		."capture.bytes_written" < 33554432'
}

# Twenty-three statements, in the clear: of a connection that asks for TLS in it
# tshark takes what follows for TLS.
@test "tshark finds PostgreSQL's statements and row counts in what was written" {
	command -v tshark >/dev/null || skip "no tshark here"
	local i client=query$BASHPID programs=(/usr/lib/postgresql/*/bin)
	[ -x "${programs[-1]}/psql" ] || skip "no psql here"
	start_server postgresql
	ln -s "${programs[-1]}/psql" "$work/$client"
	echo 'CREATE TABLE numbers (n integer);' >"$work/statements"
	echo 'CREATE TABLE' >"$work/tags"
	for i in $(seq 11); do
		echo "INSERT INTO numbers SELECT generate_series(1, $i);"
		echo "SELECT n FROM numbers WHERE n > 0 AND $i = $i;"
	done >>"$work/statements"
	for i in $(seq 11); do
		echo "INSERT 0 $i"
		echo "SELECT $((i * (i + 1) / 2))"
	done >>"$work/tags"
	trace "$datasnoop" --no-records -c "$client" -w "$work/dump.pcapng"
	PGPASSWORD=$PASSWORD timeout 60 "$work/$client" --no-psqlrc -At \
		"host=127.0.0.1 port=$PORT user=$USER dbname=$DATABASE \
		sslmode=disable" <"$work/statements" >/dev/null
	end_trace
	dissected pgsql "$PORT" pgsql.query | grep . >"$work/queries"
	diff "$work/statements" "$work/queries"
	dissected pgsql "$PORT" pgsql.tag | grep . >"$work/told"
	diff "$work/tags" "$work/told"
}

@test "tshark finds HTTP's URIs and statuses in what was written" {
	command -v tshark >/dev/null || skip "no tshark here"
	local i client=fetch$BASHPID urls=()
	start_server nginx
	ln -s "$(command -v curl)" "$work/$client"
	for i in $(seq 23); do
		echo "/page/$i?number=$((i * i))"
	done >"$work/targets"
	echo "/body/%2e%2e/%2e%2e/passwd" >>"$work/targets"
	while read -r i; do
		urls+=(-o /dev/null "https://localhost:$TLS_PORT$i")
	done <"$work/targets"
	trace "$datasnoop" --no-records -c "$client" -w "$work/dump.pcapng"
	timeout 60 "$work/$client" -sS --http1.1 --path-as-is --cacert "$CA" \
		-w '%{http_code}\n' "${urls[@]}" >"$work/statuses"
	end_trace
	dissected http "$TLS_PORT" http.request.uri | grep . >"$work/uris"
	diff "$work/targets" "$work/uris"
	dissected http "$TLS_PORT" http.response.code | grep . >"$work/codes"
	diff "$work/statuses" "$work/codes"
	# Both kinds: what is found, and what is no path at all.
	[ "$(grep -c 200 "$work/codes")" -eq 23 ]
	[ "$(grep -c 400 "$work/codes")" -eq 1 ]
}
