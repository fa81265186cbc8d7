#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# pcapng.bats - -w: what is written is what was read, for -r and for tshark.

bats_require_minimum_version 1.5.0

setup_file() {
	export top corpus
	top=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	corpus=$top/../shared/corpus
	"$top/tests/make-pcap.py" "$BATS_FILE_TMPDIR/talk.pcap"
	"$top/tests/make-pcap.py" "$BATS_FILE_TMPDIR/small.pcap" 40
}

setup() {
	datasnoop=${DATASNOOP:-$top/datasnoop}
	talk=$BATS_FILE_TMPDIR/talk.pcap
	written=$BATS_TEST_TMPDIR/written.pcapng
}

# exchanges FILE [OPTION...]: what -r shows of it, without the account.
exchanges() {
	"$datasnoop" --show-values -j -r "$@" 2>"$BATS_TEST_TMPDIR/err" \
		>"$BATS_TEST_TMPDIR/all" || return
	grep -v '"datasnoop.summary"' "$BATS_TEST_TMPDIR/all" || [ $? -eq 1 ]
}

need_tshark() {
	command -v tshark >/dev/null || skip "no tshark here"
}

# packets FIELD...: tshark's word on $written, checksums verified.
packets() {
	tshark -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
		-d tcp.port==5000,mysql -r "$written" "$@" 2>/dev/null
}

@test "what is written reads back the same" {
	exchanges "$talk" -w "$written" >"$BATS_TEST_TMPDIR/before"
	exchanges "$written" >"$BATS_TEST_TMPDIR/after"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/before")" = 4 ]
	diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
	# And what was made of that.
	exchanges "$written" -w "$written.2" >/dev/null
	diff <(exchanges "$written.2") "$BATS_TEST_TMPDIR/before"
}

@test "the corpus reads back the same, whatever its captures are of" {
	[ -d "$corpus" ] || skip "no corpus here"
	count=0
	while read -r file; do
		exchanges "$file" -w "$written" >"$written.before"
		exchanges "$written" >"$written.after"
		diff <(sort "$written.before") <(sort "$written.after") >&2 ||
			{ echo "$file"; false; }
		count=$((count + $(wc -l <"$written.before")))
	done < <(find "$corpus" -name '*.pcap' -o -name '*.pcapng')
	[ "$count" -gt 0 ]
}

@test "the file is its owner's alone" {
	umask 0
	exchanges "$talk" -w "$written" >/dev/null
	[ "$(stat -c %a "$written")" = 600 ]
}

@test "tshark finds good checksums, the handshake, the protocol and the end" {
	need_tshark
	exchanges "$talk" -w "$written" >/dev/null
	[ "$(packets -Y '!tcp' | wc -l)" = 0 ]
	[ "$(packets -Y 'tcp.checksum.status != 1 ||
		ip.checksum.status != 1' | wc -l)" = 0 ]
	[ "$(packets -Y 'tcp.analysis.flags || _ws.malformed' | wc -l)" = 0 ]
	[ "$(packets -Y tcp.flags.syn==1 | wc -l)" = 2 ]
	[ "$(packets -Y tcp.flags.fin==1 | wc -l)" = 2 ]
	packets -Y mysql.query -T fields -e mysql.query |
		grep -qx "SELECT id, name FROM users WHERE id = 7"
	[ "$(packets -Y mysql.error_code -T fields -e mysql.error_code)" = 1146 ]
}

@test "a gap is a segment not captured, in tshark and with -r" {
	need_tshark
	editcap "$BATS_FILE_TMPDIR/small.pcap" "$BATS_TEST_TMPDIR/lossy.pcap" \
		"$(tshark -r "$BATS_FILE_TMPDIR/small.pcap" -Y 'tcp.len > 0' \
			-T fields -e frame.number 2>/dev/null | sed -n 10p)"
	exchanges "$BATS_TEST_TMPDIR/lossy.pcap" -w "$written" \
		>"$BATS_TEST_TMPDIR/before"
	grep -q '"datasnoop.complete":false' "$BATS_TEST_TMPDIR/before"
	[ "$(packets -Y 'tcp.analysis.lost_segment ||
		tcp.analysis.ack_lost_segment' | wc -l)" -ge 1 ]
	diff "$BATS_TEST_TMPDIR/before" <(exchanges "$written")
}

@test "-w - goes through a pipe, and shows no records" {
	"$datasnoop" -r "$talk" -w - 2>"$written.err" |
		"$datasnoop" --show-values -j -r - 2>/dev/null |
		grep -v '"datasnoop.summary"' >"$BATS_TEST_TMPDIR/after"
	diff <(exchanges "$talk") "$BATS_TEST_TMPDIR/after"
	grep -q "bytes written in 14 packets" "$written.err"
}

@test "only chosen connections are written" {
	exchanges "$talk" --port 5001 -w "$written" >/dev/null
	[ -z "$(exchanges "$written")" ]
	exchanges "$talk" --port 5000 -w "$written" >/dev/null
	[ "$(exchanges "$written" | wc -l)" = 4 ]
}

@test "mistakes: the file to read, a terminal, records besides packets" {
	run -2 "$datasnoop" -r "$talk" -w "$talk"
	[[ "$output" == *"--write $talk: is the file to read"* ]]
	[ -s "$talk" ]
	run -2 "$datasnoop" -r "$talk" -w ""
	run -2 "$datasnoop" -j -r "$talk" -w -
	[[ "$output" == *"cannot have --json too"* ]]
	run -2 script -qec "'$datasnoop' -r '$talk' -w -" /dev/null
	[[ "$output" == *"must not be a terminal"* ]]
}

@test "a file that cannot be: one line, exit status 1" {
	run -1 --separate-stderr "$datasnoop" -r "$talk" -w /nonexistent/x
	[ "$stderr" = "datasnoop: write /nonexistent/x: No such file or directory" ]
}

@test "a full disk is told, and what was not written; records go on" {
	[ -e /dev/full ] || skip "no /dev/full here"
	run -1 --separate-stderr "$datasnoop" -j -r "$talk" -w /dev/full
	[ "$(grep -c '"datasnoop.exchange"' <<<"$output")" = 4 ]
	[[ "$stderr" == *"write /dev/full: No space left on device"* ]]
	[[ "$stderr" == *"0 bytes written in 0 packets, 413 more could not be written"* ]]
	[ "$(tail -n 1 <<<"$output" |
		jq '."capture.bytes_unwritten"')" = 413 ]
}

@test "nobody reads the pipe any more: that is no failure" {
	run -0 bash -o pipefail -c \
		"'$datasnoop' -q -r '$talk' -w - 2>/dev/null | head -c 1 >/dev/null"
}

@test "tshark reads the same statements and requests in generated captures" {
	need_tshark
	for kind in mysql http; do
		"$top/build/tools/gencapture" $kind 5000000 \
			"$BATS_TEST_TMPDIR/$kind.pcap" >/dev/null
	done
	"$top/tests/differential" "$BATS_TEST_TMPDIR/mysql.pcap" \
		"$BATS_TEST_TMPDIR/http.pcap"
}
