#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# pf-linux as a subject of ../shared/peerbench: copy or link it to subjects/pf.sh.
# PF_BUILD is the directory of pfd and pfctl-linux.
here=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
build=${PF_BUILD:-$here/build}
work=${PB_WORK:-/tmp}/pf
sock=$work/sock
pins=/sys/fs/bpf/${PB_PREFIX:-pb}_pf
limit='set limit states 1000000'
pfctl() { "$build/pfctl-linux" -q -p "$sock" "$@"; }

stop() {
	local pid
	[ -e "$sock.lock" ] && pid=$(cat "$sock.lock") && ! flock -n "$sock.lock" true &&
		kill "$pid" && flock -w 10 "$sock.lock" true
	"$build/pfd" -X -P "$pins"
	rm -rf "$work"
}

case $1 in
info) echo "filters=yes state=yes" ;;
probe)
	[ -x "$build/pfd" ] || { echo "$build/pfd is not there: run make first"; exit 1; }
	;;
setup)
	stop 2>/dev/null
	mkdir -p "$work"
	"$build/pfd" -p "$sock" -P "$pins" -l "$work/pflog" 2>"$work/said" || exit 1
	# the table grows here, not in the timed load
	echo "$limit" | pfctl -f -
	;;
translate)
	{
		echo "$limit"
		awk -v ifin="$PB_IN" -v ifout="$PB_OUT" -f "$PB_LIB/policy2pf.awk" "$2"
	} >"$3"
	;;
load) pfctl -f "$2" ;;
unload) pfctl -F rules ;;
states) "$build/pfctl-linux" -p "$sock" -si | awk '/current entries/ { print $3 }' ;;
teardown) stop ;;
esac
