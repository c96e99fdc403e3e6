#!/system/bin/sh
# Power cuts while something is done to the systems' disk: what they leave.
#
#   cuts.sh prepare OPERATION   makes what the operation works on, and what it must leave alone
#   cuts.sh outcome OPERATION   after a cut: fails if anything is wrong, else prints what the cut came to, in a word
#   cuts.sh ready OPERATION     makes all as it was before the operation
#
# What was found by the start of the machine is told on its console and in these:
told="/system/var/log/recovery /system/var/log/vzctl.log"
set -eu

fail() {
	echo "cuts.sh: $*" >&2
	exit 1
}
named() { # TEXT: the start has told of it
	# shellcheck disable=SC2086 # two files
	cat $told 2>/dev/null | grep -qF "$1"
}
sums() { # FOLDER: each file with its sum, each link with its target, each folder, with owners and modes
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 -r md5sum && find . ! -type f -print0 | sort -z |
		xargs -0 -r stat -c '%n %N %u %g %a' && find . -type f -print0 | sort -z | xargs -0 -r stat -c '%n %u %g %a %s')
}
same() { # FILE FILE
	cmp -s "$1" "$2"
}

# What nothing here touches: a system, two containers, the configuration, users' files. On the disk, with its sums.
canary() {
	for one in /hd/system1 /vz/private/102 /vz/private/103 /hd/usr/kept; do
		sums $one
	done
	(cd /vz/etc && md5sum vz.conf conf/103.conf conf/ve-*.conf-sample)
}
make_canary() {
	system create system1
	mkdir -p /hd/usr/kept
	for id in 102 103; do
		vzctl create $id --ostemplate live --config basic --name kept$id >/dev/null
		echo "of $id" >/vz/private/$id/upper/notes
	done
	dd if=/dev/urandom of=/hd/usr/kept/data bs=64k count=32 2>/dev/null
	echo "# mine" >>/vz/etc/vz.conf
	canary >/hd/canary
	[ "$(wc -l </hd/canary)" -gt 100 ] || fail "the canary is too small"
}
canary_lives() {
	canary >/system/tmp/canary || fail "what nobody touched is gone"
	same /hd/canary /system/tmp/canary || {
		diff /hd/canary /system/tmp/canary | head -n 20 >&2
		fail "what nobody touched has changed"
	}
	for id in 102 103; do
		[ "$(vzctl status kept$id)" = "CTID $id exist unmounted down" ] || fail "container $id is not as it was"
	done
	left=$(find /hd /vz/private /vz/etc -maxdepth 2 \( -name '*.creating' -o -name '*.destroying' -o \
		-name '*.restoring' -o -name '*.removing' -o -name '*.copying' -o -name '*.packing' -o -name '*.partial' -o \
		-name '.*.new' -o -name '.*.conf*' \))
	[ -z "$left" ] || fail "left over: $left"
}
# The machine's own start of containers goes on behind the login.
started() {
	while pidof vz >/dev/null; do usleep 50000; done
}

prepare_create() { :; }
outcome_create() {
	if [ -e /vz/etc/conf/200.conf ] || [ -e /vz/private/200 ]; then
		[ "$(vzctl status 200)" = "CTID 200 exist unmounted down" ] || fail "200 is half made: $(vzctl status 200)"
		[ "$(vzctl status cut)" = "CTID 200 exist unmounted down" ] || fail "200 has lost its name"
		grep -q '^HOSTNAME="cut.example.org"$' /vz/etc/conf/200.conf || fail "200 has lost its host name"
		sums /system/live/ro >/system/tmp/live
		sums /vz/private/200 >/system/tmp/200
		same /system/tmp/live /system/tmp/200 || fail "200 is not as its template"
		echo new
	else
		vzlist -a -H -o ctid | grep -q 200 && fail "200 is listed and is not there"
		if named "CT 200: creation was interrupted"; then echo incomplete; else echo old; fi
	fi
}
ready_create() {
	if vzlist -a -H -o ctid | grep -q 200; then vzctl destroy 200; fi
	rm -f /vz/etc/conf/200.*
}

# The same in an image, whose files are seen when it is mounted.
prepare_ploop() { :; }
outcome_ploop() {
	if [ -e /vz/etc/conf/200.conf ] || [ -e /vz/private/200 ]; then
		[ "$(vzctl status cut)" = "CTID 200 exist unmounted down" ] || fail "200 is half made: $(vzctl status 200)"
		sound /vz/private/200/root.hdd/root.hdd
		vzctl mount 200 >/dev/null || fail "200 can't be mounted"
		sums /system/live/ro >/system/tmp/live
		sums /vz/root/200 | grep -v 'lost+found' >/system/tmp/200
		vzctl umount 200 >/dev/null
		same /system/tmp/live /system/tmp/200 || fail "200 is not as its template"
		echo new
	elif named "CT 200: creation was interrupted"; then
		echo incomplete
	else
		echo old
	fi
}
ready_ploop() { ready_create; }

first={00000000-0000-0000-0000-00000000000a}
second={00000000-0000-0000-0000-00000000000b}
hdd=/vz/private/101/root.hdd
sound() { # IMAGE: as a power cut may leave it, with its journal
	cp "$1" /system/tmp/image
	e2fsck -p /system/tmp/image >/system/tmp/fsck 2>&1 || [ $? = 1 ] || fail "$1: $(cat /system/tmp/fsck)"
	e2fsck -f -n /system/tmp/image >/system/tmp/fsck 2>&1 || fail "$1: $(cat /system/tmp/fsck)"
	rm /system/tmp/image
}
content() { # what 101 holds, and is called
	vzctl mount 101 >/dev/null || fail "101 can't be mounted"
	echo "$(cat /vz/root/101/usr/mark) $(sed -n 's/^HOSTNAME="\(.*\)"$/\1/p' /vz/etc/conf/101.conf)"
	vzctl umount 101 >/dev/null
}
change() { # WORD: what 101 holds, and is called
	vzctl mount 101 >/dev/null
	echo "$1" >/vz/root/101/usr/mark
	vzctl umount 101 >/dev/null
	vzctl set 101 --hostname "$1" --save >/dev/null
}
images() { # NAME...: there are these, and no others
	[ "$(echo $(ls $hdd))" = "DiskDescriptor.xml $*" ] || fail "images: $(ls $hdd)"
	for image; do sound "$hdd/$image"; done
}
prepare_snapshot() {
	vzctl create 101 --ostemplate live --layout ploop --diskspace 20M
	change first
	vzctl snapshot 101 --id $first
	change second
}
outcome_snapshot() {
	case $(vzctl snapshot-list 101 -H -o uuid) in
	"$first
$second")
		images root.hdd "root.hdd.$first" "root.hdd.$second"
		echo new
		;;
	"$first")
		images root.hdd "root.hdd.$first"
		if named "CT 101: "; then echo incomplete; else echo old; fi
		;;
	*) fail "snapshots: $(vzctl snapshot-list 101)" ;;
	esac
	[ "$(content)" = "second second" ] || fail "101 has changed: $(content)"
}
ready_snapshot() {
	if vzctl snapshot-list 101 -H -o uuid | grep -q $second; then vzctl snapshot-delete 101 --id $second; fi
}
prepare_switch() { prepare_snapshot; }
outcome_switch() {
	images root.hdd "root.hdd.$first"
	case $(content) in
	"first first") echo new ;;
	"second second") if named "CT 101: "; then echo incomplete; else echo old; fi ;;
	*) fail "101 is neither the old nor the new: $(content)" ;;
	esac
}
ready_switch() { change second; }
prepare_shrink() { prepare_snapshot; }
outcome_shrink() {
	images root.hdd "root.hdd.$first"
	[ "$(content)" = "second second" ] || fail "101 has changed: $(content)"
	case "$(stat -c %s $hdd/root.hdd) $(grep ^DISKSPACE /vz/etc/conf/101.conf)" in
	'16777216 DISKSPACE="16384:16384"') echo new ;;
	# The image is done, and what is written of it is not.
	'16777216 DISKSPACE="20480:20480"') echo resized ;;
	'20971520 DISKSPACE="20480:20480"') if named "CT 101: "; then echo incomplete; else echo old; fi ;;
	*) fail "its size is neither the old nor the new: $(stat -c %s $hdd/root.hdd), $(grep ^DISKSPACE /vz/etc/conf/101.conf)" ;;
	esac
}
ready_shrink() { vzctl set 101 --diskspace 20M --save; }

prepare_start() {
	vzctl create 101 --ostemplate live --config basic
	echo mine >/vz/private/101/upper/notes
}
outcome_start() {
	case $(vzctl status 101) in
	"CTID 101 exist mounted running") word=running ;;
	"CTID 101 exist unmounted down")
		word=down
		vzctl start 101 --wait >/dev/null || fail "101 does not start"
		;;
	*) fail "101 is neither running nor down: $(vzctl status 101)" ;;
	esac
	[ "$(vzctl exec2 101 'cat /notes')" = mine ] || fail "101 has lost a file"
	# What it wrote itself is there or not, but nothing keeps it from working.
	vzctl exec2 101 'touch /usr/works && rm /usr/works' || fail "101 can't write"
	echo $word
}
ready_start() {
	case $(vzctl status 101) in *running) vzctl stop 101 --fast ;; esac
}

# What was stopped stays so at the next start of the machine, if the command had ended.
prepare_stop() {
	prepare_start
}
outcome_stop() {
	outcome_start
}
ready_stop() {
	case $(vzctl status 101) in *down) vzctl start 101 --wait ;; esac
}

prepare_set() {
	vzctl create 101 --ostemplate live --config basic
	ready_set
	cp /vz/etc/conf/101.conf /hd/old.conf
	vzctl set 101 --name new --hostname new.example.org --description "quite another" --save
	cp /vz/etc/conf/101.conf /hd/new.conf
	ready_set
}
outcome_set() {
	if same /vz/etc/conf/101.conf /hd/new.conf; then
		word=new
	elif same /vz/etc/conf/101.conf /hd/old.conf; then
		word=old
	else
		cat /vz/etc/conf/101.conf >&2
		fail "the configuration is neither the old nor the new"
	fi
	[ "$(vzctl status $word)" = "CTID 101 exist unmounted down" ] || fail "101 is not called $word"
	if [ $word = old ] && named "CT 101: a change of its"; then word=incomplete; fi
	echo $word
}
ready_set() {
	vzctl set 101 --name old --hostname old.example.org --description "as it was" --save
}

prepare_pack() {
	system create system0
	echo old >/hd/system0/usr/mark
	system pack system0 /hd/old.tar.gz
	echo new >/hd/system0/usr/mark
	system pack system0 /hd/new.tar.gz
	sums /hd/system0 >/hd/system0.sums
	ready_pack
}
outcome_pack() {
	sums /hd/system0 >/system/tmp/system0.sums
	same /hd/system0.sums /system/tmp/system0.sums || fail "the packed system has changed"
	set -- /hd/saved*
	[ "$*" = /hd/saved.tar.gz ] || fail "left over: $*"
	if same /hd/saved.tar.gz /hd/new.tar.gz; then
		echo new
	elif same /hd/saved.tar.gz /hd/old.tar.gz; then
		if named "system0: its packing was interrupted"; then echo incomplete; else echo old; fi
	else
		fail "the archive is neither the old nor the new"
	fi
}
ready_pack() {
	same /hd/old.tar.gz /hd/saved.tar.gz || cp /hd/old.tar.gz /hd/saved.tar.gz
}

prepare_restore() {
	system create system0
	echo old >/hd/system0/usr/mark
	echo only >/hd/system0/usr/only-in-the-old
	system pack system0 /hd/old.tar.gz
	sums /hd/system0 >/hd/old.sums
	rm /hd/system0/usr/only-in-the-old
	echo new >/hd/system0/usr/mark
	echo only >/hd/system0/usr/only-in-the-new
	system pack system0 /hd/new.tar.gz
	sums /hd/system0 >/hd/new.sums
	ready_restore
}
outcome_restore() {
	[ "$(system list | grep system0)" = system0 ] || fail "system0 is not listed"
	sums /hd/system0 >/system/tmp/system0.sums
	if same /system/tmp/system0.sums /hd/new.sums; then
		echo new
	elif same /system/tmp/system0.sums /hd/old.sums; then
		if named "system0: its restoration was interrupted"; then echo incomplete; else echo old; fi
	else
		fail "system0 is neither the old nor the new"
	fi
}
ready_restore() {
	[ "$(cat /hd/system0/usr/mark)" = old ] || system restore system0 /hd/old.tar.gz
}

# Its disk has nothing else, so there is no canary: it is erased by intent.
outcome_install() {
	if mountpoint -q /hd; then
		mkdir -p /system/mnt/medium
		mount -t iso9660 -o ro /dev/sr0 /system/mnt/medium
		for file in bzImage initrd.img; do
			same /hd/boot/$file /system/mnt/medium/boot/$file || fail "$file is not whole, but the disk looks whole"
		done
		umount /system/mnt/medium
		grep -q "root=PARTUUID=" /hd/boot/grub/grub.cfg || fail "the disk's menu is not whole"
		sums /system/live/ro >/system/tmp/live
		sums /hd/system0 >/system/tmp/system0
		same /system/tmp/live /system/tmp/system0 || fail "system0 of the disk is not whole"
		echo new
	elif named "/dev/vda: its installation was interrupted"; then
		echo incomplete
	else
		# No file system: a disk that says nothing wrong.
		[ ! -e /dev/vda3 ] || ! mount -o ro /dev/vda3 /system/mnt 2>/dev/null || fail "/dev/vda3 holds something"
		echo old
	fi
}
ready_install() {
	for folder in /usr /system/etc/vz /vz /hd; do
		if mountpoint -q $folder; then umount $folder; fi
	done
}

case ${1-}-${2-} in
outcome-install | ready-install)
	started
	"${1}_install"
	;;
prepare-*)
	make_canary
	"prepare_$2"
	sync
	;;
outcome-*)
	started
	canary_lives
	"outcome_$2"
	;;
ready-*)
	"ready_$2"
	sync
	;;
*) fail "usage: cuts.sh prepare|outcome|ready create|ploop|snapshot|switch|shrink|start|stop|set|pack|restore|install" ;;
esac
