#!/system/bin/sh
# What a foreign distribution's own programs measure of limits and of a bridge: two containers of the template "debian". It takes a machine
# of two processors with the systems' disk. Ends with "Debian feels its limits", or with the first that is not.
set -eu
. /usr/tests/checks.sh

inside() { # CTID SCRIPT
	vzctl exec2 "$1" "$2"
}

# Interfaces on a bridge of the host, with their own addresses, told to each other by nobody else.
brctl addbr br0
ip address add 10.7.0.1/24 dev br0
ip link set br0 up
for id in 111 112; do
	n=${id#11}
	code 0 vzctl create $id --ostemplate debian --hostname debian$n
	code 0 vzctl set $id --netif_add eth0,00:18:51:cc:00:0$n,veth$id.0,00:18:51:dd:00:0$n,br0 --save
	code 0 vzctl start $id --wait
	code 0 inside $id "ip address add 10.7.0.1$n/24 dev eth0 && ip link set eth0 up && ip route add default via 10.7.0.1"
	is "00:18:51:cc:00:0$n" inside $id 'cat /sys/class/net/eth0/address'
	is "eth0 lo" inside $id 'echo $(ls /sys/class/net | sort)'
	[ -e /sys/class/net/br0/brif/veth$id.0 ] || fail "$id is not on the bridge"
done
code 0 inside 111 'busybox ping -c 1 -w 5 10.7.0.12'
code 0 inside 112 'busybox ping -c 1 -w 5 10.7.0.1'
is "lladdr 00:18:51:cc:00:02" inside 111 "ip neigh show 10.7.0.12 | grep -o 'lladdr [0-9a-f:]*'"
code 0 vzctl stop 112 --fast
[ ! -e /sys/class/net/br0/brif/veth112.0 ] || fail "112 is left on the bridge"
code 1 inside 111 'busybox ping -c 1 -w 2 10.7.0.12'

# Processors: how many there are, and which.
is "2 0-1" inside 111 'echo $(nproc) $(sed -n "s/^Cpus_allowed_list:.//p" /proc/self/status)'
code 0 vzctl set 111 --cpumask 1 --save
is "1 1" inside 111 'echo $(nproc) $(sed -n "s/^Cpus_allowed_list:.//p" /proc/self/status)'
# On which one a program has just run.
is "1 1 1 1" inside 111 'for n in 1 2 3 4; do awk "{ print \$39 }" /proc/self/stat; done | xargs'
code 0 vzctl restart 111 --wait
is "1 1" inside 111 'echo $(nproc) $(sed -n "s/^Cpus_allowed_list:.//p" /proc/self/status)'
code 0 vzctl set 111 --cpumask all --save
is "2 0-1" inside 111 'echo $(nproc) $(sed -n "s/^Cpus_allowed_list:.//p" /proc/self/status)'

# Input and output, past the page cache: dd's own seconds, reading and writing. Of a container in an image, too, whose requests a loop
# device makes of its own.
seconds() { # DD-OPTIONS...
	LANG=C inside $id "dd $* 2>&1 | sed -n 's/.*copied, \([0-9.]*\) s,.*/\1/p'"
}
reading="if=/usr/big of=/dev/null iflag=direct"
writing="if=/dev/zero of=/usr/big conv=notrunc oflag=direct"
code 0 vzctl create 113 --ostemplate debian --layout ploop --diskspace 256M
code 0 vzctl start 113 --wait
for id in 111 113; do
	code 0 inside $id 'dd if=/dev/zero of=/usr/big bs=64k count=64'
	sync
	between "$id: seconds to read 4 MiB without a limit" "$(seconds $reading bs=64k)" 0 3
	code 0 vzctl set $id --iolimit 1M
	between "$id: seconds to read 4 MiB at 1 MiB/s" "$(seconds $reading bs=64k)" 3 8
	between "$id: seconds to write 4 MiB at 1 MiB/s" "$(seconds $writing bs=64k count=64)" 3 8
	code 0 vzctl set $id --iolimit 0 --iopslimit 20
	between "$id: seconds for 80 reads at 20/s" "$(seconds $reading bs=4k count=80)" 3 8
	between "$id: seconds for 80 writes at 20/s" "$(seconds $writing bs=4k count=80)" 3 9
	code 0 vzctl set $id --iopslimit 0
	between "$id: seconds for 80 reads without a limit again" "$(seconds $reading bs=4k count=80)" 0 3
done

for id in 111 112 113; do
	vzctl --quiet stop $id --fast
	code 0 vzctl destroy $id
done
ip link set br0 down
brctl delbr br0
echo "Debian feels its limits"
