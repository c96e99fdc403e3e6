#!/system/bin/sh
# Power cuts while a container is suspended or resumed: what they leave.
#
#   suspend-cuts.sh ready OPERATION     makes all as it is before the operation
#   suspend-cuts.sh outcome OPERATION   after a cut: fails if anything is wrong, else prints what it came to, in a word:
#                                       running (started anew), resumed (from the dump, by the machine's start), suspended
set -eu
. /usr/tests/helpers.sh

fail() {
	echo "suspend-cuts.sh: $*" >&2
	tail -n 20 /system/var/log/vz/101.dump /system/var/log/vz/101.restore /system/var/log/vzctl.log >&2 2>/dev/null
	exit 1
}
# The machine's own start of containers goes on behind the login.
started() {
	while pidof vz >/dev/null; do usleep 50000; done
}
counts() { # whether the shell is there that counts
	vzctl exec2 101 'ps' | grep -q '[s]h /usr/count'
}
goes_on() {
	before=$(numbers)
	more $((before + 10))
}

ready() {
	started
	if ! [ -e /etc/vz/conf/101.conf ] && ! [ -e /system/etc/vz/conf/101.conf ]; then
		vzctl create 101 --ostemplate live --config basic >/dev/null
	fi
	vzctl stop 101 --fast >/dev/null 2>&1
	rm -rf /vz/dump/Dump.101*
	vzctl start 101 --wait >/dev/null
	count
	more 20
	[ "$1" = suspend ] || vzctl suspend 101 >/dev/null
	sync
}

outcome() {
	started
	[ -z "$(ls -A /vz/dump | grep '^\.')" ] || fail "left over: $(ls -A /vz/dump)"
	case $(vzctl status 101) in
	"CTID 101 exist unmounted down suspended")
		vzctl resume 101 >/dev/null || fail "it can't be resumed"
		counts || fail "the shell is gone"
		goes_on
		echo suspended
		;;
	"CTID 101 exist mounted running")
		[ ! -e /vz/dump/Dump.101 ] || fail "it runs, and there is a dump"
		if counts; then
			goes_on
			echo resumed
		else
			echo running
		fi
		;;
	*) fail "neither: $(vzctl status 101), $(ls -A /vz/dump)" ;;
	esac
}

"$1" "$2"
