#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# containers.bats - containers as the kernel shows them: control groups and
# mount namespaces of processes, made here without any engine.

bats_require_minimum_version 1.5.0
load helpers

engine_id=$(printf '0123456789abcdef%.0s' 1 2 3 4)
other_id=$(printf 'fedcba9876543210%.0s' 1 2 3 4)

setup() {
	prepare
	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$mount" ] || skip "no cgroup2 here"
	group=/datasnoop-test-$BASHPID
	inner=$group/docker-$engine_id.scope/init
	other=$group/cri-containerd-$other_id.scope
	mkdir -p "$mount$inner" "$mount$other"
	# A name that no other test's client has.
	client=fetch$BASHPID
	ln -s "$(command -v curl)" "$work/$client"
	start_web
}

teardown() {
	local directory
	clean_up
	for directory in "$inner" "${inner%/*}" "$other" "$group"; do
		wait_for rmdir_if_there "$mount$directory" || true
	done
}

# Until its last process has quite gone.
rmdir_if_there() {
	[ ! -d "$1" ] || rmdir "$1" 2>/dev/null
}

# A web server over TLS: what it serves is $work/web, its port $port.
start_web() {
	mkdir "$work/web"
	echo content >"$work/web/page"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$work/key.pem" -out "$work/certificate.pem" -days 2 \
		-subj /CN=localhost 2>/dev/null
	port=$((20000 + BASHPID % 20000))
	(
		cd "$work/web" || exit 1
		exec openssl s_server -accept "$port" -WWW -quiet \
			-cert ../certificate.pem -key ../key.pem 3>&-
	) >/dev/null 2>&1 &
	own_pids+=("$!")
	wait_for fetch page
}

# fetch NAME: over TLS, in a process of its own; nobody looks at the content.
fetch() {
	timeout 20 "$work/$client" -sk -o "$work/fetched" "https://localhost:$port/$1"
}

# fetch_in GROUP NAME: by a process of that control group.
fetch_in() {
	# shellcheck disable=SC2016 # expanded by the other shell
	timeout 20 bash -c 'echo $$ >"$1/cgroup.procs"
		exec "$4" -sk -o "$2" "$3"' - "$mount$1" "$work/fetched" \
		"https://localhost:$port/$2" "$work/$client"
}

# Targets that clients asked for, each with what FILTER says, sorted.
targets() {
	exchanges "select(.\"datasnoop.role\" == \"client\") |
		[.\"datasnoop.http.target\"$1] | @tsv" | jq -r . | sort
}

@test "the container of a process that has gone: id, engine, path" {
	local lines
	trace "$datasnoop" -j -P http --port "$port" -c "$client"
	fetch_in "$inner" inner
	fetch_in "$other" other
	fetch outside
	end_trace
	lines=$(targets ', ."container.id" // "", ."container.runtime" // "",
		."process.linux.cgroup"')
	echo "$lines"
	grep -qx "/inner	$engine_id	docker	$inner" <<<"$lines"
	grep -qx "/other	$other_id	containerd	$other" <<<"$lines"
	grep -q "^/outside			" <<<"$lines"
	[ "$(wc -l <<<"$lines")" -eq 3 ]
	nothing_lost
}

@test "--container: by an id's beginning; others are not shown" {
	trace "$datasnoop" -j -P http --port "$port" --container "${engine_id:0:12}"
	fetch_in "$other" other1
	fetch outside1
	fetch_in "$inner" inner1
	fetch_in "$other" other2
	fetch_in "$inner" inner2
	fetch outside2
	end_trace
	[ "$(targets)" = "/inner1"$'\n'"/inner2" ]
	account_closes
}

@test "--container: several" {
	trace "$datasnoop" -j -P http --port "$port" --container "$engine_id,$other_id"
	fetch_in "$other" other
	fetch outside
	fetch_in "$inner" inner
	end_trace
	[ "$(targets)" = "/inner"$'\n'"/other" ]
}

@test "--cgroup: with what is below it, with the mount point or without" {
	local path
	for path in "$group" "$mount$group/"; do
		trace "$datasnoop" -j -P http --port "$port" --cgroup "$path"
		fetch_in "$other" other
		fetch outside
		fetch_in "$inner" inner
		end_trace
		[ "$(targets)" = "/inner"$'\n'"/other" ]
	done
}

@test "--cgroup: one, and not its neighbour, whose bytes are not captured" {
	local seen
	trace "$datasnoop" -j -P http --port "$port" -c "$client" --cgroup "${inner%/*}"
	# The first connection of a control group is what it is judged by.
	fetch_in "$other" judged
	fetch_in "$inner" one
	sleep 0.3
	for _ in 1 2 3 4 5 6 7 8; do
		fetch_in "$other" ignored
	done
	end_trace
	[ "$(targets)" = "/one" ]
	seen=$(account '."capture.connections"')
	echo "connections: $seen"
	[ "$seen" -eq 2 ]
}

@test "a container or control group that is not there: said, status 2" {
	run -2 "$datasnoop" --container 00000000dead -d 1
	[[ $output == *"no such container: 00000000dead"* ]]
	run -2 "$datasnoop" --cgroup "$group/none" -d 1
	[[ $output == *"no such control group: $group/none"* ]]
	run -2 "$datasnoop" --cgroup relative -d 1
	[[ $output == *"must begin with a slash"* ]]
}

# An image: a directory with copies of the client and all that it loads.
make_image() {
	local file
	image=$work/image
	mkdir -p "$image/dev" "$image/tmp" "$image/etc"
	echo "127.0.0.1 localhost" >"$image/etc/hosts"
	for file in /usr/bin/curl $(ldd /usr/bin/curl | grep -o '/[^ ]*') \
		$(find /lib /usr/lib -name libnss_files.so.2 | head -n 1); do
		mkdir -p "$image$(dirname "$file")"
		cp -Ln "$file" "$image$file"
	done
	mknod -m 666 "$image/dev/null" c 1 3
	mknod -m 666 "$image/dev/urandom" c 1 9
}

# fetch_image NAME: by the image's curl with the image's libraries.
fetch_image() {
	timeout 30 unshare -m sh -c 'exec chroot "$1" /usr/bin/curl -sk \
		-o /tmp/fetched "$2"' - "$image" "https://127.0.0.1:$port/$1"
}

@test "an image's own libssl, at the path that the host's has" {
	make_image
	trace "$datasnoop" -j -P http --port "$port" -c curl
	# It lives for some 20 ms, which may be too short to be seen itself.
	fetch_image unknown
	sleep 0.5
	fetch_image one
	fetch_image two
	end_trace
	targets '' | grep -v unknown >"$work/targets"
	cat "$work/targets"
	[ "$(cat "$work/targets")" = "/one"$'\n'"/two" ]
}

@test "an image's libssl that was mapped before the tracer: from the start" {
	local speaker
	make_image
	mkfifo "$work/go"
	# A process of the image that waits with its libraries mapped.
	unshare -m sh -c 'exec chroot "$1" /usr/bin/curl -sk -o /tmp/fetched \
		-K - ' - "$image" <"$work/go" 3>&- &
	speaker=$!
	own_pids+=("$speaker")
	exec 9>"$work/go"
	wait_for grep -q libssl "/proc/$speaker/maps"
	trace "$datasnoop" -j -P http --port "$port" -p "$speaker" 9>&-
	echo "url = https://127.0.0.1:$port/waited" >&9
	exec 9>&-
	wait "$speaker" || true
	end_trace
	[ "$(targets ', ."tls.library"')" = "/waited	openssl" ]
	nothing_lost
}
