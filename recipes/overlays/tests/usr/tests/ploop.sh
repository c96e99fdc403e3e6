#!/system/bin/sh
# Containers in images (layout ploop). Ends with "images are right", or with the first that is not.
set -eu
. /usr/tests/checks.sh

id=301
private=/vz/private/$id
image=$private/root.hdd/root.hdd
one={00000000-0000-0000-0000-00000000000a}
two={00000000-0000-0000-0000-00000000000b}
inside() {
	vzctl exec2 $id "$1"
}
loops() { # devices that show a file
	set -- /sys/block/loop*/loop
	[ -e "$1" ] || set --
	echo $#
}
room() { # KiB that the container has, or is told that it has
	inside "df -k / | awk 'END { print \$(NF-4) }'"
}
sound() { # IMAGE
	e2fsck -f -n "$1" >/system/tmp/fsck 2>&1 || fail "$1: $(cat /system/tmp/fsck)"
}
mkdir -p /system/mnt/snap
before=$(loops)

# Made, started, written to, full.
code 0 vzctl create $id --ostemplate live --layout ploop --diskspace 24M:32M --diskinodes 3000:4000 --hostname first
grep -q '^VE_LAYOUT="ploop"$' /etc/vz/conf/$id.conf || fail "nothing tells its layout"
grep -q '<Disk_size>65536</Disk_size>' $private/root.hdd/DiskDescriptor.xml || fail "its descriptor tells another size"
same "the image's size" "$(stat -c %s $image)" $((32 << 20))
between "KiB that the image takes" "$(du -k $image | cut -f 1)" 1000 24000
sound $image
same "loop devices after its creation" "$(loops)" "$before"
code 0 vzctl start $id --wait
same "loop devices while it runs" "$(loops)" $((before + 1))
is ploop vzlist -H -o layout $id
between "KiB in use" "$(vzlist -H -o diskspace $id)" 1000 24000
between "KiB it has" "$(room)" 20000 32768
inside 'echo one >/usr/mark && ln /usr/mark /usr/mark2'
inside 'dd if=/dev/zero of=/usr/big bs=64k count=640' >/dev/null 2>&1 && fail "40 MiB fit into 32"
inside 'rm /usr/big'

# Larger while it runs, never smaller.
code 20 vzctl set $id --diskspace 64M
code 0 vzctl set $id --diskspace 64M --save
between "KiB it has when it has grown" "$(room)" 52000 65536
code 0 inside 'dd if=/dev/zero of=/usr/big bs=64k count=640 && rm /usr/big'
code 154 vzctl set $id --diskspace 24M --save
grep -q '^DISKSPACE="65536:65536"$' /etc/vz/conf/$id.conf || fail "$(grep DISKSPACE /etc/vz/conf/$id.conf)"

# What removed files held is given back.
full=$(du -k $image | cut -f 1)
code 0 vzctl compact $id
between "KiB that the image takes after compact, $full before" "$(du -k $image | cut -f 1)" 1000 $((full - 30000))

# A snapshot of one that runs, which goes on; what it was is shown.
code 0 vzctl snapshot $id --id $one --name first
inside 'echo two >/usr/mark'
code 0 vzctl set $id --hostname second --save
sound "$image.$one"
code 0 vzctl snapshot-mount $id --id $one --target /system/mnt/snap
is one cat /system/mnt/snap/usr/mark
code 1 touch /system/mnt/snap/usr/new
code 0 vzctl snapshot-umount $id --id $one
code 0 vzctl snapshot $id --id $two
is "$one first" vzctl snapshot-list $id -H -o uuid,name --id $one

# Back, and forth.
code 0 vzctl snapshot-switch $id --id $one
is "CTID $id exist unmounted down" vzctl status $id
grep -q '^HOSTNAME="first"$' /etc/vz/conf/$id.conf || fail "its configuration did not come back"
code 0 vzctl mount $id
is one cat /vz/root/$id/usr/mark
same "names of a file" "$(stat -c %h /vz/root/$id/usr/mark2)" 2
code 0 vzctl umount $id
code 0 vzctl snapshot-switch $id --id $two --skip-config
code 0 vzctl start $id --wait
is two inside 'cat /usr/mark'
code 0 vzctl stop $id
code 0 vzctl snapshot-delete $id --id $one
code 0 vzctl snapshot-delete $id --id $two
is "" vzctl snapshot-list $id -H
is "DiskDescriptor.xml root.hdd" eval "echo \$(ls $private/root.hdd)"
sound $image

# Smaller while it does not run, down to what it holds.
code 154 vzctl set $id --diskspace 2M --save
code 0 vzctl set $id --diskspace 28M --offline-resize --save
same "the image's size when it has shrunk" "$(stat -c %s $image)" $((28 << 20))
sound $image
code 0 vzctl set $id --diskspace 30M --save
code 0 vzctl start $id --wait
is two inside 'cat /usr/mark'
between "KiB it has in the end" "$(room)" 20000 30720
# It ends in the middle of its work, and is sound at its next start.
inside 'dd if=/dev/zero of=/usr/big bs=64k count=32' >/dev/null 2>&1
code 0 vzctl stop $id --fast
code 0 vzctl start $id --wait
code 0 vzctl stop $id --fast
code 0 vzctl destroy $id
[ ! -e $private ] || fail "its private area is left"
same "loop devices in the end" "$(loops)" "$before"

# One image is mounted once, whatever its configuration says meanwhile.
code 0 vzctl create $id --ostemplate live --layout ploop --diskspace 32M
code 0 vzctl mount $id
code 0 vzctl set $id --root /vz/root/elsewhere --save
refused "is in use by /dev/loop" vzctl mount $id
code 0 vzctl set $id --root /vz/root/$id --save
code 0 vzctl umount $id
rmdir /vz/root/elsewhere 2>/dev/null || :
sound $image

# Another's format is told apart.
dd if=/dev/zero of=$image bs=4k count=1 conv=notrunc 2>/dev/null
refused "is not an image of ext4" vzctl start $id
code 0 vzctl destroy $id

# With users of its own.
code 0 vzctl create $id --ostemplate live --layout ploop --diskspace 32M --local_uid 200000
code 0 vzctl start $id --wait
is 0 inside 'stat -c %u /usr'
is 200000 stat -c %u /vz/root/$id/usr
code 0 vzctl stop $id --fast
code 0 vzctl destroy $id

# The files of other layouts become an image.
for layout in overlay app; do
	code 0 vzctl create $id --ostemplate live --layout $layout --diskspace 32M
	code 0 vzctl start $id --wait
	inside 'echo kept >/usr/mark && ln /usr/mark /usr/mark2'
	code 32 vzctl convert $id
	code 0 vzctl stop $id --fast
	code 0 vzctl convert $id --layout ploop
	code 0 vzctl start $id --wait
	is ploop vzlist -H -o layout $id
	is "kept 2" inside 'echo $(cat /usr/mark) $(stat -c %h /usr/mark2)'
	code 0 vzctl stop $id --fast
	code 0 vzctl destroy $id
done
same "loop devices in the very end" "$(loops)" "$before"
is "" ls /vz/private
echo "images are right"
