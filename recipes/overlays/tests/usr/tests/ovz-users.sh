#!/system/bin/sh
# Root of a container with users of its own (LOCAL_UID) reads what is his container's, on a kernel with OpenVZ's series, and nobody
# else in it does. Ends with "users of its own see their own", or with the first that is not so.
set -eu

fail() {
	echo "FAILED: $*"
	exit 1
}
inside() {
	vzctl exec2 403 "$@"
}
same() {
	[ "$2" = "$3" ] || fail "$1: $2, expected $3"
}

vzctl --quiet create 403 --ostemplate live --config basic --local_uid 200000 --local_gid 300000
vzctl --quiet start 403 --wait
same "root outside" "$(awk '$1 == "Uid:" { print $2 }' "/proc/$(head -n 1 /sys/fs/cgroup/vz/403/cgroup.procs)/status")" 200000
same "veinfo" "$(inside cat /proc/vz/veinfo | awk '{ print NR, $1 }')" "1 403"
same "vestat" "$(inside cat /proc/vz/vestat | awk 'NR > 2 { print $1 }')" 403
same "beancounters" "$(inside cat /proc/user_beancounters | grep -o '[0-9][0-9]*: ')" "403: "
for file in /proc/vz/veinfo /proc/vz/vestat /proc/user_beancounters; do
	inside "su tc -c 'cat $file'" 2>&1 | grep -q "Permission denied" || fail "a user reads $file"
done
inside 'echo 5 >/sys/fs/cgroup/ve.id' >/dev/null 2>&1 && fail "a container changes its VEID"
vzctl --quiet stop 403 --fast
vzctl --quiet destroy 403
echo "users of its own see their own"
