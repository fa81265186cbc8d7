#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# setup.sh - install what building, demo, tests and bench need; mount tracefs.
#
# For Debian 12, as root.  Does nothing, quickly, where nothing is missing.
# No service is started: of servers only the programs are wanted, which the
# scripts here run.  MariaDB's is -core (no unit, no user, no data).
set -eu

BUILD='gcc libc6-dev make pkg-config libbpfcc-dev libelf-dev libcapstone-dev
	libbpf-dev libcap-ng-dev libyajl-dev uthash-dev libssl-dev libpcap-dev
	libnghttp2-dev zlib1g-dev libbrotli-dev libzstd-dev liblz4-dev
	libsnappy-dev libpg-query-dev libprotobuf-c-dev libbson-dev'
RUN='mariadb-server-core mariadb-client-core redis-tools openssl python3'
TEST='bats check curl clang jq libclang-rt-14-dev procps bsdutils bpftool
	liburing-dev shellcheck groff mandoc tshark golang-go libgnutls28-dev
	wget lighttpd lighttpd-mod-mbedtls lighttpd-mod-wolfssl iproute2'
MATRIX='curl gnutls-bin golang-go libcurl3-nss libdbd-mariadb-perl
	libdbd-mysql-perl libnss3-tools nginx-light node-mysql nodejs php-cli
	php-mysql postgresql python3-pycurl python3-pymysql redis-server
	sysbench wget'
BENCH='wrk'
POLICY=/usr/sbin/policy-rc.d
TRACEFS=/sys/kernel/tracing

fail() {
	echo "setup: $*" >&2
	exit 1
}

# The packages among "$@" that are not installed, one a line.
missing_packages() {
	dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
		sed -n 's/^installed //p' | sort -u >"$installed"
	printf '%s\n' "$@" | sort -u | comm -23 - "$installed"
}

# The packages' scripts ask this one whether they may start what they bring.
forbid_services() {
	[ ! -e "$POLICY" ] || return 0
	forbidden=$POLICY
	printf '#!/bin/sh\nexit 101\n' >"$POLICY"
	chmod 755 "$POLICY"
}

# Update the lists only when they do not know a package, or are too old.
install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	forbid_services
	set -- -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
		install -y --no-install-recommends "$@"
	apt-get "$@" >"$log" 2>&1 && return
	apt-get -qq update >"$log" 2>&1 && apt-get "$@" >>"$log" 2>&1 && return
	tail -n 20 "$log" >&2
	fail "apt-get could not install the packages above"
}

# Unit tests need none; the tracer says what it misses.  So no failure here.
mount_tracefs() {
	[ ! -e "$TRACEFS/uprobe_events" ] || return 0
	if mount -t tracefs nodev "$TRACEFS" 2>/dev/null; then
		echo "setup: tracefs mounted at $TRACEFS"
	else
		echo "setup: cannot mount tracefs at $TRACEFS: the kernel has" \
			"none, or this container may not mount" >&2
	fi
}

installed=$(mktemp)
log=$(mktemp)
forbidden=
trap 'rm -f "$installed" "$log" ${forbidden:+"$forbidden"}' EXIT
trap 'exit 130' INT TERM

# shellcheck disable=SC2086 # lists of words
missing=$(missing_packages $BUILD $RUN $TEST $MATRIX $BENCH | tr '\n' ' ')
if [ -n "$missing" ]; then
	[ "$(id -u)" -eq 0 ] || fail "run as root, or install: $missing"
	command -v apt-get >/dev/null || fail "no apt-get here; needs: $missing"
	echo "setup: installing $missing"
	# shellcheck disable=SC2086
	install_packages $missing
fi
if [ "$(id -u)" -eq 0 ]; then
	mount_tracefs
fi
