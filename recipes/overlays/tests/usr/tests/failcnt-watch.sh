#!/bin/sh
# failcnt-watch.sh STATE: tells which beancounters have refused more since the last run, and remembers them in the file STATE. The
# way in which OpenVZ's users watch /proc/user_beancounters, from cron on the host or in a container.
state=$1
now=$(awk '
	/^Version/ || $1 == "uid" { next }
	$1 ~ /^[0-9]+:$/ { uid = $1; sub(/:/, "", uid); $1 = ""; $0 = $0 }
	$1 != "dummy" { print uid, $1, $6 }
' /proc/user_beancounters) || exit 2
[ -n "$now" ] || exit 2
code=0
if [ -f "$state" ]; then
	echo "$now" | awk -v state="$state" '
		BEGIN { while ((getline line <state) > 0) { split(line, f, " "); old[f[1] " " f[2]] = f[3] } }
		$3 > old[$1 " " $2] + 0 { print "CT " $1 ": " $2 " was refused " $3 - old[$1 " " $2] " times"; found = 1 }
		END { exit found }
	' || code=1
fi
echo "$now" >"$state"
exit $code
