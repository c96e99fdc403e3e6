#!/system/bin/sh
# CRIU checkpoints a process tree of the live system, and restores it.
set -eu

fail() {
	echo "criu.sh: $*" >&2
	exit 1
}
dir=/usr/criu
rm -rf "$dir"
mkdir "$dir"

# run WHAT CRIU'S ARGUMENTS...: the log is shown if it fails.
run() {
	log=$dir/$1.log
	shift
	criu "$@" -v4 -o "$log" || {
		tail -n 30 "$log" >&2
		fail "criu $1 failed"
	}
}
# numbers: how many lines the counter has written so far; each has to be its own number.
numbers() {
	awk '$1 != NR { exit 1 } END { print NR }' "$dir/numbers"
}
# more THAN: waits until it has written more.
more() {
	until [ "$(numbers)" -gt "$1" ]; do usleep 20000; done
}
# free PID: waits until nothing is left of its session, not even what init has to wait for. The number is taken until then.
free() {
	tries=0
	while cat /proc/[0-9]*/stat 2>/dev/null | grep -E "^[0-9]+ \([^)]*\) [A-Z] [0-9]+ ([0-9]+ $1|$1) " >"$dir/left"; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || fail "left of the session $1: $(cat "$dir/left")"
		usleep 20000
	done
}

# Two shells and a pipe, in a session of their own.
cat >"$dir/counter" <<'END'
count() {
	n=0
	while :; do
		n=$((n + 1))
		echo $n
		usleep 10000
	done
}
count | while read -r n; do echo "$n" >>"$1"; done
END
: >"$dir/numbers"
setsid sh "$dir/counter" "$dir/numbers" </dev/null >/dev/null 2>&1 &
pid=$!
more 20

for turn in 1 2 3; do
	mkdir "$dir/images$turn"
	run "dump$turn" dump -t "$pid" -D "$dir/images$turn"
	wait "$pid" 2>/dev/null || :
	free "$pid"
	before=$(numbers) || fail "turn $turn: a number is missing"

	run "restore$turn" restore -d -D "$dir/images$turn"
	[ -e "/proc/$pid" ] || fail "$pid is not there again"
	more $((before + 20))
	numbers >/dev/null || fail "turn $turn: a number is missing or there twice"
done
kill -9 "-$pid"

# A dump that leaves the processes running.
: >"$dir/numbers"
setsid sh "$dir/counter" "$dir/numbers" </dev/null >/dev/null 2>&1 &
pid=$!
more 20
mkdir "$dir/running"
run running dump -t "$pid" -D "$dir/running" --leave-running
more $(($(numbers) + 20))
kill -9 "-$pid"
rm -rf "$dir"
echo processes go on
