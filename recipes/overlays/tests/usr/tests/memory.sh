#!/system/bin/sh
# memory.sh NAME: the memory that the machine has in use, as a line "figure NAME VALUE KiB". recipes/bench.yaml runs it.
set -eu

# All that a start leaves to the background is there, and what stays of the caches is in use.
until pidof mdev >/dev/null; do usleep 100000; done
sync
echo 3 >/proc/sys/vm/drop_caches
# Out of all that the machine has, not of MemTotal: what the kernel never got back would not show there.
present=0
for zone in $(sed -n 's/^ *present *//p' /proc/zoneinfo); do present=$((present + zone * 4)); done
available=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
echo "figure $1 $((present - available)) KiB"
