#!/system/bin/sh
# What the programs of a Debian container (template `debian`, or $TEMPLATE) say of it, on a kernel with OpenVZ's series: 128 MiB, one processor of two,
# 64 processes. Ends with "Debian sees a container", or with the first thing that is not so.
set -eu
. /usr/tests/checks.sh

inside() {
	vzctl exec2 601 "$@"
}
age() {
	awk -v begin="$begin" '{ print int($1 - begin) + 2 }' /proc/uptime
}

vzctl --quiet stop 601 --fast >/dev/null 2>&1 || true
vzctl --quiet destroy 601 >/dev/null 2>&1 || true
same "the machine's processors" "$(nproc)" 2
vzctl --quiet create 601 --ostemplate "${TEMPLATE:-debian}" --config basic
vzctl --quiet set 601 --ram 128M --swap 0 --cpus 1 --numproc 64 --save
begin=$(cut -d' ' -f1 /proc/uptime)
vzctl --quiet start 601 --wait

same "free" "$(inside free | awk '/^Mem:/ { print $2 }')" 131072
same "free's swap" "$(inside free | awk '/^Swap:/ { print $2 }')" 0
same "nproc" "$(inside nproc)" 1
between "uptime" "$(inside uptime | sed -n 's/.* up \([0-9]*\) min,.*/\1/p')" 0 $(($(age) / 60))
inside top -b -n 1 >/system/tmp/top
same "top's memory" "$(sed -n 's/^MiB Mem : *\([0-9.]*\) total.*/\1/p' /system/tmp/top)" 128.0
between "top's tasks" "$(sed -n 's/^Tasks: *\([0-9]*\) total.*/\1/p' /system/tmp/top)" 2 64
# With 100.0 there is no blank before it.
between "top's idle time" "$(sed -n 's/^%Cpu.*[ ,]\([0-9.]*\) id.*/\1/p' /system/tmp/top)" 0 100
between "the age of init" "$(inside ps -o etimes= -p 1)" 0 "$(age)"
same "virt-what" "$(inside virt-what | grep -x openvz)" openvz
same "beancounters" "$(inside cat /proc/user_beancounters | grep -o '[0-9][0-9]*: ')" "601: "
# mawk is another awk than the machine's.
sh -c 'cat /usr/tests/failcnt-watch.sh' | inside 'cat >/tmp/failcnt-watch && chmod 755 /tmp/failcnt-watch'
inside /tmp/failcnt-watch /tmp/watch || fail "a first look has nothing to compare with"
inside 'i=0; while [ $i -lt 80 ]; do sleep 1000 & i=$((i + 1)); done' >/dev/null 2>&1 || :
vzctl --quiet set 601 --numproc 200
said=$(inside /tmp/failcnt-watch /tmp/watch 2>&1) && fail "the watcher saw nothing"
case $said in *"CT 601: numproc was refused"*) ;; *) fail "the watcher says: $said" ;; esac
vzctl --quiet stop 601 --fast
vzctl --quiet destroy 601
echo "Debian sees a container"
