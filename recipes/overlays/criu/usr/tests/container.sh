#!/system/bin/sh
# A container that crun has made is saved by CRIU, ends, and goes on from the files.
set -eu

fail() {
	echo "container.sh: $*" >&2
	exit 1
}

dir=/usr/container
rm -rf "$dir"
mkdir -p "$dir/root/system" "$dir/root/usr" "$dir/root/proc" "$dir/root/dev" "$dir/root/sys" "$dir/images"
cp -a /system/bin "$dir/root/system/"
cd "$dir"
# A root that CRIU restores into has to be a mount.
mount -o bind root root
cat >root/count <<'END'
echo kept >/dev/shm/file
n=0
while [ -e /dev/shm/file ]; do
	n=$((n + 1))
	echo $n >>/usr/numbers
	usleep 10000
done
END
crun spec
sed -i 's/"terminal": true/"terminal": false/; s/"rootfs"/"root"/; s/"readonly": true/"readonly": false/
	s|"sh"|"/system/bin/sh", "/count"|; s|"PATH=[^"]*"|"PATH=/system/bin"|' config.json
# numbers: how many lines the counter has written so far; each has to be its own number.
numbers() {
	awk '$1 != NR { exit 1 } END { print NR }' root/usr/numbers
}
more() {
	until [ "$(numbers)" -gt "$1" ]; do usleep 20000; done
}
: >root/usr/numbers
crun create count </dev/null >/dev/null 2>&1
crun start count
pid=$(crun state count | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
more 20

# Mounts from outside are found by CRIU. The network is not its own to save: it gets one that is there.
external() {
	log=$dir/$1.log
	criu "$@" -v4 -o "$log" -D "$dir/images" --external "mnt[]" --manage-cgroups=ignore || {
		tail -n 30 "$log" >&2
		fail "criu $1 failed"
	}
}
external dump -t "$pid" --network-lock skip --external "net[$(stat -L -c %i "/proc/$pid/ns/net")]:network"
before=$(numbers) || fail "a number is missing"
crun delete -f count
usleep 200000
[ "$(numbers)" = "$before" ] || fail "something counts without the container"
exec 7</proc/self/ns/net
external restore -d --root "$dir/root" --inherit-fd "fd[7]:network" --pidfile "$dir/pid"
exec 7<&-
pid=$(cat "$dir/pid")
[ "$(awk '$1 == "NSpid:" { print $3 }' "/proc/$pid/status")" = 1 ] || fail "it is not the init of a container"
more $((before + 20))
numbers >/dev/null || fail "a number is missing or there twice"
[ "$(cat "/proc/$pid/root/dev/shm/file")" = kept ] || fail "the file in memory is lost"
kill -9 "$pid"
while [ -e "/proc/$pid/root" ]; do usleep 20000; done
cd /
umount "$dir/root"
rm -rf "$dir"
echo containers go on
