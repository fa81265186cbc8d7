#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lint.sh - what can be said of the sources without running them.
set -u
cd "$(dirname "$0")/.." || exit 99
status=0

complain() {
	echo "$*"
	status=1
}

shellcheck -x tools/*.sh tests/*.sh tests/live/*.bash || status=1
groff -t -man -ww -Tutf8 man/datasnoop.8 >/dev/null 2>/tmp/lint.$$ ||
	status=1
[ ! -s /tmp/lint.$$ ] || complain "groff: $(cat /tmp/lint.$$)"
rm -f /tmp/lint.$$
mandoc -T lint -W warning man/datasnoop.8 || status=1
tests/lint-words.py || status=1

# Every source says its licence and begins with what it is.
while read -r file; do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: ' ||
		complain "$file: no SPDX line"
	grep -nE '[[:space:]]+$' "$file" && complain "$file: trailing blanks"
	grep -nE '^\s*//' "$file" && complain "$file: // comment"
done < <(find . -path ./build -prune -o \( -name '*.c' -o -name '*.h' \) -print)

# A room includes headers of its own and of rooms above it only.
rooms=(probes streams parsers classify access sinks)
for i in "${!rooms[@]}"; do
	for ((j = i + 1; j < ${#rooms[@]}; j++)); do
		grep -nE "#include \"${rooms[j]}/" "${rooms[i]}"/*.[ch] \
			2>/dev/null && complain "${rooms[i]} includes ${rooms[j]}"
	done
done

# libbcc is spoken to by the capture alone.
grep -lE '#include <bcc/' ./*.c streams/*.c parsers/*.c access/*.c sinks/*.c &&
	complain "libbcc outside probes/"
exit $status
