#!/system/bin/sh
# How containers end from inside, and what becomes of them. Ends with "ends are right", or with the first that is not.
set -eu
. /usr/tests/checks.sh

init() { # the host's number of the container's process 1
	cat /system/run/vz/401.pid 2>/dev/null || echo none
}
# becomes STATUS: waits until `vzctl status` says so; the machine's test has a limit of its own.
becomes() {
	until vzctl status 401 | grep -q "$1"; do usleep 50000; done
}
marked() { # whether it starts with the machine
	grep -qsx running /vz/running/401
}

vzctl create 401 --ostemplate live --config basic --ipadd 10.4.0.1 >/dev/null
vzctl --quiet start 401 --wait

# reboot: another process 1, the network again, what was in memory gone and what was on its disk there.
before=$(init)
vzctl exec 401 'echo kept >/usr/kept; echo gone >/system/run/gone; reboot' || :
until [ "$(init)" != "$before" ] && [ "$(init)" != none ]; do usleep 50000; done
becomes "mounted running"
until vzctl exec 401 'test -e /system/var/started' 2>/dev/null; do usleep 50000; done
vzctl exec 401 'grep kept /usr/kept && ! test -e /system/run/gone' >/dev/null || fail "a restart from inside is none"
until ping -c 1 -w 1 10.4.0.1 >/dev/null 2>&1; do :; done
# Once more, by the process that the restart began: nobody waits for it, and nothing of the first is left.
before=$(init)
vzctl exec 401 reboot || :
until [ "$(init)" != "$before" ] && [ "$(init)" != none ]; do usleep 50000; done
becomes "mounted running"
[ "$(pgrep -f 'vzctl start 401|vzctl --quiet ended 401' | wc -l)" -le 2 ] || fail "keepers are left"
# A signal that is ignored stays so in all that a process starts: SIGHUP (1) must not be.
until vzctl exec 401 'test -e /system/var/started' 2>/dev/null; do usleep 50000; done
ignored=$(vzctl exec 401 'grep SigIgn /proc/1/status')
case $ignored in
*[13579bdf]) fail "process 1 of a restarted container ignores hangups: $ignored" ;;
esac

# halt and poweroff: put away, and not started with the machine.
for how in halt poweroff; do
	marked || fail "it does not count as running"
	vzctl exec 401 $how || :
	becomes "unmounted down"
	# Another command waits for what is still to be done.
	vzctl --quiet set 401 --onboot no --save
	! marked || fail "after $how it would start with the machine"
	ip link show | grep -q 401 && fail "after $how its network is left"
	vzctl --quiet start 401 --wait
done

# Process 1 was killed: put away, and started with the machine.
kill -9 "$(init)"
becomes "unmounted down"
vzctl --quiet set 401 --onboot no --save
marked || fail "a killed container would not start with the machine"

# Stopped by command: the keeper does nothing of its own.
vzctl --quiet start 401 --wait
vzctl --quiet stop 401
vzctl status 401 | grep -q "unmounted down" || fail "stop"
vzctl --quiet start 401 --wait
vzctl --quiet restart 401 --wait
vzctl status 401 | grep -q "mounted running" || fail "restart"
vzctl --quiet stop 401 --fast

# Whenever a start is killed, the container runs or does not, and what is left of it is nobody's trouble.
kept() { # whether there is a keeper
	pgrep -f 'vzctl --quiet start 401' >/dev/null
}
ran=0
for delay in 4000 8000 12000 16000 20000 25000 30000 35000 40000 50000 60000 80000; do
	vzctl --quiet start 401 >/dev/null 2>&1 &
	usleep $delay
	kill -9 $! 2>/dev/null || :
	wait $! 2>/dev/null || :
	# Its keeper goes on: with the container, or until it has ended what was made so far.
	until vzctl exec 401 'test -e /system/var/started' >/dev/null 2>&1 || ! kept; do usleep 20000; done
	if kept; then ran=$((ran + 1)); else vzctl --quiet start 401 || fail "no start after one that was killed in $delay us"; fi
	until ping -c 1 -w 1 10.4.0.1 >/dev/null 2>&1; do :; done
	vzctl --quiet stop 401 --fast
	becomes "unmounted down"
	while kept; do usleep 20000; done
	[ ! -e /sys/fs/cgroup/vz/401 ] || fail "after a killed start its cgroup is left"
	ip link show | grep -q 401 && fail "after a killed start its network is left"
done
[ "$ran" -lt 12 ] || fail "no start was killed in time"
vzctl --quiet start 401 --wait
vzctl --quiet stop 401 --fast

# A start that fails when the engine is at work already leaves nothing.
ip address add 10.4.0.9/32 dev lo
vzctl --quiet set 401 --ipadd 10.4.0.9 --save
refused 10.4.0.9 vzctl start 401
becomes "unmounted down"
ip link show | grep -q 401 && fail "after a failed start its network is left"
[ ! -e /sys/fs/cgroup/vz/401 ] || fail "after a failed start its cgroup is left"
! marked || fail "after a failed start it counts as running"
is "" pgrep -f "vzctl start 401"
vzctl --quiet set 401 --ipdel 10.4.0.9 --save
vzctl --quiet start 401 --wait
vzctl --quiet stop 401 --fast
vzctl --quiet destroy 401
echo "ends are right"
