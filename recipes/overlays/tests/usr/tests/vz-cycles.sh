#!/system/bin/sh
# vz-cycles.sh SECONDS: containers are created, started, looked at, stopped and destroyed for so long, by vzctl.
set -eu
end=$(($(cut -d. -f1 /proc/uptime) + $1))
count=0
while [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ]; do
	vzctl --quiet create 501 --ostemplate live --layout app --config app
	vzctl --quiet start 501
	vzctl exec2 501 'cat /proc/vz/* /proc/user_beancounters /proc/meminfo /proc/stat /proc/cpuinfo /proc/uptime /proc/loadavg /proc/swaps /sys/devices/system/cpu/online' >/system/tmp/read
	grep -q '^ *501:' /system/tmp/read
	cat /proc/vz/* /proc/user_beancounters /proc/bc/501/resources >/system/tmp/read
	vzlist -a >/system/tmp/read
	vzctl --quiet stop 501 --fast
	vzctl --quiet destroy 501
	[ ! -e /proc/bc/501 ]
	count=$((count + 1))
done
echo "$count containers by vzctl: done"
