#!/system/bin/sh
# Power cuts while a container moves to another machine, or from it: afterwards it runs on exactly one of the two.
#
#   migrate-cuts.sh peer               on the other machine, whose power stays: it accepts the key of this one
#   migrate-cuts.sh ready WAY          makes all as it is before: the container runs, on the side that it leaves
#   migrate-cuts.sh move WAY           moves it
#   migrate-cuts.sh outcome WAY        after a cut: fails if anything is wrong, else prints where it runs: left (where it
#                                      was) or arrived
#
# WAY is `to` (this machine is the source) or `from` (it is the destination). The two are connected by eth1.
set -eu
. /usr/tests/helpers.sh

own=192.168.7.1
other=192.168.7.2
key=/vz/key
fail() {
	echo "migrate-cuts.sh: $*" >&2
	echo "here: $(state)" >&2
	ps | grep -E 'vz|migrate' >&2
	echo "there: $(there 'ps | grep -E "vz|migrate"' 2>&1)" >&2
	echo "there: $(there 'sh /usr/tests/migrate-cuts.sh state' 2>&1)" >&2
	tail -n 20 /system/var/log/vzctl.log >&2 2>/dev/null
	exit 1
}
there() {
	ssh -y -y -i $key root@$other "$@" 2>/system/tmp/ssh </dev/null || {
		code=$?
		cat /system/tmp/ssh >&2
		return $code
	}
}
# What a machine has of the container: its state and files, and what is at work. CTID.TOKEN.arrived stays if the power goes
# before the source has said that it knows.
state() {
	echo $(vzctl status 101) $(ls -A /vz/private /vz/dump | grep '101') $(ls -A /system/etc/vz/conf | grep '101' | grep -v -e destroyed -e arrived) \
		$(pidof vz >/dev/null && echo busy) $(grep -qs '[v]zmigrate' /proc/[0-9]*/cmdline && echo moving)
}
gone="CTID 101 deleted unmounted down"
runs="CTID 101 exist mounted running 101 101.conf"
# Waits until both have found out where it is.
settled() {
	tries=0
	while :; do
		here=$(state)
		peer=$(there 'sh /usr/tests/migrate-cuts.sh state')
		case "$here|$peer" in
		"$runs|$gone" | "$gone|$runs") return ;;
		esac
		tries=$((tries + 1))
		[ $tries -lt 100 ] || fail "it does not run on one machine alone"
		usleep 500000
	done
}
accepts() { # the connection and the keys, in both directions
	mkdir -p -m 700 /system/root/.ssh
	[ -e $key ] || dropbearkey -t ed25519 -f $key >/dev/null 2>&1
	tries=0
	until [ "$(dropbearkey -y -f $key | grep '^ssh-' | nc $other 7001)" = accepted ]; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || fail "the other machine does not accept the key"
		usleep 100000
	done
	there 'dropbearkey -y -f /vz/key' | grep '^ssh-' >/system/root/.ssh/authorized_keys
	pidof dropbear >/dev/null || dropbear -R
	netstat -ltn | grep -q ':22 ' || fail "no server for SSH"
}

peer() {
	mkdir -p -m 700 /system/root/.ssh
	mkdir -p /vz
	dropbearkey -t ed25519 -f $key >/dev/null 2>&1
	cat >/system/tmp/accept <<-'END'
		cat >/system/root/.ssh/new && mv /system/root/.ssh/new /system/root/.ssh/authorized_keys && echo accepted
	END
	setsid tcpsvd $other 7001 sh /system/tmp/accept </dev/null >/dev/null 2>&1 &
	dropbear -R
	tries=0
	until netstat -ltn | grep -q ":7001 "; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || exit 1
		usleep 50000
	done
	echo the peer is ready
}

# On the side that it leaves.
make() {
	vzctl create 101 --ostemplate live --config basic >/dev/null
	vzctl start 101 --wait >/dev/null
	count
	sync
}
remove() {
	[ -e /system/etc/vz/conf/101.conf ] || return 0
	vzctl stop 101 --fast >/dev/null 2>&1
	vzctl destroy 101 >/dev/null
}

ready() {
	accepts
	remove
	there 'sh /usr/tests/migrate-cuts.sh remove'
	case $1 in
	to) make ;;
	from) there 'sh /usr/tests/migrate-cuts.sh make' ;;
	esac
	sync
}
# The other machine's command goes on without this one.
move() {
	case $1 in
	to) vzmigrate --live --ssh="-y -y -i $key" $other 101 ;;
	from)
		there "rm -f /vz/code; setsid sh -c 'vzmigrate --live --ssh=\"-y -y -i $key\" $own 101 >/vz/said 2>&1; echo \$? >/vz/code' </dev/null >/dev/null 2>&1 &"
		until there 'test -e /vz/code' 2>/dev/null; do usleep 100000; done
		there 'cat /vz/said; exit $(cat /vz/code)'
		;;
	esac
}
outcome() {
	accepts
	settled
	case "$1 $here" in
	"to $gone" | "from $runs") word=arrived ;;
	*) word=left ;;
	esac
	# On a machine that has kept its power, with a source that has: the numbers go on, and none is missing.
	if [ "$1 $word" = "to arrived" ]; then
		there "awk '\$1 != NR { exit 1 }' /vz/root/101/usr/numbers" || fail "a number is missing or there twice"
		before=$(there "awk 'END { print NR }' /vz/root/101/usr/numbers")
		tries=0
		until [ "$(there "awk 'END { print NR }' /vz/root/101/usr/numbers")" -gt "$before" ]; do
			tries=$((tries + 1))
			[ $tries -lt 100 ] || fail "the shell counts no more"
		done
	fi
	echo $word
}

"$@"
