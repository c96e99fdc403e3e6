#!/system/bin/sh
# ovz.sh series|upstream: what OpenVZ's users and tools see of a kernel with our patch series, or that all works without it. For a
# machine with two processors. Ends with "all is as documented", or with the first that is not.
set -eu
. /usr/tests/checks.sh

inside() {
	vzctl exec2 401 "$@"
}
field() { # FILE LINE NUMBER
	awk -v line="$2" -v n="$3" '$1 == line { print $n }' "$1"
}
# counter FIELD NAME: of 401, as the host sees it; 1 is held, 2 maxheld, 3 barrier, 4 limit, 5 failcnt.
counter() {
	field /proc/bc/401/resources "$2" $(($1 + 1))
}
listed() {
	echo $(vzlist -H -o "$1" 401)
}
# The most that a container of this test can have lived, in seconds: the machine may be slow.
age() {
	awk -v begin="$begin" '{ print int($1 - begin) + 2 }' /proc/uptime
}
groups=/sys/fs/cgroup/vz
begin=$(cut -d' ' -f1 /proc/uptime)

for id in 401 402; do
	vzctl --quiet stop $id --fast >/dev/null 2>&1 || true
	vzctl --quiet destroy $id >/dev/null 2>&1 || true
	vzctl --quiet create $id --ostemplate live --config basic --hostname ct$id
done
# Something to share: compressed swap in memory.
[ -e /sys/block/zram0/initstate ] && [ "$(cat /sys/block/zram0/initstate)" = 1 ] || {
	echo 64M >/sys/block/zram0/disksize
	mkswap /dev/zram0 >/dev/null
	swapon /dev/zram0
}
vzctl --quiet set 401 --ram 128M --swap 32M --cpus 1 --numproc 64 --ipadd 10.4.0.1 --save
vzctl --quiet set 402 --ram 64M --ipadd 10.4.0.2 --ipadd 10.4.0.3 --save

machine() {
	field /proc/meminfo MemTotal: 2
	field /proc/meminfo SwapTotal: 2
	grep -c ^processor /proc/cpuinfo
	grep -c '^cpu[0-9]' /proc/stat
	field /proc/stat btime 2
	cat /sys/devices/system/cpu/online
	nproc
	sed -n '1p;2s/[ \t].*//p' /proc/swaps
}
machine >/system/tmp/machine
same "the machine's processors" "$(nproc)" 2
for id in 401 402; do
	vzctl --quiet start $id --wait
done
inside true || fail "nothing runs inside"

if [ "$1" = upstream ]; then
	for file in /proc/vz /proc/bc /proc/user_beancounters $groups/401/ve.id; do
		[ ! -e $file ] || fail "$file is there"
	done
	! grep -q ^envID /proc/self/status || fail "envID is there"
	# What the cgroup counts, and no more.
	between "numproc" "$(listed numproc)" 2 64
	between "physpages" "$(listed physpages)" 1 32768
	same "numproc.l" "$(listed numproc.l)" 64
	same "kmemsize" "$(listed kmemsize)" -
	between "vzlist's uptime" "$(listed uptime | awk -F'[dhms:]+' '{ print (($1 * 24 + $2) * 60 + $3) * 60 + $4 }')" 0 "$(age)"
	inside 'i=0; while [ $i -lt 80 ]; do sleep 1000 & i=$((i + 1)); done' >/dev/null 2>&1 || :
	same "vzlist's load" "$(listed laverage)" -
	between "numproc.f" "$(listed numproc.f)" 1 1000
	for id in 401 402; do
		vzctl --quiet stop $id
	done
	for id in 401 402; do
		vzctl --quiet destroy $id
	done
	echo "with upstream: all is as documented"
	exit 0
fi

# A container sees itself ----------------------------------------------------------------------------------------------
memory=131072 swap=32768
same "free" "$(inside free | awk '/^Mem:/ { print $2 }')" $memory
same "free's swap" "$(inside free | awk '/^Swap:/ { print $2 }')" $swap
same "MemTotal" "$(inside cat /proc/meminfo | field - MemTotal: 2)" $memory
between "MemAvailable" "$(inside cat /proc/meminfo | field - MemAvailable: 2)" 65536 $memory
same "SwapTotal" "$(inside cat /proc/meminfo | field - SwapTotal: 2)" $swap
same "swaps" "$(inside cat /proc/swaps | awk 'NR == 2 { print $1, $3 }')" "none $swap"
same "nproc" "$(inside nproc)" 1
same "cpuinfo" "$(inside grep -c ^processor /proc/cpuinfo)" 1
same "cpu online" "$(inside cat /sys/devices/system/cpu/online)" 0
same "stat's processors" "$(inside grep -c '^cpu[0-9]' /proc/stat)" 1
between "btime" "$(inside cat /proc/stat | field - btime 2)" $(($(date +%s) - $(age))) "$(date +%s)"
between "/proc/uptime" "$(inside cut -d\' \' -f1 /proc/uptime)" 0 "$(age)"
between "uptime's minutes" "$(inside uptime | sed -n 's/.* up \([0-9]*\) min,.*/\1/p')" 0 $(($(age) / 60))
between "loadavg's threads" "$(inside cat /proc/loadavg | sed 's#.*/\([0-9]*\) .*#\1#')" 2 64
between "loadavg" "$(inside cut -d\' \' -f1 /proc/loadavg)" 0 64
inside top -bn1 >/system/tmp/top
between "top's memory" "$(sed -n 's/^Mem: \([0-9]*\)K used, \([0-9]*\)K free.*/\1 \2/p' /system/tmp/top | awk '{ print $1 + $2 }')" $((memory - 64)) $((memory + 64))
grep -q '^CPU: .* idle' /system/tmp/top || fail "top: $(cat /system/tmp/top)"
# Ages, as minutes and seconds.
inside ps -o etime | sed 1d | while IFS=: read -r minutes seconds; do
	between "an age inside" $((minutes * 60 + ${seconds#0})) 0 "$(age)"
done
init=$(head -n 1 $groups/401/cgroup.procs)
started=$(sed 's/.*) //' /proc/"$init"/stat | cut -d' ' -f20)
between "the age of init as the host sees it" "$(awk -v s="$started" '{ print $1 - s / 100 }' /proc/uptime)" 0 "$(age)"
between "the start of init as itself sees it" "$(inside cat /proc/1/stat | sed 's/.*) //' | cut -d' ' -f20)" 0 $(($(age) * 100))
# It follows the limits at once.
vzctl --quiet set 401 --ram 96M --cpus 2
same "MemTotal after set --ram 96M" "$(inside cat /proc/meminfo | field - MemTotal: 2)" 98304
same "nproc after set --cpus 2" "$(inside nproc)" 2
vzctl --quiet set 401 --ram 128M --cpus 1
# The machine stays what it is.
machine | cmp -s - /system/tmp/machine || fail "the machine's view has changed: $(machine), was: $(cat /system/tmp/machine)"
between "the machine's uptime" "$(cut -d' ' -f1 /proc/uptime)" "$begin" 100000

# Identity -------------------------------------------------------------------------------------------------------------
same "version" "$(cut -d- -f1 /proc/vz/version)" "$(uname -r | cut -d- -f1)"
same "veinfo inside" "$(inside cat /proc/vz/veinfo | awk '{ print NR, $1, $2, $4, $5 }')" "1 401 0 10.4.0.1 "
same "veinfo on the host" "$(awk '{ print $1, $4, $5 }' /proc/vz/veinfo | sed 's/ *$//')" "0
401 10.4.0.1
402 10.4.0.2 10.4.0.3"
between "threads in veinfo" "$(field /proc/vz/veinfo 401 3)" 2 64
# As text from the cgroup, without the cost of the other counters.
same "vzlist's numproc" "$(listed numproc)" "$(counter 1 numproc)"
same "vestat inside" "$(inside cat /proc/vz/vestat | awk 'NR > 2 { print $1 }')" 401
same "vestat on the host" "$(echo $(awk 'NR > 2 { print $1 }' /proc/vz/vestat))" "401 402"
same "/proc/bc" "$(echo $(ls /proc/bc | sort -n))" "0 401 402"
refused "No such file" inside ls /proc/bc
same "envID inside" "$(inside cat /proc/self/status | field - envID: 2)" 401
same "envID of its init" "$(field /proc/"$init"/status envID: 2)" 401
same "envID on the host" "$(field /proc/self/status envID: 2)" 0
same "ve.id" "$(cat $groups/401/ve.id)" 401
# It is for good.
refused "busy" sh -c "echo 5 >$groups/401/ve.id"
refused "busy" sh -c "echo 401 >$groups/401/ve.id"
mkdir $groups/other
refused "File exists" sh -c "echo 401 >$groups/other/ve.id"
refused "Invalid argument" sh -c "echo 0 >$groups/other/ve.id"
refused "Invalid argument" sh -c "echo web >$groups/other/ve.id"
rmdir $groups/other
inside 'echo 5 >/sys/fs/cgroup/ve.id' >/dev/null 2>&1 && fail "a container changes its VEID"
same "ve.id" "$(cat $groups/401/ve.id)" 401
refused "not permitted" sh -c "echo $init >/sys/fs/cgroup/cgroup.procs"
refused "not permitted" sh -c "echo $init >$groups/402/cgroup.procs"
# It is nobody's business.
for file in /proc/vz/veinfo /proc/vz/vestat /proc/user_beancounters; do
	refused "Permission denied" su tc -c "cat $file"
	refused "Permission denied" inside "su tc -c 'cat $file'"
done
refused "Permission denied" su tc -c "cat /proc/bc/401/resources"
su tc -c "cat /proc/vz/version" >/dev/null || fail "version is a secret"

# Beancounters ---------------------------------------------------------------------------------------------------------
same "beancounters inside" "$(inside cat /proc/user_beancounters | grep -o '[0-9][0-9]*: ')" "401: "
same "beancounters on the host" "$(echo $(grep -o '[0-9][0-9]*: ' /proc/user_beancounters))" "0: 401: 402:"
same "lines of one container" "$(inside cat /proc/user_beancounters | wc -l)" 26
same "limit of numproc" "$(counter 4 numproc)" 64
same "limit of physpages" "$(counter 4 physpages)" $((memory / 4))
between "kmemsize" "$(counter 1 kmemsize)" 100000 30000000
between "numfile" "$(counter 1 numfile)" 3 200
same "vzlist's limit" "$(listed physpages.l)" $((memory / 4))
between "vzlist's kmemsize" "$(listed kmemsize)" 100000 30000000
between "vzlist's uptime" "$(listed uptime | awk -F'[dhms:]+' '{ print (($1 * 24 + $2) * 60 + $3) * 60 + $4 }')" 0 "$(age)"

watch=/usr/tests/failcnt-watch.sh
rm -f /system/tmp/watch
sh $watch /system/tmp/watch || fail "a first look has nothing to compare with"
inside sh $watch /usr/watch || fail "a first look inside has nothing to compare with"
same "failcnt of numproc" "$(counter 5 numproc)" 0
inside 'i=0; while [ $i -lt 80 ]; do sleep 1000 & i=$((i + 1)); done' >/dev/null 2>&1 || :
between "failcnt of numproc" "$(counter 5 numproc)" 1 1000
same "maxheld of numproc" "$(counter 2 numproc)" 64
case $(listed laverage) in
[0-9]*.[0-9][0-9]/[0-9]*.[0-9][0-9]/[0-9]*.[0-9][0-9]) ;;
*) fail "vzlist's load: $(listed laverage)" ;;
esac
vzctl --quiet chkpnt 401 --suspend
same "a suspended container's load" "$(listed laverage)" -
vzctl --quiet resume 401
between "vzlist's failcnt" "$(listed numproc.f)" 1 1000
# There is no room for a command that ends them.
vzctl --quiet set 401 --numproc 200
inside killall sleep
vzctl --quiet set 401 --numproc 64
oom=$(counter 5 physpages) kills=$(counter 5 oomguarpages)
inside 'tail /dev/zero' >/dev/null 2>&1 && fail "a container got more memory than it may"
between "failcnt of physpages" "$(counter 5 physpages)" $((oom + 1)) 100000
between "failcnt of oomguarpages" "$(counter 5 oomguarpages)" $((kills + 1)) 100000
refused "CT 401: numproc was refused" sh $watch /system/tmp/watch
refused "CT 401: oomguarpages was refused" inside sh $watch /usr/watch
sh $watch /system/tmp/watch || fail "the watcher tells the same twice"

# A new life begins at nothing.
restarted=$(cut -d' ' -f1 /proc/uptime)
vzctl --quiet restart 401 --fast --wait
begin=$restarted
same "failcnt of a new life" "$(counter 5 numproc)" 0
between "uptime of a new life" "$(inside cut -d\' \' -f1 /proc/uptime)" 0 "$(age)"
for id in 401 402; do
	vzctl --quiet stop $id
	[ ! -e /proc/bc/$id ] || fail "/proc/bc/$id outlives its container"
done
same "veinfo in the end" "$(awk '{ print $1 }' /proc/vz/veinfo)" 0
for id in 401 402; do
	vzctl --quiet destroy $id
done
sh /usr/tests/ovz-users.sh || fail "users of its own"
echo "with series: all is as documented"
