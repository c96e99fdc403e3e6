#!/system/bin/sh
# A container moves to another machine, over SSH. The other machine is a second system here, in namespaces of its own (mounts,
# network, processes) and with its own root and cgroups: what that does not try is another kernel, and another clock.
set -eu
. /usr/tests/helpers.sh

fail() {
	echo "migrate.sh: $*" >&2
	exit 1
}
other=/system/tmp/other
key=/system/root/.ssh/id_dropbear
there() {
	ssh -y -i $key root@192.168.7.2 "$@" 2>/system/tmp/ssh || {
		code=$?
		cat /system/tmp/ssh >&2
		return $code
	}
}
move() { # OPTIONS... CONTAINER
	vzmigrate --ssh="-y -i $key" "$@" 2>/system/tmp/moved
}
numbers() { # on a machine
	awk '$1 != NR { exit 1 } END { print NR }' /vz/root/101/usr/numbers
}

# The other machine: its first process waits until it is connected, and ends with its SSH server.
machine() {
	mkdir -p $other /sys/fs/cgroup/other
	mount -t tmpfs other $other
	mkdir $other/upper $other/work $other/root
	mount -t overlay overlay -o lowerdir=/system/live/ro,upperdir=$other/upper,workdir=$other/work $other/root
	cat >$other/root/machine <<-'END'
		set -e
		mount -t proc proc /system/tmp/other/root/proc
		cd /system/tmp/other/root
		mount -t sysfs sysfs sys
		mount -o bind /sys/fs/cgroup/other sys/fs/cgroup
		mount -t devtmpfs dev dev
		mkdir -p dev/pts dev/shm
		mount -t devpts -o ptmxmode=0666 devpts dev/pts
		mount -t tmpfs shm dev/shm
		mount -t tmpfs run system/run
		mkdir -p vz system/live/ro old
		mount -t tmpfs vz vz
		mount -o bind /system/live/ro system/live/ro
		pivot_root . old
		umount -l /old
		mkdir -p /system/run/lock /vz/private /vz/root /system/root/.ssh
		ip link set lo up
		until ip link show veth0 >/dev/null 2>&1; do usleep 50000; done
		ip addr add 192.168.7.2/24 dev veth0
		ip link set veth0 up
		ip route add default via 192.168.7.1
		chmod 700 /system/root /system/root/.ssh
		cp /key /system/root/.ssh/authorized_keys
		chmod 600 /system/root/.ssh/authorized_keys
		echo 1 >/proc/sys/net/ipv4/ip_forward
		exec dropbear -R -E -F
	END
	mkdir -p /system/root/.ssh
	[ -e $key ] || dropbearkey -t ed25519 -f $key >/dev/null 2>&1
	dropbearkey -y -f $key | grep '^ssh-' >$other/root/key
	unshare -m -n -p -f sh -c "sh $other/root/machine" >/system/tmp/other.log 2>&1 &
	host=$!
	until pid=$(pgrep -P $host) && [ -n "$pid" ]; do
		kill -0 $host 2>/dev/null || fail "no other machine: $(cat /system/tmp/other.log)"
		usleep 50000
	done
	# The kernel names the other end.
	ip link add m0 type veth
	ip link set veth0 netns "$pid"
	ip addr add 192.168.7.1/24 dev m0
	ip link set m0 up
	tries=0
	until there true 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || fail "no other machine: $(cat /system/tmp/other.log)"
		usleep 200000
	done
}

machine
vzctl create 101 --ostemplate live --config basic --name mover --hostname mover.example.org >/dev/null
vzctl set 101 --ipadd 10.0.0.101 --save >/dev/null
vzctl start 101 --wait >/dev/null
cat >/vz/root/101/usr/count <<'END'
n=0
while :; do
	n=$((n + 1))
	echo $n
	usleep 10000
done >>/usr/numbers
END
cat >/vz/root/101/usr/answer <<'END'
n=0
while read -r line; do
	n=$((n + 1))
	echo "$n $line"
done
END
vzctl exec2 101 'setsid sh /usr/count </dev/null >/dev/null 2>&1 &'
vzctl exec2 101 'setsid tcpsvd 0.0.0.0 7000 sh /usr/answer </dev/null >/dev/null 2>&1 &'
# Memory that does not change, for the rounds.
vzctl exec2 101 'setsid awk "BEGIN { while (i++ < 200000) a[i] = i; system(\"exec sleep 1000000\") }" </dev/null >/dev/null 2>&1 &'

# What fails leaves it here, and nothing there.
mkfifo /system/tmp/in
nc 10.0.0.101 7000 </system/tmp/in >/system/tmp/out &
exec 3>/system/tmp/in
echo one >&3
until grep -q '1 one' /system/tmp/out; do usleep 50000; done
refused 4 "connection" vzmigrate --live --ssh="-y -i $key -p 9" 192.168.7.2 101
vzctl exec 101 'sleep 1000' &
until vzctl exec 101 ps | grep -q '[s]leep 1000$'; do usleep 50000; done
refused 8 "foreign process" vzmigrate --live --ssh="-y -i $key" 192.168.7.2 101
same "the status" "$(vzctl status 101)" "CTID 101 exist mounted running"
same "what is there" "$(there 'ls -A /vz/private; ls /system/etc/vz/conf | grep ^101')" ""
vzctl exec 101 'kill $(pidof sleep | tr " " "\n" | sort -n | tail -n 1)' || :
wait $! || :
same "the check" "$(move --check-only --live 192.168.7.2 101)" "Checking live migration of CT 101 to 192.168.7.2"

# Alive: the connection goes on when the network leads to the other machine.
move --live -v 192.168.7.2 mover >/system/tmp/said || fail "$(cat /system/tmp/said /system/tmp/moved)"
grep -E 'Memory|suspended' /system/tmp/said
ip route add 10.0.0.101 via 192.168.7.2
echo two >&3
tries=0
until grep -q '2 two' /system/tmp/out; do
	tries=$((tries + 1))
	[ $tries -lt 600 ] || fail "the connection does not go on"
	usleep 100000
done
exec 3>&-
same "the status" "$(vzctl status 101)" "CTID 101 deleted unmounted down"
same "the status there" "$(there vzctl status mover)" "CTID 101 exist mounted running"
there "awk '\$1 != NR { exit 1 }' /vz/root/101/usr/numbers" || fail "a number is missing or there twice"
same "the host name" "$(there vzctl exec mover hostname)" mover.example.org
there vzctl stop 101 | grep -q "Container was stopped" || fail "stop"
ip route del 10.0.0.101

# With a stop, and what stays here; a suspended one.
vzctl create 102 --ostemplate live --config basic >/dev/null
vzctl start 102 --wait >/dev/null
vzctl exec2 102 'echo mine >/usr/mine; ln /usr/mine /usr/other'
move -r no 192.168.7.2 102 >/dev/null || fail "$(cat /system/tmp/moved)"
same "the status" "$(vzctl status 102)" "CTID 102 deleted unmounted down"
[ -e /system/etc/vz/conf/102.conf.migrated ] && [ -d /vz/private/102 ] || fail "102 is not kept"
same "a file" "$(there 'vzctl exec 102 cat /usr/other')" mine
vzctl create 103 --ostemplate live --config basic >/dev/null
vzctl start 103 --wait >/dev/null
vzctl suspend 103 >/dev/null
move 192.168.7.2 103 >/dev/null || fail "$(cat /system/tmp/moved)"
same "the status there" "$(there vzctl status 103)" "CTID 103 exist unmounted down suspended"
there 'vzctl resume 103 >/dev/null && vzctl status 103' | grep -q "mounted running" || fail "103 does not go on"
there 'vzctl stop 102; vzctl stop 103' >/dev/null
echo containers have moved
