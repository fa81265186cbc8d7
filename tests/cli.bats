#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# cli.bats - the command line as its user meets it: help, errors, man page.
# The binary is $DATASNOOP, or datasnoop at the top of the checkout.

bats_require_minimum_version 1.5.0

setup() {
	top="$BATS_TEST_DIRNAME/.."
	datasnoop="${DATASNOOP:-$top/datasnoop}"
	man="$top/man/datasnoop.8"
}

# refuses PATTERN ARGUMENT...: exit status 2, nothing on standard output, and
# two lines on standard error: the mistake, then where to look.
refuses() {
	local pattern="$1"
	shift
	run -2 --separate-stderr "$datasnoop" "$@"
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 2 ]
	[[ "${stderr_lines[0]}" == *"datasnoop: "*$pattern* ]] || {
		echo "${stderr_lines[0]}"
		return 1
	}
	[[ "${stderr_lines[1]}" == *"datasnoop --help"* ]]
}

@test "--help goes to standard output, in 80 columns, with examples" {
	run -0 --separate-stderr "$datasnoop" --help
	[ -z "$stderr" ]
	[[ "$output" == "Usage: datasnoop "* ]]
	[[ "$output" == *$'\nEXAMPLES\n'* ]]
	run ! grep -E '.{81}' <<<"$output"
}

@test "-h and -? are --help" {
	run -0 "$datasnoop" --help
	help="$output"
	run -0 "$datasnoop" -h
	[ "$output" = "$help" ]
	run -0 "$datasnoop" '-?'
	[ "$output" = "$help" ]
}

@test "--version and -V print the name and the version" {
	run -0 --separate-stderr "$datasnoop" --version
	[[ "$output" =~ ^datasnoop\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	[ -z "$stderr" ]
	version="$output"
	run -0 "$datasnoop" -V
	[ "$output" = "$version" ]
	[ "$output" = "datasnoop $(sed -n 's/^VERSION = //p' \
		"$top/version.mk")" ]
}

@test "arguments and unknown options are refused" {
	refuses "extra: unexpected argument" extra
	refuses "unrecognized option '--nosuch'" --nosuch
	refuses "invalid option -- 'Z'" -Z
	refuses "option requires an argument -- 'p'" -p
	refuses "option '--json' doesn't allow an argument" --json=yes
}

@test "processes must be numbers, and exist" {
	refuses "--pid 0: must be a process number" -p 0
	refuses "--pid abc: must be a process number" --pid abc
	refuses "--pid: no process 99999999" --pid 99999999
	refuses "--pid \"\": an empty value" -p 1,
}

@test "commands, users, ports and protocols are checked" {
	refuses "--comm a-very-long-name-: a command name has at most 15" \
		-c a-very-long-name-
	refuses "--user no-such-user-: no such user" -u no-such-user-
	refuses "--port 0: must be a number from 1 to 65535" --port 0
	refuses "--port 99999: must be a number from 1 to 65535" --port 80,99999
	refuses "--protocol nosuch: must be one of: mysql" -P nosuch
	refuses "--read \"\": must be a file" --read=
}

@test "times are checked" {
	refuses "--duration 0: must be a number of seconds above 0" -d 0
	refuses "--duration 5s: must be a number of seconds above 0" -d 5s
	refuses "--min-ms x: must be a number of milliseconds" --min-ms x
	refuses "--flush-ms 0: must be a number from 1 to 10000" --flush-ms 0
}

@test "sizes are checked" {
	refuses "--flush-size 1000: must be a power of two from 256 to 16384" \
		--flush-size 1000
	refuses "--buffer-size 3000: must be a power of two from 512 to 32768" \
		--buffer-size 3000
	refuses "--buffer-size 1024: must be at least 2048, twice the flush" \
		--buffer-size 1024
	refuses "--copy-size 48: must be a power of two from 64 to 16384" \
		--copy-size 48
	refuses "--copy-size 2048: must be at most the flush size, 1024" \
		--copy-size 2048
	refuses "--ring-mb 3: must be a power of two from 1 to 1024" --ring-mb 3
	refuses "--max-capture 5: must be a multiple of 131072 up to 4194304" \
		--max-capture 5
	refuses "--max-connections 1: must be a number from 64 to 1048576" \
		--max-connections 1
	refuses "--transport tcp: must be auto, ring or perf" --transport tcp
}

# The options that a text names, as -x and --xyz, one a line, each once.
options_in() {
	grep -oE -- '(^|[^-[:alnum:]])(--[a-z][-a-z]+|-[A-Za-z?])' |
		grep -oE -- '--?[A-Za-z?][-a-z]*$' | sort -u
}

# Where options are defined: in --help the head of a line up to two spaces,
# in the man page the tags of the paragraphs of OPTIONS.
options_of_help() {
	"$datasnoop" --help |
		sed -nE 's/^ {2,6}(-.*)/\1/p' | sed -E 's/  .*//' | options_in
}

options_of_man() {
	sed -n '/^\.SH OPTIONS/,/^\.SH OUTPUT/p' "$man" | grep -A1 '^\.TP' |
		grep '^\.B' | sed 's/\\-/-/g; s/\\fR//g' | options_in
}

@test "the man page has each option of --help, and no other" {
	[ "$(options_of_help | wc -l)" -ge 36 ]
	diff <(options_of_help) <(options_of_man)
}

@test "the man page's text names no option that does not exist" {
	known="$(options_of_help)"
	for option in $(sed 's/\\-/-/g' "$man" | sed -n '/^\.SH OPTIONS/,$p' |
		grep -oE -- '--[a-z][-a-z]+' | sort -u); do
		grep -qxF -- "$option" <<<"$known" || {
			echo "$option"
			return 1
		}
	done
}

@test "the man page is clean" {
	command -v groff && command -v mandoc || skip "no groff or mandoc here"
	run -0 groff -man -ww -Tutf8 -z "$man"
	[ -z "$output" ]
	run -0 mandoc -T lint -W style "$man"
	[ -z "$output" ]
}
