#!/system/bin/sh
# A container of the template "alpine": its own programs, users, network, limits and processors, on a machine of two processors with the
# systems' disk. Ends with "Alpine feels its limits", or with the first check that failed.
set -eu
. /usr/tests/checks.sh

id=121
inside() { # SCRIPT
	vzctl exec2 $id "$1"
}
seconds() { # OPERANDS of dd...
	inside "dd $* 2>&1 | sed -n 's/.*copied, \([0-9.]*\) seconds.*/\1/p'"
}

code 0 vzctl create $id --ostemplate alpine --hostname alpine.example.org --ipadd 10.5.0.$id
code 0 vzctl set $id --nameserver 192.0.2.1 --searchdomain example.org --save
code 0 vzctl start $id --wait
is "3.23.6" inside 'cat /etc/alpine-release'
is "alpine.example.org" inside hostname
is "nameserver 192.0.2.1" inside 'grep nameserver /etc/resolv.conf'
is "inet 10.5.0.$id/32" inside "ip -4 address show venet0 | grep -o 'inet 10[^ ]*'"
code 0 ping -c 1 -w 5 10.5.0.$id
# The package manager reads its database, and nothing of the root is damaged.
is "alpine-baselayout" inside 'apk info -e alpine-baselayout'
is "" inside 'apk audit --system | grep -v inittab || :'
# Owners and modes of the root, and a user who may not read the passwords.
is "root:shadow:640" inside 'stat -c %U:%G:%a /etc/shadow'
code 0 vzctl set $id --userpasswd ann:secret
code 0 inside 'su ann -c "! cat /etc/shadow 2>/dev/null && id -un | grep ann"'

# An interface on a bridge of the host.
brctl addbr br1
ip address add 10.8.0.1/24 dev br1
ip link set br1 up
code 0 vzctl set $id --netif_add eth0,00:18:51:cc:01:01,veth$id.0,00:18:51:dd:01:01,br1 --save
code 0 inside "ip address add 10.8.0.2/24 dev eth0 && ip link set eth0 up"
is "00:18:51:cc:01:01" inside 'cat /sys/class/net/eth0/address'
code 0 inside 'ping -c 1 -w 5 10.8.0.1'

# Processors, memory, input and output, as its own programs measure them.
code 0 vzctl set $id --cpumask 1 --save
is "1" inside nproc
code 0 vzctl set $id --cpumask all --ram 64M --swap 0 --save
is "65536" inside "sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo"
code 0 inside 'dd if=/dev/zero of=/usr/big bs=64k count=64'
sync
between "seconds to read 4 MiB without a limit" "$(seconds if=/usr/big of=/dev/null iflag=direct bs=64k)" 0 3
code 0 vzctl set $id --iolimit 1M
between "seconds to read 4 MiB at 1 MiB/s" "$(seconds if=/usr/big of=/dev/null iflag=direct bs=64k)" 3 8

# Its own init ends it, and starts again with what was set.
code 0 vzctl restart $id --wait
is "alpine.example.org ann" inside 'echo $(hostname) $(sed -n "s/^\(ann\):.*/\1/p" /etc/passwd)'
[ -e /sys/class/net/br1/brif/veth$id.0 ] || fail "$id is not on the bridge after its restart"
vzctl stop $id | tee /system/tmp/stop
grep -q Killing /system/tmp/stop && fail "$id was killed"
code 0 vzctl destroy $id

# With users of its own.
code 0 vzctl create $id --ostemplate alpine --local_uid 200000
code 0 vzctl start $id --wait
is "root:shadow:640" inside 'stat -c %U:%G:%a /etc/shadow'
is "200000:200042" stat -c %u:%g /vz/private/$id/upper/etc/shadow
vzctl --quiet stop $id --fast
code 0 vzctl destroy $id
ip link set br1 down
brctl delbr br1
echo "Alpine feels its limits"
