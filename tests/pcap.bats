#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# pcap.bats - capture files through the whole program: -r, pipes, damage.
# The binary is $DATASNOOP, or datasnoop at the top of the checkout.
# Needs no root, and no capture: tests/make-pcap.py writes the packets.

bats_require_minimum_version 1.5.0

setup() {
	top="$BATS_TEST_DIRNAME/.."
	datasnoop="${DATASNOOP:-$top/datasnoop}"
	file="$BATS_TEST_TMPDIR/talk.pcap"
	"$top/tests/make-pcap.py" "$file"
}

# summary KEY: of the last object of $output.
summary() {
	tail -n 1 <<<"$output" | jq -r ".[\"capture.$1\"]"
}

@test "exchanges, their times and addresses, and no process" {
	run -0 --separate-stderr "$datasnoop" -j -r "$file"
	[ "$(jq -r '."db.query.text" // empty' <<<"$output")" = \
		"$(printf '%s\n' 'SELECT id, name FROM users WHERE id = ?' \
			'SELECT * FROM nowhere')" ]
	record=$(grep -F 'FROM users' <<<"$output")
	[ "$(jq -r .timestamp <<<"$record")" = "2023-11-14T22:13:20.006000Z" ]
	[ "$(jq -r '."client.address"' <<<"$record")" = 192.0.2.1 ]
	[ "$(jq -r '."client.port"' <<<"$record")" = 40000 ]
	[ "$(jq -r '."server.port"' <<<"$record")" = 5000 ]
	[ "$(jq -r '."db.response.returned_rows"' <<<"$record")" = 2 ]
	[ "$(jq -r '."datasnoop.duration_ms"' <<<"$record")" = 1 ]
	[ "$(jq -r 'keys[] | select(startswith("process") or
		. == "datasnoop.role" or . == "thread.id")' <<<"$record")" = "" ]
	[ "$(summary balanced)" = true ]
	[ "$(summary bytes_lost)" = 0 ]
	[ "$(summary packets)" = 12 ]
	[[ "$stderr" == *"12 packets read, 12 of them TCP"* ]]
}

@test "exchanges are the same however the packets are cut, in any order" {
	"$datasnoop" -j -r "$file" 2>/dev/null | grep -v summary \
		>"$BATS_TEST_TMPDIR/whole"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/whole")" = 4 ]
	for size in 1 2 3 7 20 100; do
		"$top/tests/make-pcap.py" "$file" "$size"
		"$datasnoop" -j -r "$file" 2>/dev/null | grep -v summary |
			diff "$BATS_TEST_TMPDIR/whole" -
	done
}

@test "the table shows a dash for what a file does not say" {
	TZ=UTC run -0 --separate-stderr "$datasnoop" -r "$file"
	line=$(grep 'FROM users' <<<"$output")
	read -r time pid comm tls proto peer ms rows _ <<<"$line"
	[ "$time $pid $comm $tls" = "22:13:20.006 - - -" ]
	[ "$proto $peer $ms $rows" = "mysql 192.0.2.2:5000 1.00 2" ]
}

@test "the filters work on files" {
	run -0 --separate-stderr "$datasnoop" -j -x -r "$file"
	[ "$(grep -c db.query.text <<<"$output")" = 1 ]
	[[ "$output" == *nowhere* ]]
	run -0 --separate-stderr "$datasnoop" -j --port 5000 -P mysql -r "$file"
	[ "$(grep -c db.query.text <<<"$output")" = 2 ]
	for none in "--port 5001" "--min-ms 100" "-p 1" "-c web" "-u root"; do
		# shellcheck disable=SC2086 # two words
		run -0 --separate-stderr "$datasnoop" -j $none -r "$file"
		[ "$(wc -l <<<"$output")" = 1 ]
	done
}

@test "--no-records leaves the account" {
	run -0 --separate-stderr "$datasnoop" --no-records -r "$file"
	[ -z "$output" ]
	[[ "$stderr" == *"4 exchanges on 1 connection"* ]]
	run -0 --separate-stderr "$datasnoop" --no-records -j -r "$file"
	[ "$(wc -l <<<"$output")" = 1 ]
	[ "$(summary exchanges)" = 4 ]
}

@test "standard input is read" {
	run -0 --separate-stderr sh -c "'$datasnoop' -j -r - <'$file'"
	[ "$(grep -c db.query.text <<<"$output")" = 2 ]
}

@test "a file is read without any right" {
	[ "$(id -u)" -eq 0 ] || skip "the other tests show it: not root here"
	nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups
		--bounding-set -all)
	"${nobody[@]}" test -x "$datasnoop" || skip "nobody may not run it"
	run -0 --separate-stderr "${nobody[@]}" "$datasnoop" -j -r - <"$file"
	[ "$(grep -c db.query.text <<<"$output")" = 2 ]
}

# The pipe stays open until both were seen: nothing waits for its end.
@test "a pipe shows exchanges as they come" {
	mkfifo "$BATS_TEST_TMPDIR/in"
	"$datasnoop" -j -r - <"$BATS_TEST_TMPDIR/in" \
		>"$BATS_TEST_TMPDIR/out" 2>/dev/null &
	pid=$!
	exec 5>"$BATS_TEST_TMPDIR/in"
	cat "$file" >&5
	for ((i = 0; i < 300; i++)); do
		grep -q nowhere "$BATS_TEST_TMPDIR/out" && break
		sleep 0.1
	done
	seen=$i
	exec 5>&-
	wait "$pid"
	[ "$seen" -lt 300 ]
	tail -n 1 "$BATS_TEST_TMPDIR/out" | grep -q datasnoop.summary
}

@test "a signal or -d ends the reading of a pipe, with the account" {
	mkfifo "$BATS_TEST_TMPDIR/in"
	exec 5<>"$BATS_TEST_TMPDIR/in"
	cat "$file" >&5
	run -0 --separate-stderr timeout 20 "$datasnoop" -j -d 0.3 \
		-r "$BATS_TEST_TMPDIR/in"
	[ "$(summary exchanges)" = 4 ]
	cat "$file" >&5
	run -0 --separate-stderr timeout --preserve-status -s INT 1 \
		"$datasnoop" -j -r "$BATS_TEST_TMPDIR/in"
	[ "$(summary exchanges)" = 4 ]
}

@test "a truncated file: what is there, one line, exit status 1" {
	head -c -3 "$file" >"$file.cut"
	run -1 --separate-stderr "$datasnoop" -j -r "$file.cut"
	[ "$(grep -c db.query.text <<<"$output")" = 2 ]
	[ "$(summary packets)" = 11 ]
	[ "$(grep -c "read $file.cut: truncated" <<<"$stderr")" = 1 ]
}

@test "what is no capture file is refused in one line" {
	: >"$BATS_TEST_TMPDIR/empty"
	echo "SELECT 1" >"$BATS_TEST_TMPDIR/text"
	for bad in empty text missing .; do
		run -1 --separate-stderr "$datasnoop" -j \
			-r "$BATS_TEST_TMPDIR/$bad"
		[ -z "$output" ]
		[ "${#stderr_lines[@]}" = 1 ]
		[[ "$stderr" == "datasnoop: read $BATS_TEST_TMPDIR/$bad: "* ]]
	done
}

@test "a full disk is told" {
	[ -e /dev/full ] || skip "no /dev/full here"
	run -1 sh -c "'$datasnoop' -j -r '$file' >/dev/full"
	[[ "$output" == *"write standard output: No space left on device"* ]]
}
