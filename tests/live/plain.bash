# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# plain.bash - what tests of plain sockets share: peers that note what each of
# their system calls moved, and the look whether that is what was captured.
#
# Sourced behind helpers; the test sets `peer`, the name of the peers.
# shellcheck disable=SC2034,SC2154

roomy='--ring-mb 64'
shapes='shapes-ipv4 shapes-ipv6 shapes-unix shapes-abstract shapes-pair
	vectors vectors-unix partial partial-unix urgent zerocopy'
owners='duplicates duplicates-unix stdio shutdown fork fork-unix passed
	passed-unix exec kill range others'

# play SCENARIO: to its end; the truth goes to $work/truth/SCENARIO.
play() {
	mkdir -p "$work/truth/$1"
	timeout -k 5 80 "$BATS_TEST_DIRNAME/sockets_peer.py" "$1" \
		"$work/truth/$1" "$peer" 3>&-
}

play_aside() {
	mkdir -p "$work/truth/$1"
	timeout -k 5 80 "$BATS_TEST_DIRNAME/sockets_peer.py" "$1" \
		"$work/truth/$1" "$peer" 3>&- &
	played=$!
	own_pids+=("$played")
}

# join_gaps DIR: neighbouring gaps as one, in each .gaps of DIR.
join_gaps() {
	local file
	for file in "$1"/*.gaps; do
		awk '{
			if ($1 == way && $2 == at) { sum += $3; next }
			if (way) print way, at, sum
			way = $1; at = $2; sum = $3
		}
		END { if (way) print way, at, sum }' \
			<(sort -s -k 1,1 "$file") >"$file.joined"
		mv "$file.joined" "$file"
	done
}

# same_streams SCENARIO: bytes, addresses and gaps are those of the truth.
same_streams() {
	local truth=$work/truth/$1 pid
	rm -rf "$work/pick"
	mkdir "$work/pick"
	for pid in $(cd "$truth" && printf '%s\n' [0-9]*.in | cut -d. -f1 |
		sort -u); do
		cp "$dump/$pid".* "$work/pick"
	done
	join_gaps "$truth"
	join_gaps "$work/pick"
	if diff <(connections_of "$truth" '*.in *.out *.about *.gaps') \
		<(connections_of "$work/pick" '*.in *.out *.about *.gaps') \
		>/dev/null; then
		return 0
	fi
	echo "$1: captured is not what was moved (bytes, addresses, gaps):"
	wc -c "$truth"/[0-9]* | head -60
	wc -c "$work"/pick/* | head -60
	tail -n 3 "$truth"/*.about "$work"/pick/*.about | head -60
	tail -n 3 "$truth"/*.gaps "$work"/pick/*.gaps | head -60
	return 1
}
