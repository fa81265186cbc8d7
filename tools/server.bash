# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# server.bash - what the scripts of the private servers share; they source it.
#
# Each sets dir, the directory of its server, and has is_up and stop.
# All messages begin with the script's own name.

become=() # the words before a command that make it the server's user's
pid=      # the server's, as launch leaves it

START_SECONDS=20 # a server is up in less than one; a busy host takes longer
STOP_SECONDS=20
PORT_TRIES=20

fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# server_user NAME: whom the server runs as: NAME, Debian's, or one without
# rights at all where only the programs are installed; the caller, if not root.
server_user() {
	if [ "$(id -u)" -ne 0 ]; then
		id -un
	elif id "$1" >/dev/null 2>&1; then
		echo "$1"
	else
		echo nobody
	fi
}

# choose_user NAME: the server runs as server_user NAME, in $user.
choose_user() {
	user=$(server_user "$1")
	become=()
	[ "$(id -u)" -ne 0 ] || become=(setpriv --reuid "$user"
		--regid "$(id -g "$user")" --clear-groups)
}

# as_user COMMAND...: run it as the server's user.
as_user() {
	"${become[@]}" "$@"
}

# own PATH...: give them to the server's user.
own() {
	[ "$(id -u)" -ne 0 ] || chown "$user" "$@"
}

make_certificates() {
	local days=30
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-days $days -subj '/CN=datasnoop test CA' \
		-keyout "$dir/ca.key" -out "$dir/ca.pem" 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj '/CN=localhost' -keyout "$dir/server.key" \
		-out "$dir/server.csr" 2>/dev/null
	openssl x509 -req -days $days -in "$dir/server.csr" \
		-CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial \
		-extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') \
		-out "$dir/server.pem" 2>/dev/null
	chmod 644 "$dir/ca.pem"
}

# free_port: one that nothing listens on; the server may still lose it.
free_port() {
	local try port
	for ((try = 0; try < PORT_TRIES; try++)); do
		port=$((20000 + RANDOM % 12000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo $port
			return
		fi
	done
	fail "no free port on 127.0.0.1 in $PORT_TRIES tries"
}

# new_directory: $dir is there, and no server has been in it.
new_directory() {
	[ -d "$dir" ] || fail "$dir: no such directory"
	[ ! -e "$dir/data" ] || fail "$dir: is in use already"
}

# Is that process this directory's server?  A pid alone may be another's.
is_server() {
	[ -n "${1:-}" ] && tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" |
		grep -qF -- "$dir/"
}

# Gone, or a zombie that nobody waits for: no port, no file, no memory.
has_ended() {
	local state
	state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" \
		2>/dev/null) || return 0
	[ "$state" = Z ] || [ -z "$state" ]
}

# launch COMMAND...: the server, as pid $pid; returns when is_up says so.
launch() {
	setsid "$@" </dev/null >>"$dir/error.log" 2>&1 &
	pid=$!
	local try
	for ((try = 0; try < START_SECONDS * 20; try++)); do
		! is_up >/dev/null 2>&1 || return 0
		! has_ended "$pid" || return 1
		sleep 0.05
	done
	return 1
}

# stop_server PID SIGNAL: end this directory's server; return when it has gone.
stop_server() {
	local try
	is_server "$1" || return 0
	kill "-$2" "$1" 2>/dev/null || true
	for ((try = 0; try < STOP_SECONDS * 20; try++)); do
		! has_ended "$1" || return 0
		sleep 0.05
	done
	kill -KILL "$1" 2>/dev/null || true
}

# stop_failed: what a server that did not come up leaves behind.
stop_failed() {
	tail -n 5 "$dir/error.log" >&2
	stop
	fail "the server did not start"
}
