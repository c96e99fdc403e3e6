#!/system/bin/sh
# Limits and rights of a container, as it sees and feels them. It takes a machine of two processors with the systems' disk on
# /dev/vda. Ends with "limits are right", or with the first that is not.
set -eu
. /usr/tests/checks.sh

id=701
cgroup=/sys/fs/cgroup/vz/$id
inside() {
	vzctl exec2 $id "$1"
}
save() { # OPTIONS: takes them for good, and starts the container again
	code 0 vzctl stop $id --fast
	code 0 vzctl set $id "$@" --save
	code 0 vzctl start $id --wait
}
now() { # hundredths of a second since the machine started
	read -r up _ </proc/uptime
	echo "${up%.*}${up#*.}" | sed 's/^0*//'
}

vzctl create $id --ostemplate live --config basic >/dev/null
code 0 vzctl start $id --wait

# Processors: which, and how much of them.
is "0-1" inside "sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status"
code 0 vzctl set $id --cpumask 1 --save
is "1" inside "sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status"
code 0 vzctl set $id --cpumask all --save
is "0-1" inside "sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status"
busy() { # percent of one processor that a busy loop gets in two seconds; the start of the command takes time, too
	used=$(sed -n 's/^usage_usec //p' $cgroup/cpu.stat)
	begin=$(now)
	inside 'timeout 2 sh -c "while :; do :; done"' >/dev/null 2>&1 || :
	took=$(($(now) - begin))
	echo $((($(sed -n 's/^usage_usec //p' $cgroup/cpu.stat) - used) / 100 / took))
}
between "a loop without a limit" "$(busy)" 40 110
code 0 vzctl set $id --cpulimit 25
between "a loop that may have a quarter" "$(busy)" 5 35
code 0 vzctl set $id --cpulimit 0 --cpuunits 2000
is "max 100000" cat $cgroup/cpu.max
is "200" cat $cgroup/cpu.weight

# Input and output: the weight, bytes and operations a second.
weight=$cgroup/io.bfq.weight
[ -e $weight ] || weight=$cgroup/io.weight
code 0 vzctl set $id --ioprio 6
is "default 400" head -n 1 $weight
inside 'dd if=/dev/zero of=/usr/big bs=64k count=64' >/dev/null 2>&1
reading() { # hundredths of a second to read 4 MiB from the disk
	sync
	echo 3 >/proc/sys/vm/drop_caches
	begin=$(now)
	inside "cat /usr/big >/dev/null"
	echo $(($(now) - begin))
}
free=$(reading)
code 0 vzctl set $id --iolimit 1M
slow=$(reading)
# A second for each MiB, and what reading takes anyway.
between "4 MiB at 1 MiB a second, without a limit $free" "$slow" 300 $((700 + free))
[ "$slow" -gt $((free + 200)) ] || fail "the limit is not felt: $free without, $slow with it"
code 0 vzctl set $id --iolimit 0 --iopslimit 10
grep -q "riops=10 wiops=10" $cgroup/io.max || fail "io.max: $(cat $cgroup/io.max)"
few=$(reading)
# Read-ahead makes a request of 128 KiB: 32 requests of 4 MiB, and some for the folders.
between "4 MiB by 10 requests a second, without a limit $free" "$few" 250 $((1500 + free))
code 0 vzctl set $id --iopslimit 0
between "4 MiB without a limit again" "$(reading)" 0 $((free * 3 + 100))

# What is not saved is gone at the next start; what is saved is kept.
code 0 vzctl set $id --numproc 77
is 77 cat $cgroup/pids.max
grep -q '^NUMPROC="240:240"' /etc/vz/conf/$id.conf || fail "--numproc was saved without --save"
code 0 vzctl restart $id --wait
is 240 cat $cgroup/pids.max
code 0 vzctl set $id --numproc 88:88 --save
is 88 cat $cgroup/pids.max
code 0 vzctl restart $id --wait
is 88 cat $cgroup/pids.max
code 0 vzctl stop $id --fast
code 31 vzctl set $id --numproc 99
code 0 vzctl start $id --wait

# Devices: none but the usual; one by its name, to be read alone; one by its number, made inside.
code 1 inside 'test -e /dev/vda'
save --devnodes vda:r
code 0 inside 'dd if=/dev/vda of=/dev/null bs=512 count=1'
code 1 inside 'dd if=/dev/zero of=/dev/vda bs=512 count=1'
save --devnodes vda:none
code 1 inside 'test -e /dev/vda'
major=$((0x$(stat -c %t /dev/vda)))
save --capability mknod:on
code 1 inside "mknod /usr/disk b $major 0 && cat /usr/disk"
save --devices b:$major:0:r
inside "rm -f /usr/disk; mknod /usr/disk b $major 0" || fail "it can't make the device that it may use"
# The container's disk is mounted without devices' meaning where the host says so; here it has one.
code 0 inside 'dd if=/usr/disk of=/dev/null bs=512 count=1'
code 1 inside 'dd if=/dev/zero of=/usr/disk bs=512 count=1'
save --devices b:$major:0:none --capability mknod:off
code 1 inside 'dd if=/usr/disk of=/dev/null bs=512 count=1'

# Rights: given and taken.
code 1 inside 'nice -n -5 nice'
save --capability sys_nice:on --capability chown:off
is "-5" inside 'nice -n -5 nice'
code 1 inside 'touch /usr/owned && chown tc /usr/owned'
save --capability sys_nice:off --capability chown:on
code 0 inside 'touch /usr/owned && chown tc /usr/owned'
code 21 vzctl set $id --capability no_such:on --save

# Features: a bridge of its own is a link of its own network; no view of the machine's devices; what can't be is kept, with a
# warning at the start.
code 0 vzctl set $id --netfilter disabled --save
save --features bridge:off
code 2 inside 'ip link add inner type bridge'
save --features bridge:on --features sysfs:off
# busybox's brctl would look into /sys.
code 0 inside 'ip link add inner type bridge && ip link show inner'
[ ! -e /sys/class/net/inner ] || fail "a container's bridge is the host's"
is 0 inside 'ls /sys | wc -l'
code 0 vzctl set $id --features nfs:on --save
vzctl restart $id --wait 2>&1 | grep -q "feature nfs is not possible" || fail "nothing tells that it has no NFS"
save --features nfs:off

# Terminals: the console's, and one more.
save --numpty 2
code 0 inside 'exec 5<>/dev/ptmx'
inside 'exec 5<>/dev/ptmx && exec 6<>/dev/ptmx && exec 7<>/dev/ptmx' 2>/dev/null && fail "it has more terminals than it may"

code 0 vzctl stop $id --fast
code 0 vzctl destroy $id
echo "limits are right"
