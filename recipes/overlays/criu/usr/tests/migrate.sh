#!/system/bin/sh
# Containers move to another machine, over SSH.
#
# migrate.sh destination   makes this machine the destination: it accepts the key of the other one, and connections with it
# migrate.sh               the test, on the other machine
#
# The two are connected by eth1, and have no other network (nodhcp): what else would be their address is the same on both.
set -eu
. /usr/tests/helpers.sh

fail() {
	echo "migrate.sh: $*" >&2
	exit 1
}
other=192.168.7.2
key=/system/root/.ssh/id_dropbear
there() {
	ssh -y -i $key root@$other "$@" 2>/system/tmp/ssh || {
		code=$?
		cat /system/tmp/ssh >&2
		return $code
	}
}
move() { # OPTIONS... CONTAINER
	vzmigrate --ssh="-y -i $key" "$@" 2>/system/tmp/moved
}

mkdir -p -m 700 /system/root/.ssh
if [ "${1-}" = destination ]; then
	# One key, from the one machine that there is.
	cat >/system/tmp/accept <<-'END'
		cat >/system/root/.ssh/new && mv /system/root/.ssh/new /system/root/.ssh/authorized_keys && echo accepted
	END
	setsid tcpsvd $other 7001 sh /system/tmp/accept </dev/null >/dev/null 2>&1 &
	echo 1 >/proc/sys/net/ipv4/ip_forward
	dropbear -R
	tries=0
	until netstat -ltn | grep -q ":7001 "; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || fail "nothing accepts the key"
		usleep 50000
	done
	echo the destination is ready
	exit
fi

dropbearkey -t ed25519 -f $key >/dev/null 2>&1
same "the key" "$(dropbearkey -y -f $key | grep '^ssh-' | nc $other 7001)" accepted
there true || fail "no connection to the destination"
vzctl create 101 --ostemplate live --config basic --name mover --hostname mover.example.org >/dev/null
vzctl set 101 --ipadd 10.0.0.101 --save >/dev/null
vzctl start 101 --wait >/dev/null
cat >/vz/root/101/usr/answer <<'END'
n=0
while read -r line; do
	n=$((n + 1))
	echo "$n $line"
done
END
count
vzctl exec2 101 'setsid tcpsvd 0.0.0.0 7000 sh /usr/answer </dev/null >/dev/null 2>&1 &'
# Memory that does not change any more, for the rounds.
vzctl exec2 101 'setsid awk "BEGIN { while (i++ < 200000) a[i] = i; system(\"exec sleep 1000000\") }" </dev/null >/dev/null 2>&1 &'
until vzctl exec2 101 ps | grep -q '[s]leep 1000000$'; do usleep 50000; done

# What fails leaves it here, and nothing there.
mkfifo /system/tmp/in
nc 10.0.0.101 7000 </system/tmp/in >/system/tmp/out &
exec 3>/system/tmp/in
echo one >&3
until grep -q '1 one' /system/tmp/out; do usleep 50000; done
refused 4 "connection" vzmigrate --live --ssh="-y -i $key -p 9" $other 101
vzctl exec 101 'sleep 1000' &
until vzctl exec 101 ps | grep -q '[s]leep 1000$'; do usleep 50000; done
refused 8 "foreign process" vzmigrate --live --ssh="-y -i $key" $other 101
same "the status" "$(vzctl status 101)" "CTID 101 exist mounted running"
same "what is there" "$(there 'ls -A /vz/private; ls /system/etc/vz/conf | grep ^101')" ""
vzctl exec 101 'kill $(pidof sleep | tr " " "\n" | sort -n | tail -n 1)' || :
wait $! || :
same "the check" "$(move --check-only --live $other 101)" "Checking live migration of CT 101 to $other"

# Alive: the connection goes on when the network leads to the other machine.
move --live -v $other mover >/system/tmp/said || fail "$(cat /system/tmp/said /system/tmp/moved)"
grep -E 'Memory|suspended' /system/tmp/said
ip route add 10.0.0.101 via $other
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
move -r no $other 102 >/dev/null || fail "$(cat /system/tmp/moved)"
same "the status" "$(vzctl status 102)" "CTID 102 deleted unmounted down"
[ -e /system/etc/vz/conf/102.conf.migrated ] && [ -d /vz/private/102 ] || fail "102 is not kept"
same "a file" "$(there 'vzctl exec 102 cat /usr/other')" mine
vzctl create 103 --ostemplate live --config basic >/dev/null
vzctl start 103 --wait >/dev/null
vzctl suspend 103 >/dev/null
move $other 103 >/dev/null || fail "$(cat /system/tmp/moved)"
same "the status there" "$(there vzctl status 103)" "CTID 103 exist unmounted down suspended"
there 'vzctl resume 103 >/dev/null && vzctl status 103' | grep -q "mounted running" || fail "103 does not go on"
there 'vzctl stop 102; vzctl stop 103' >/dev/null
echo containers have moved
