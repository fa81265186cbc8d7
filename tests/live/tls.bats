#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# tls.bats - other TLS libraries than the host's libssl, byte for byte.
#
# Real programs talk TLS over loopback.  Both ends are traced, mostly through
# different libraries: what one end has written is what the other has read,
# and it holds the file that was moved.

load helpers

setup() {
	prepare
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
		-keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
	cat "$work/key.pem" "$work/cert.pem" >"$work/both.pem"
	head -c 300000 /dev/urandom >"$work/file"
	# As lines of text, for programs that read commands.
	base64 "$work/file" | head -c 100000 >"$work/text"
	echo >>"$work/text"
	port=$((20000 + RANDOM % 10000))
}

teardown() {
	clean_up
}

# trace_programs PROGRAM...: under names of their own,
# links that $PROGRAM holds ($gnutls_cli).
trace_programs() {
	local program name filters=()
	for program; do
		command -v "$program" >/dev/null || skip "no $program here"
		name=$(printf %s "${program:0:4}${program: -2}$BASHPID")
		ln -sf "$(PATH=/usr/bin:/usr/sbin:/bin command -v "$program")" \
			"$work/$name"
		printf -v "${program//[-.]/_}" %s "$work/$name"
		filters+=(-c "$name")
	done
	dump_trace "${filters[@]}"
}

# aside COMMAND...: in the background, as pid $aside.
aside() {
	timeout -k 5 60 "$@" >"$work/aside.out" 2>&1 3>&- &
	aside=$!
	own_pids+=("$aside")
}

listens() {
	ss -ltn "sport = :$port" | grep -q LISTEN
}

serve_file() {
	aside "$python3" "$BATS_TEST_DIRNAME/tls_server.py" $port \
		"$work/cert.pem" "$work/key.pem" "$work/file"
	wait_for listens
}

# The connections of a library in $dump that moved anything, without suffix.
of_library() {
	local about
	for about in "$dump"/*.about; do
		if [ "$(awk '{ print $4 }' "$about")" = "$1" ]; then
			echo "${about%.about}"
		fi
	done
}

# other_end CONNECTION: the connection whose addresses are its, turned round.
other_end() {
	local about ends
	ends=$(awk '{ print $3, $2 }' "$1.about")
	for about in "$dump"/*.about; do
		if [ "$about" != "$1.about" ] &&
			[ "$(awk '{ print $2, $3 }' "$about")" = "$ends" ]; then
			echo "${about%.about}"
		fi
	done
}

# What is read after the other end was told good-bye is not compared.
starts_alike() {
	local shorter
	shorter=$(stat -c %s "$1" "$2" 2>/dev/null | sort -n | head -n 1)
	cmp -n "${shorter:-0}" "$1" "$2"
}

# both_ends LIBRARY OTHER [COUNT]: each connection of LIBRARY has another end,
# seen through OTHER; the bytes are the same, and no gap is in them.
both_ends() {
	local end other count=0
	for end in $(of_library "$1"); do
		other=$(other_end "$end")
		if [ -z "$other" ] ||
			[ "$(awk '{ print $4 }' "$other.about")" != "$2" ]; then
			echo "$end ($(cat "$end.about")) has no end in $2"
			cat "$dump"/*.about
			return 1
		fi
		touch "$end.in" "$end.out" "$other.in" "$other.out"
		cmp "$end.in" "$other.out"
		cmp "$end.out" "$other.in"
		count=$((count + 1))
	done
	if [ $count -ne "${3:-1}" ]; then
		echo "$count connections in $1"
		cat "$dump"/*.about "$err"
		return 1
	fi
	[ -z "$(cat "$dump"/*.gaps)" ]
}

# holds FILE LIBRARY DIRECTION: the file is the end of what was moved that way.
holds() {
	local end
	for end in $(of_library "$2"); do
		if cmp -s <(tail -c "$(stat -c %s "$1")" "$end.$3") "$1"; then
			return 0
		fi
	done
	echo "$1 is not in $2's $3"
	wc -c "$dump"/*
	return 1
}

finish() {
	end_trace
	nothing_lost
}

@test "GnuTLS: wget from OpenSSL" {
	trace_programs python3 wget
	serve_file
	"$wget" -q -O "$work/got" --ca-certificate="$work/cert.pem" \
		"https://localhost:$port/"
	cmp "$work/got" "$work/file"
	finish
	both_ends gnutls openssl
	holds "$work/file" gnutls in
}

# The echo of the text's last line is there: all has been there and back.
is_echoed() {
	grep -qF "$(tail -n 1 "$work/text")" "$work/got"
}

@test "GnuTLS: gnutls-cli to gnutls-serv: a text there and back" {
	trace_programs gnutls-serv gnutls-cli
	aside "$gnutls_serv" --quiet --echo --port $port \
		--x509certfile "$work/cert.pem" --x509keyfile "$work/key.pem"
	wait_for listens
	: >"$work/got"
	(cat "$work/text"; wait_for is_echoed) |
		timeout -k 5 60 "$gnutls_cli" --logfile=/dev/null \
		--no-ca-verification --port $port localhost >"$work/got"
	finish
	holds "$work/text" gnutls out
	holds "$work/text" gnutls in
	[ "$(of_library gnutls | wc -l)" -eq 2 ]
}

# What was got ends with the file.
is_answered() {
	cmp -s <(tail -c "$(stat -c %s "$work/file")" "$work/got") "$work/file"
}

@test "OpenSSL: curl and s_client" {
	trace_programs python3 curl openssl
	serve_file
	"$curl" -sS --cacert "$work/cert.pem" --data-binary @"$work/file" \
		-H Expect: -o "$work/got" "https://localhost:$port/"
	cmp "$work/got" "$work/file"
	: >"$work/got"
	(printf 'GET / HTTP/1.1\r\n\r\n'; wait_for is_answered) |
		timeout -k 5 60 "$openssl" s_client -quiet \
			-connect 127.0.0.1:$port >"$work/got" 2>/dev/null
	finish
	both_ends openssl openssl 4
	holds "$work/file" openssl in
	holds "$work/file" openssl out
}

nss_database() {
	mkdir "$work/nss"
	openssl pkcs12 -export -in "$work/cert.pem" -inkey "$work/key.pem" \
		-name localhost -passout pass: -out "$work/both.p12"
	certutil -N -d "sql:$work/nss" --empty-password
	pk12util -i "$work/both.p12" -d "sql:$work/nss" -W '' >/dev/null
}

@test "NSS: tstclnt from OpenSSL, plain files of the process left alone" {
	command -v certutil >/dev/null || skip "no certutil here"
	nss_database
	trace_programs python3 tstclnt
	serve_file
	printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >"$work/request"
	timeout 20 "$tstclnt" -h 127.0.0.1 -p $port -d "sql:$work/nss" -o -b \
		-A "$work/request" >"$work/got" 2>"$work/words" || true
	finish
	both_ends nss openssl
	holds "$work/request" nss out
	holds "$work/file" nss in
}

@test "NSS: curl from selfserv, whose PR_Writev is an exact gap" {
	command -v certutil >/dev/null || skip "no certutil here"
	nss_database
	trace_programs selfserv curl
	aside "$selfserv" -n localhost -p $port -d "sql:$work/nss"
	wait_for listens
	"$curl" -sS --http0.9 --insecure -o "$work/got" \
		"https://localhost:$port/" || true
	end_trace
	account_closes
	# It answers with PR_Writev of several buffers: a gap, of all its bytes.
	answer=$(cat "$(of_library openssl).in" | wc -c)
	[ "$answer" -gt 0 ]
	[ "$(cat "$(of_library nss).gaps")" = "out 0 $answer" ]
	account ".\"capture.bytes_lost\" == $answer"
	cmp "$(of_library nss).in" "$(of_library openssl).out"
}

# serve_lighttpd MODULE: the file, through that TLS library.
serve_lighttpd() {
	[ -e "/usr/lib/lighttpd/mod_$1.so" ] || skip "no mod_$1 here"
	cat >"$work/lighttpd.conf" <<-END
		server.modules = ("mod_$1")
		server.document-root = "$work"
		server.port = $port
		server.bind = "127.0.0.1"
		server.upload-dirs = ("$work")
		ssl.engine = "enable"
		ssl.pemfile = "$work/both.pem"
	END
	aside "$lighttpd" -D -f "$work/lighttpd.conf"
	wait_for listens
}

# lighttpd_serves MODULE LIBRARY
lighttpd_serves() {
	trace_programs lighttpd curl
	serve_lighttpd "$1"
	"$curl" -sS --http1.1 --cacert "$work/cert.pem" -o "$work/got" \
		"https://localhost:$port/file"
	cmp "$work/got" "$work/file"
	finish
	both_ends "$2" openssl
	holds "$work/file" "$2" out
}

@test "Mbed TLS: curl from lighttpd" {
	lighttpd_serves mbedtls mbedtls
}

@test "wolfSSL: curl from lighttpd" {
	lighttpd_serves wolfssl wolfssl
}

# A program that does TLS in memory, and moves the records itself: no system
# call tells its socket, so it is inferred, and the record says so.
inferred_client() {
	both_ends openssl openssl 2
	holds "$work/file" openssl in
	[ "$(grep -l inferred "$dump"/*.about | wc -l)" -eq 1 ]
	grep -q "^${1##*/} .* inferred" "$dump"/*.about
}

@test "TLS in memory: a client of Python's asyncio" {
	trace_programs python3 python3.11
	serve_file
	timeout 30 "$python3_11" -c '
import asyncio, ssl, sys
async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(sys.argv[1]), ssl=context, server_hostname="localhost")
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    sys.stdout.buffer.write(await reader.read(-1))
    writer.close()
asyncio.run(main())' $port "$work/cert.pem" >"$work/got"
	finish
	inferred_client "$python3_11"
}

@test "TLS in memory, OpenSSL linked into the program: a client of Node.js" {
	trace_programs python3 node
	serve_file
	timeout 30 "$node" -e '
const socket = require("tls").connect({host: "127.0.0.1",
	port: +process.argv[1], ca: require("fs").readFileSync(process.argv[2]),
	servername: "localhost"}, () => socket.write("GET / HTTP/1.1\r\n\r\n"));
socket.on("data", () => {});
socket.on("end", () => socket.end());' $port "$work/cert.pem"
	finish
	inferred_client "$node"
}

link_statically() {
	[ -e /usr/lib/x86_64-linux-gnu/libssl.a ] || skip "no libssl.a here"
	peer=linked$BASHPID
	cc -O1 -w -o "$work/$peer" "$top/tests/live/peer.c" \
		-l:libssl.a -l:libcrypto.a -lpthread -ldl "$@"
}

@test "OpenSSL linked into a program, started before and after the tracer" {
	link_statically
	play_aside early
	wait_for [ -e "$work/truth/early/ready.client" ]
	wait_for [ -e "$work/truth/early/ready.server" ]
	dump_trace -c "$peer" --ring-mb 64
	touch "$work/truth/early/go"
	wait "$played"
	play records
	play sizes-ex
	end_trace
	same_bytes early
	same_bytes records
	same_bytes sizes-ex
	nothing_lost
	seen_is_truth
}

@test "OpenSSL linked into a program, not known of before it starts" {
	link_statically
	dump_trace -c "$peer"
	play fresh
	end_trace
	same_bytes fresh
	nothing_lost
	seen_is_truth
}

@test "a program without its symbols: said, not guessed at" {
	link_statically -s
	play_aside early
	wait_for [ -e "$work/truth/early/ready.server" ]
	dump_trace -c "$peer"
	grep -q "$peer.* no symbols: it can't be traced" "$err"
	"$datasnoop" --doctor >"$work/doctor" || true
	grep -A4 "$peer" "$work/doctor" | grep -q 'not traced: .*no symbols'
	touch "$work/truth/early/go"
	wait "$played"
	end_trace
}

# compile SOURCE LIBRARY...: tests/live/tls/SOURCE.c, under a name of its own.
compile() {
	local source=$1
	shift
	program=$work/${source:0:6}$BASHPID
	cc -O1 -o "$program" "$top/tests/live/tls/$source.c" "$@"
}

@test "GnuTLS: corked sends, packets: each byte once" {
	[ -e /usr/include/gnutls/gnutls.h ] || skip "no gnutls.h here"
	compile gnutls_calls -lgnutls
	dump_trace -c "${program##*/}"
	timeout 30 "$program" "$work/file"
	finish
	head -c 150000 "$work/file" >"$work/moved"
	cat "$dump"/*.out | cmp - "$work/moved"
	cat "$dump"/*.in | cmp - "$work/moved"
}

@test "SSL_sendfile: an exact gap, and right bytes around it" {
	compile sendfile_call
	head -c 100000 "$work/file" >"$work/sent"
	aside "$program" "$work/sent" "$work/go"
	# It is what it is called when timeout has become it.
	wait_for pgrep -x "${program##*/}"
	dump_trace -c "${program##*/}"
	touch "$work/go"
	wait "$aside"
	end_trace
	account_closes
	account '."capture.lost.zero_copy" >= 100000'
	[ "$(cat "$(of_library openssl | tail -n 1).gaps")" = "out 5 100000" ]
	[ "$(cat "$(of_library openssl | tail -n 1).out")" = "beginended" ]
}
