#!/system/bin/sh
# memory.sh NAME: the memory that the machine has in use, as a line "figure NAME VALUE KiB". recipes/bench.yaml runs it.
set -eu

# What a start leaves to the background is done: this is the last of it.
until [ -e /dev/stderr ]; do usleep 100000; done
# Out of all that the machine has, not of MemTotal: what the kernel never got back would not show there.
present=0
for zone in $(sed -n 's/^ *present *//p' /proc/zoneinfo); do present=$((present + zone * 4)); done
# The least of several readings: what the kernel frees later, and what happens to run, is not the system's.
least=
for round in 1 2 3 4 5; do
	sync
	echo 3 >/proc/sys/vm/drop_caches
	usleep 200000
	used=$((present - $(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)))
	if [ -z "$least" ] || [ "$used" -lt "$least" ]; then least=$used; fi
done
echo "figure $1 $least KiB"
