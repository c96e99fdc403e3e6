#!/system/bin/sh
# Two containers on a bridge of the host. Ends with "the bridge is right", or with the first that is not.
set -eu
. /usr/tests/checks.sh

reaches() { # FROM ADDRESS: a container, or "host"
	if [ "$1" = host ]; then
		ping -c 1 -w 5 "$2" >/dev/null || fail "the host does not reach $2"
	else
		vzctl exec "$1" "ping -c 1 -w 5 $2" >/dev/null || fail "$1 does not reach $2"
	fi
}

brctl addbr br0
ip address add 10.6.0.1/24 dev br0
ip link set br0 up
for id in 601 602; do
	n=${id#60}
	vzctl create $id --ostemplate live >/dev/null
	vzctl --quiet set $id --netif_add eth0,00:18:51:aa:00:0$n,lan$n,00:18:51:bb:00:0$n,br0 --save
	vzctl --quiet start $id --wait
	vzctl exec $id "ip address add 10.6.0.1$n/24 dev eth0 && ip link set eth0 up"
	[ "$(vzctl exec $id 'cat /sys/class/net/eth0/address')" = 00:18:51:aa:00:0$n ] || fail "$id has another MAC"
	[ "$(cat /sys/class/net/lan$n/address)" = 00:18:51:bb:00:0$n ] || fail "lan$n of the host has another MAC"
	[ -e /sys/class/net/br0/brif/lan$n ] || fail "lan$n is not on the bridge"
done
reaches host 10.6.0.11
reaches 601 10.6.0.1
reaches 601 10.6.0.12
reaches 602 10.6.0.11
# They know each other by their own addresses, so nothing is in between.
vzctl exec 601 'ip neigh show 10.6.0.12' | grep -qi 00:18:51:aa:00:02 || fail "601 knows 602 by another MAC"

# Off the bridge while it runs, and on again, with another name on the host.
vzctl --quiet set 602 --netif_del eth0 --save
[ ! -e /sys/class/net/lan2 ] || fail "the interface is left"
vzctl exec 601 'ping -c 1 -w 1 10.6.0.12' >/dev/null && fail "602 answers without an interface"
vzctl --quiet set 602 --netif_add eth1 --save
vzctl --quiet set 602 --ifname eth1 --host_ifname other2 --bridge br0 --save
vzctl exec 602 'ip address add 10.6.0.12/24 dev eth1 && ip link set eth1 up'
[ -e /sys/class/net/br0/brif/other2 ] || fail "other2 is not on the bridge"
vzctl exec 601 'ip neigh flush all' || :
reaches 601 10.6.0.12

# Its own links are all that it sees.
[ "$(vzctl exec2 601 'ip link show' | grep -c eth0)" = 1 ] || fail "601 sees other links"
for id in 601 602; do
	vzctl --quiet stop $id --fast
	vzctl --quiet destroy $id
done
[ -z "$(ls /sys/class/net/br0/brif)" ] || fail "interfaces are left on the bridge"
ip link set br0 down
brctl delbr br0
echo "the bridge is right"
