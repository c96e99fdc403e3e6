#!/system/bin/sh
# Containers with users of their own (LOCAL_UID), in each layout. Ends with "users are right", or with the first that is not.
set -eu
. /usr/tests/checks.sh

# What only the machine's root may read, in a folder that is shown inside.
mkdir -p /system/mnt/shown
echo secret >/system/mnt/shown/secret
echo open >/system/mnt/shown/open
chmod 0600 /system/mnt/shown/secret

id=501
for layout in simfs overlay app; do
	code 0 vzctl create $id --ostemplate live --layout $layout --local_uid 200000 --local_gid 300000
	cat >/etc/vz/conf/$id.mount <<-'END'
		#!/system/bin/sh
		. "$VE_CONFFILE"
		mkdir -p "/vz/root/$VEID/usr/shown" && mount -o bind /system/mnt/shown "/vz/root/$VEID/usr/shown"
	END
	chmod +x /etc/vz/conf/$id.mount
	code 0 vzctl set $id --userpasswd ann:secret
	code 0 vzctl set $id --nameserver 192.0.2.1 --save
	vzctl --quiet start $id --wait || fail "$layout: it does not start"

	# Root inside is nobody in particular outside.
	is 200000 stat -c %u "/proc/$(cat /system/run/vz/$id.pid)"
	is "0 200000 65536" vzctl exec $id 'echo $(cat /proc/self/uid_map)'
	is "0 300000 65536" vzctl exec $id 'echo $(cat /proc/self/gid_map)'
	# Files are whose they are, seen from inside and from outside.
	is "" vzctl exec $id 'touch /usr/mine && mkdir /usr/folder && su tc -c "touch /system/tmp/theirs"'
	is "0:0" vzctl exec $id 'stat -c %u:%g /usr/mine'
	is "1001:1001" vzctl exec $id 'stat -c %u:%g /system/tmp/theirs'
	is "0:0 0:0 0:0 0:0" vzctl exec $id 'echo $(stat -c %u:%g / /usr /system/etc/passwd /system/etc/resolv.conf)'
	tree=/vz/private/$id
	[ $layout = simfs ] || tree=$tree/upper
	is "200000:300000" stat -c %u:%g $tree/usr/mine
	is "201001:301001" stat -c %u:%g $tree/system/tmp/theirs
	# Of an application's container the programs are the machine's.
	case $layout in
	app) is "65534:65534" vzctl exec $id 'stat -c %u:%g /system/bin/busybox' ;;
	*)
		is "0:0" vzctl exec $id 'stat -c %u:%g /system/bin/busybox'
		is "0:0 4755" vzctl exec $id 'stat -c "%u:%g %a" /system/bin/busybox-suid'
		# It acts inside, as that of the machine's root does not.
		is "0" vzctl exec $id "su tc -c 'su root -c \"id -u\"'"
		;;
	esac
	# The machine's root alone may read it, whoever shows it.
	is open vzctl exec $id 'cat /usr/shown/open'
	code 8 vzctl exec $id 'cat /usr/shown/secret'
	code 8 vzctl exec $id 'chown 0 /usr/shown/secret'
	code 8 vzctl exec $id 'chmod 0666 /usr/shown/open'
	# Users of the machine don't reach it by the way that its own do.
	su tc -c "ls /system/run/vz-users/$id/root" >/dev/null 2>&1 && fail "$layout: the machine's users reach its root"
	# A login on its console.
	until grep -q login: /system/var/log/vz/$id.console; do usleep 50000; done
	is "ann" vzctl exec $id 'grep -o ^ann /system/etc/passwd'

	# It starts again, from inside too, with the same owners.
	before=$(cat /system/run/vz/$id.pid)
	vzctl exec $id reboot || :
	until [ "$(cat /system/run/vz/$id.pid 2>/dev/null || echo "$before")" != "$before" ]; do usleep 50000; done
	until vzctl exec $id 'test -e /system/var/started' 2>/dev/null; do usleep 50000; done
	is "0:0" vzctl exec $id 'stat -c %u:%g /usr/mine'
	if [ $layout = overlay ]; then
		code 0 vzctl snapshot $id --id 11111111-2222-3333-4444-555555555555
		vzctl exec $id 'rm /usr/mine'
		code 0 vzctl snapshot-switch $id --id 11111111-2222-3333-4444-555555555555
		vzctl --quiet start $id --wait || fail "it does not start from a snapshot"
		is "0:0" vzctl exec $id 'stat -c %u:%g /usr/mine'
		is "0:0" vzctl exec $id 'touch /new && stat -c %u:%g /new'
	fi
	code 0 vzctl stop $id
	[ ! -e /system/run/vz-users/$id ] || fail "$layout: the way to its root is left"
	code 0 vzctl destroy $id
	rm -f /etc/vz/conf/$id.mount*
done

# Numbers that are the machine's, and files that are not the container's.
code 21 vzctl create $id --ostemplate live --local_uid 1000
code 21 vzctl create $id --ostemplate live --local_uid 4294967295
code 0 vzctl create $id --ostemplate live
echo 'LOCAL_UID="200000"' >>/etc/vz/conf/$id.conf
vzctl start $id 2>&1 | grep -q "was created with --local_uid" || fail "a container whose files are root's starts with users of its own"
vzctl status $id | grep -q "unmounted down" || fail "a refused start leaves something"
code 0 vzctl destroy $id
echo "users are right"
