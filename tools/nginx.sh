#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nginx.sh - a private nginx server, for tests.
#
#	nginx.sh start DIR [--port N] [--tls-port N]
#	nginx.sh stop DIR
#
# All of it lives in DIR, which the caller makes and removes: certificates,
# error.log, access.log and `env`, shell assignments of HOST PORT TLS_PORT CA
# PID ACCESS_LOG BODY_BYTES.  It listens on 127.0.0.1, speaks HTTP/2 to those
# who ask for it in TLS, and answers each target with the same BODY_BYTES,
# which it reads itself (no sendfile).  A line of access.log is: the client's
# port, the pid of the process that answered, the target, the bytes of the
# body.  `stop` leaves the files, for the logs.
set -euo pipefail
# shellcheck source=tools/server.bash
. "$(dirname "$0")/server.bash"

BODY_BYTES=40009 # more than two TLS records hold

usage() {
	echo "usage: nginx.sh start DIR [--port N] [--tls-port N]" >&2
	echo "       nginx.sh stop DIR" >&2
	exit 2
}

write_configuration() {
	local kind
	cat >"$dir/nginx.conf" <<-END
		daemon off;
		worker_processes 1;
		pid $dir/pid;
		error_log $dir/error.log;
		events {
			worker_connections 1000;
		}
		http {
			log_format port '\$remote_port \$pid \$request_uri '
				'\$body_bytes_sent';
			access_log $dir/access.log port;
			sendfile off;
			default_type text/plain;
			root $dir/data;
	END
	for kind in client_body proxy fastcgi uwsgi scgi; do
		echo "${kind}_temp_path $dir/$kind;" >>"$dir/nginx.conf"
	done
	cat >>"$dir/nginx.conf" <<-END
			server {
				listen 127.0.0.1:$port;
				listen 127.0.0.1:$tls_port ssl http2;
				ssl_certificate $dir/server.pem;
				ssl_certificate_key $dir/server.key;
				location / {
					try_files /body =404;
				}
			}
		}
	END
}

is_up() {
	[ -s "$dir/pid" ] && (exec 3<>"/dev/tcp/127.0.0.1/$tls_port")
}

start() {
	local nginx
	nginx=$(find_nginx)
	[ -n "$nginx" ] || fail "no nginx here"
	new_directory
	choose_user nobody
	port=${port:-$(free_port)}
	tls_port=${tls_port:-$(free_port)}
	make_certificates
	write_configuration
	mkdir "$dir/data"
	head -c $BODY_BYTES < <(yes 'a line of text that nobody needs') \
		>"$dir/data/body"
	chmod 755 "$dir" "$dir/data"
	own "$dir" "$dir/data" "$dir/data/body" "$dir/server.key"
	: >"$dir/error.log"
	own "$dir/error.log"
	launch "${become[@]}" "$nginx" -p "$dir" -c "$dir/nginx.conf" ||
		stop_failed
	cat >"$dir/env" <<-END
		HOST=127.0.0.1
		PORT=$port
		TLS_PORT=$tls_port
		CA=$dir/ca.pem
		PID=$pid
		ACCESS_LOG=$dir/access.log
		BODY_BYTES=$BODY_BYTES
	END
	cat "$dir/env"
}

# It lies where only root's PATH leads.
find_nginx() {
	PATH=$PATH:/usr/sbin command -v nginx || true
}

# Ends this directory's server, and returns when it has gone.
stop() {
	stop_server "$(cat "$dir/pid" 2>/dev/null)" QUIT
}

[ $# -ge 2 ] || usage
action=$1
dir=$(realpath -m -- "$2")
shift 2
port=
tls_port=
while [ $# -gt 0 ]; do
	[[ ${2:-} =~ ^[0-9]+$ ]] || usage
	case $1 in
	--port) port=$2 ;;
	--tls-port) tls_port=$2 ;;
	*) usage ;;
	esac
	shift 2
done
case $action in
start) start ;;
stop) stop ;;
*) usage ;;
esac
