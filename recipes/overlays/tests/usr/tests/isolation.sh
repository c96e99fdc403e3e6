#!/system/bin/sh
# What a container must not be able to do to the machine and to others. Ends with "isolation holds", or with the first that does not.
set -eu
. /usr/tests/checks.sh

inside() { # COMMAND: in container 301
	vzctl exec2 301 "$1"
}
may_not() { # COMMAND: has to fail inside
	if inside "$1" >/dev/null 2>&1; then fail "a container may: $1"; fi
}
alive() {
	[ "$(vzctl exec2 302 'echo alive')" = alive ] || fail "after $1 the other container does not answer"
	vzctl status 301 >/dev/null || fail "after $1 the machine does not answer"
}

for id in 301 302; do
	vzctl create $id --ostemplate live --config basic --ipadd 10.3.0.$((id - 300)) >/dev/null
done
# Without rules of its own, so without a say in its network; 302 has them, in its own namespace.
vzctl --quiet set 301 --numproc 40 --ram 32M --swap 0 --netfilter disabled --diskspace 64M --save
for id in 301 302; do
	vzctl --quiet start $id --wait
done

# Its own processes only: its init, and no kernel thread.
[ "$(inside 'cat /proc/2/comm 2>/dev/null')" != kthreadd ] || fail "a container sees the kernel's threads"
inside 'ps' | grep -q crun && fail "a container sees the machine's processes"
# Mounts, devices, modules, the clock, names, namespaces.
may_not 'mount -t tmpfs x /usr'
may_not 'mount -o remount,rw /proc/sys'
may_not 'umount /proc/kallsyms'
may_not 'mknod /usr/disk b 254 0'
may_not 'cat /dev/vda'
may_not 'cat /dev/mem'
may_not 'ls /dev/kmsg'
may_not 'dmesg'
may_not 'insmod /system/bin/busybox'
may_not 'date -s 2030-01-01; [ "$(date +%Y)" = 2030 ]'
may_not 'echo 1 >/proc/sys/kernel/panic'
may_not 'echo x >/sys/kernel/uevent_helper'
may_not 'echo core >/proc/sys/kernel/core_pattern'
may_not 'unshare -m true'
may_not 'unshare -U true'
may_not 'swapoff -a && swapon /dev/vda'
may_not 'echo max >/sys/fs/cgroup/memory.max'
may_not 'echo 1 >/sys/fs/cgroup/cgroup.freeze'
may_not 'ip link add type dummy'
may_not 'ip address add 10.3.0.77/32 dev venet0'
[ "$(inside 'cat /proc/kallsyms | wc -c')" = 0 ] || fail "a container reads the kernel's symbols"
# What is hidden by an empty file takes everything and does nothing.
inside 'echo b >/proc/sysrq-trigger' 2>/dev/null || :
alive "a request to reboot"
# Its tree is its own: neither the machine's folders nor another's, by whatever way.
may_not 'ls /vz/private || ls /hd || ls /system/live'
may_not 'ls /proc/1/root/vz/private'
may_not 'cd /; for i in 1 2 3 4 5 6 7 8; do cd ..; done; ls vz'
inside 'touch /system/bin/mine' || fail "a container can't write its own tree"
[ ! -e /system/bin/mine ] && [ ! -e /system/live/ro/system/bin/mine ] || fail "a container wrote into the template"
vzctl exec2 302 'ls /system/bin/mine' >/dev/null 2>&1 && fail "a container sees another's files"
# A file that runs as its owner gives the machine's users nothing.
inside 'cp /system/bin/busybox /usr/rooted && chmod 4755 /usr/rooted'
su tc -c '/vz/private/301/upper/usr/rooted id' >/dev/null 2>&1 && fail "a user of the machine runs a container's program as root"
su tc -c '/vz/root/301/usr/rooted id' >/dev/null 2>&1 && fail "a user of the machine runs a container's program as root"
# Somebody else's address.
inside 'ping -c 1 -W 1 -I 10.3.0.99 10.3.0.2' >/dev/null 2>&1 && fail "a container sends from an address that is not its own"

# Nor the engine's program, which whoever it joins can reach by /proc/PID/exe: it is run from where nothing can be written.
vzctl exec2 301 'touch /usr/entered; while [ -e /usr/entered ]; do usleep 50000; done' &
until [ -e /vz/root/301/usr/entered ]; do usleep 50000; done
is /system/run/vz/engine readlink "/proc/$(pgrep -f 'crun .* exec' | head -n 1)/exe"
rm /vz/root/301/usr/entered
wait
refused "Read-only file system" sh -c ': >>/system/run/vz/engine'

# What takes all there is.
inside 'bomb() { bomb | bomb & }; bomb' >/dev/null 2>&1 || :
alive "a fork bomb"
vzctl --quiet restart 301 --fast --wait
inside 'tail /dev/zero' >/dev/null 2>&1 && fail "a container got more memory than it may"
alive "a memory hog"
inside 'echo still' | grep -q still || fail "the container did not outlive its memory hog"
inside 'dd if=/dev/zero of=/usr/big bs=64k count=100000' >/dev/null 2>&1 && fail "a container got all of the disk"
alive "a full disk"
vzctl exec2 302 'dd if=/dev/zero of=/usr/mine bs=64k count=16' >/dev/null 2>&1 || fail "a full container leaves no room to others"
inside 'rm -f /usr/big'

# Its init, killed from outside: it is down, nothing else is, and it starts again.
kill -9 "$(head -n 1 /sys/fs/cgroup/vz/301/cgroup.procs)"
until vzctl status 301 | grep -q ' down'; do :; done
alive "the death of an init"
vzctl --quiet start 301 --wait
inside true || fail "a container does not start again after its init was killed"

for id in 301 302; do
	vzctl --quiet stop $id
	vzctl --quiet destroy $id
done
echo "isolation holds"
