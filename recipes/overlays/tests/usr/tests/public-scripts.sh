#!/bin/sh
# shellcheck disable=SC2016
# What scripts around OpenVZ do, line by line: backups, provisioning, monitoring, panels. Written anew after what such scripts rely on:
# not that a command succeeds, but what the script reads of it. `line TEXT WANTED` runs TEXT in a shell of its own and compares what it
# prints. `series` before it: it reads what OpenVZ's kernel has, and is left out on upstream's (the first argument).
# Ends with the number of lines that are right.
set -eu
. "${0%/*}/checks.sh"

kernel=${1:-series}
count=0
series() {
	[ "$kernel" = series ] || return 0
	"$@"
}
line() {
	got=$(sh -c "$1" 2>/dev/null) || got="$got|exit $?"
	[ "$got" = "$2" ] || fail "$1
printed: $got
expected: $2"
	count=$((count + 1))
}
# As `line`, for what varies: a pattern of the shell.
like() {
	got=$(sh -c "$1" 2>/dev/null) || got="$got|exit $?"
	# shellcheck disable=SC2254
	case $got in
	$2) ;;
	*) fail "$1
printed: $got
expected: $2" ;;
	esac
	count=$((count + 1))
}

for id in 1201 1202 1203 1299; do
	vzctl --quiet stop $id --fast >/dev/null 2>&1 || true
	vzctl --quiet umount $id >/dev/null 2>&1 || true
	vzctl --quiet destroy $id >/dev/null 2>&1 || true
done

# --- provisioning: what modules for configuration management and installers call
line 'vzlist -a -H -o ctid 1201 || echo none' none
line 'vzctl create 1201 --layout simfs --ostemplate live --config basic >/dev/null && echo made' made
line 'vzctl create 1202 --ostemplate live --config basic --hostname two.example.org >/dev/null && echo made' made
line 'vzctl set 1201 --hostname one.example.org --ipadd 10.12.0.1 --nameserver 192.0.2.53 --onboot yes --save >/dev/null && echo set' set
line 'vzctl set 1201 --hostname one.example.org --save 2>&1 | grep -c saved' 1
line 'vzctl set 1201 --ram 64M --swap 16M --save >/dev/null; grep -E "^(PHYS|SWAP)PAGES" /etc/vz/conf/1201.conf' 'PHYSPAGES="0:16384"
SWAPPAGES="0:4096"'
line 'vzctl set 1201 --diskspace 1G --diskinodes 20000 --save >/dev/null; grep ^DISK[SI] /etc/vz/conf/1201.conf' 'DISKSPACE="1048576:1048576"
DISKINODES="20000:20000"'
line 'vzctl set 1201 --cpuunits 1000 --cpulimit 50 --cpus 1 --save >/dev/null && . /etc/vz/conf/1201.conf && echo $CPUUNITS $CPULIMIT $CPUS' '1000 50 1'
line 'vzctl set 1201 --name web --save >/dev/null && readlink /etc/vz/names/web' /etc/vz/conf/1201.conf
line 'vzctl set 1201 --numproc abc --save >/dev/null 2>&1; echo $?' 21
line 'vzctl create 1201 --ostemplate live >/dev/null 2>&1; echo $?' 44
line 'vzctl start 1201 --wait >/dev/null && vzctl status 1201' 'CTID 1201 exist mounted running'
line 'vzctl status 1201 | cut -d" " -f5' running
line 'vzctl status web | awk "{ print \$3, \$4, \$5 }"' 'exist mounted running'
line 'vzctl status 1299' 'CTID 1299 deleted unmounted down'
line 'vzctl start 1201 >/dev/null 2>&1; echo $?' 32
line 'vzctl exec 1201 "test -d /system && echo yes"' yes
line 'vzctl exec2 1201 sh -c "exit\ 3" >/dev/null; echo $?' 3
line 'vzctl exec2 1201 "command -v no-such-program" >/dev/null 2>&1 || echo missing' missing
line 'printf "#!/bin/sh\nhostname\n" >/system/tmp/provision && vzctl runscript 1201 /system/tmp/provision; rm /system/tmp/provision' one.example.org
line 'echo text | vzctl exec 1201 "cat >/usr/file" && vzctl exec 1201 cat /usr/file' text
line 'cd / && tar cf - system/etc/vz/vz.conf | vzctl exec 1201 "tar xf - -C /usr" && vzctl exec 1201 "ls /usr/system/etc/vz"' vz.conf
line 'vzctl set 1201 --userpasswd tc:secret >/dev/null 2>&1; vzctl exec 1201 "grep ^tc: /system/etc/shadow" | cut -d: -f2 | cut -c1' '$'

# --- monitoring: what plug-ins and graphs read
line 'vzlist -H -o ctid | tr -d " "' 1201
line 'vzlist -a -H -o ctid,status | awk "{ print \$1 \"=\" \$2 }"' '1201=running
1202=stopped'
line 'vzlist -S -1 | tr -d " "' 1202
line 'vzlist -a -H -o hostname | sort | tr -d " "' 'one.example.org
two.example.org'
line 'for ct in $(vzlist -H -o ctid); do vzctl exec $ct "cut -d. -f1 /proc/uptime" | grep -c "^[0-9]*$"; done' 1
line 'vzlist -H -o ctid,ip | awk "\$2 == \"10.12.0.1\" { print \$1 }"' 1201
line 'vzlist -H -N web -o ctid | tr -d " "' 1201
line 'vzlist -H -h "one.*" -o ctid | tr -d " "' 1201
line 'vzlist -1a | wc -l | tr -d " "' 2
line 'vzlist -H -o numproc.f,privvmpages.f 1201 | awk "{ print \$1 + \$2 }"' 0
like 'vzlist -H -o numproc 1201 | tr -d " "' '[1-9]*'
series like 'vzlist -H -o laverage 1201 | tr -d " "' '*.*/*.*/*.*'
series like 'vzlist -H -o physpages,physpages.l 1201 | awk "{ print (\$1 > 0), \$2 }"' '1 16384'
series line 'awk "NR > 2 && \$NF ~ /^[0-9]+\$/ && \$NF > 0 { bad++ } END { print bad + 0 }" /proc/user_beancounters' 0
series line 'awk "\$1 == \"1201:\" { print \$2 }" /proc/user_beancounters' kmemsize
series line 'vzctl exec 1201 cat /proc/user_beancounters | awk "NR == 3 { print \$1 }"' 1201:
series line 'awk "\$1 == 1201 { print \$4 }" /proc/vz/veinfo' 10.12.0.1
series line 'vzctl exec 1201 free -k | awk "/^Mem:/ { print \$2 }"' 65536
series line 'vzctl exec 1201 nproc' 1
series line 'vzctl exec 1201 "head -1 /proc/user_beancounters"' 'Version: 2.5'
line 'vzlist -a -j | grep -c "\"ctid\":"' 2
line 'vzlist -j 1202 | grep "\"status\"" | tr -d " ,"' '"status":"stopped"'
series line 'test -d /proc/vz && test ! -e /proc/bc/1202 && echo host' host
like 'vzctl --version' 'vzctl version 4.11.1*'
line 'for p in $(vzctl exec 1201 "ls -d /proc/[0-9]*" | head -1); do echo $p; done' /proc/1
series line 'awk "/^envID:/ { print \$2 }" /proc/1/status' 0

# --- panels: plans, suspension of customers, addresses
line 'vzctl set 1201 --ipadd 10.12.0.2 --save >/dev/null && . /etc/vz/conf/1201.conf && echo $IP_ADDRESS' '10.12.0.1 10.12.0.2'
line 'vzctl set 1201 --ipdel all --ipadd 10.12.0.9 --save >/dev/null && vzlist -H -o ip 1201 | tr -d " "' 10.12.0.9
line 'vzctl exec 1201 ip address show | grep -c 10.12.0.9' 1
line 'ping -c 1 -w 5 10.12.0.9 >/dev/null && echo up' up
line 'vzctl set 1201 --applyconfig basic --save >/dev/null 2>&1 && grep ^ORIGIN /etc/vz/conf/1201.conf' 'ORIGIN_SAMPLE="basic"'
series line 'vzctl set 1201 --ram 96M --save >/dev/null && vzctl exec 1201 free -k | awk "/^Mem:/ { print \$2 }"' 98304
line 'vzctl set 1201 --hostname new.example.org --save >/dev/null && vzctl exec 1201 hostname' new.example.org
line 'vzctl set 1201 --features ppp:on --save >/dev/null 2>&1; echo $?' 0
line 'vzctl set 1201 --capability net_admin:on --save >/dev/null 2>&1; grep ^CAPABILITY /etc/vz/conf/1201.conf' 'CAPABILITY="NET_ADMIN:on"'
line 'vzctl set 1201 --netif_add eth0 --save >/dev/null && sed -n "s/.*host_ifname=\([^,\"]*\).*/\1/p" /etc/vz/conf/1201.conf' veth1201.0
line 'test -d /sys/class/net/veth1201.0 && vzctl exec 1201 "test -d /sys/class/net/eth0" && echo both' both
line 'vzctl set 1201 --netif_del eth0 --save >/dev/null && test ! -e /sys/class/net/veth1201.0 && echo gone' gone
line 'vzctl stop 1201 --fast >/dev/null && vzctl set 1201 --disabled yes --save >/dev/null; vzctl start 1201 >/dev/null 2>&1; echo $?' 105
line 'vzctl start 1201 --force >/dev/null 2>&1 && vzctl status 1201 | cut -d" " -f5' running
line 'vzctl set 1201 --disabled no --save >/dev/null && grep -c ^DISABLED=.no /etc/vz/conf/1201.conf' 1
line 'vzctl restart 1201 --wait >/dev/null && vzctl exec 1201 hostname' new.example.org

# --- backups: what is copied while it runs, is frozen, or is stopped
line 'VEID=1201; . /etc/vz/conf/1201.conf; test -d "$VE_PRIVATE" && test -d "$VE_ROOT/usr" && echo both' both
line 'vzctl exec 1201 "echo kept >/usr/kept; sync"; vzctl chkpnt 1201 --suspend >/dev/null && vzctl status 1201 | cut -d" " -f6' suspended
line 'VEID=1201; . /etc/vz/conf/1201.conf; tar cf /system/tmp/1201.tar --numeric-owner -C "$VE_PRIVATE" ./usr ./system/etc && tar tf /system/tmp/1201.tar | grep -c "^./usr/kept$"' 1
line 'vzctl chkpnt 1201 --resume >/dev/null && vzctl status 1201' 'CTID 1201 exist mounted running'
line 'vzctl stop 1201 >/dev/null && vzctl stop 1201 >/dev/null 2>&1 && vzctl destroy 1201 >/dev/null && echo destroyed' destroyed
line 'test -e /etc/vz/conf/1201.conf.destroyed && test ! -e /vz/private/1201 && test ! -e /etc/vz/names/web && echo clean' clean
line 'vzctl create 1201 --layout simfs --ostemplate live --config basic >/dev/null && VEID=1201 && . /etc/vz/conf/1201.conf && tar xf /system/tmp/1201.tar -C "$VE_PRIVATE" && rm /system/tmp/1201.tar && vzctl start 1201 --wait >/dev/null && vzctl exec 1201 cat /usr/kept' kept
line 'cp /etc/vz/conf/1202.conf /etc/vz/conf/1203.conf && cp -a /vz/private/1202 /vz/private/1203 && vzctl set 1203 --hostname three.example.org --save >/dev/null && vzlist -a -H -o hostname 1203 | tr -d " "' three.example.org
line 'for ct in $(vzlist -1a); do vzctl stop $ct >/dev/null 2>&1 && vzctl destroy $ct >/dev/null 2>&1 && echo $ct; done' '1201
1202
1203'
line 'vzlist -a 2>&1 | tail -1' 'Container(s) not found'

echo "$count lines of scripts are right"
