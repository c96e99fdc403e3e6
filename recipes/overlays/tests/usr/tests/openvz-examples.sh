#!/bin/sh
# OpenVZ's documentation, its examples in their order, with checks of what they print and of their exit codes. It runs as root in
# the live system (or, with checks.sh beside it, on an OpenVZ host that has the template named by TEMPLATE). What needs the network of containers runs
# only with "network" as the first argument.
set -eu
. "${0%/*}/checks.sh"

id=1101
name=example-ct
template=${TEMPLATE:-live}

# says TEXT COMMAND...: the command succeeds, and the text is in what it prints.
says() {
	text=$1
	shift
	printed=$("$@" 2>&1) || fail "$*: exit code $?, printed: $printed"
	case $printed in
	*"$text"*) ;;
	*) fail "$*: expected \"$text\" in: $printed" ;;
	esac
}

# What an earlier run left.
vzctl --quiet stop $id --fast >/dev/null 2>&1 || true
vzctl --quiet umount $id >/dev/null 2>&1 || true
vzctl --quiet destroy $id >/dev/null 2>&1 || true

# Creating a container
code 14 vzctl stop $id
says "Container private area was created" vzctl create $id --ostemplate "$template" --config basic
code 44 vzctl create $id --ostemplate "$template"
code 91 vzctl create 1102 --ostemplate no-such-template
says "CTID $id exist unmounted down" vzctl status $id
(VEID=$id && . /etc/vz/conf/$id.conf && [ -d "$VE_PRIVATE" ]) || fail "a script does not find the private area"
grep -q "^ORIGIN_SAMPLE=\"basic\"" /etc/vz/conf/$id.conf || fail "the sample's name is not kept"

# Setting its startup parameters, host name and limits
says "saved" vzctl set $id --onboot yes --save
says "saved" vzctl set $id --hostname example.org --save
says "saved" vzctl set $id --name $name --save
says "saved" vzctl set $name --nameserver 192.0.2.1 --searchdomain example.org --save
says "saved" vzctl set $id --numproc 200:200 --save
says "saved" vzctl set $id --kmemsize 16777216:18874368 --privvmpages 64M:80M --cpuunits 1500 --cpulimit 80 --save
code 21 vzctl set $id --numproc many --save
code 20 vzctl start $id --no-such-option
grep -q '^ONBOOT="yes"' /etc/vz/conf/$id.conf || fail "ONBOOT is not saved"
grep -q '^NUMPROC="200"' /etc/vz/conf/$id.conf || fail "NUMPROC is not saved"

# Starting it, and commands inside
says "Container start in progress" vzctl start $id --wait
code 32 vzctl start $id
says "CTID $id exist mounted running" vzctl status $id
says example.org vzctl exec $id hostname
says 192.0.2.1 vzctl exec $id cat /system/etc/resolv.conf /etc/resolv.conf '2>/dev/null;' true
says "init" vzctl exec $name ps
code 0 vzctl exec $id true
code 8 vzctl exec $id false
code 7 vzctl exec2 $id 'exit 7'
[ "$(echo 'echo $((6 * 7))' | vzctl exec $id -)" = 42 ] || fail "exec does not read commands"
printed=$(printf 'hostname\nexit\n' | vzctl enter $id 2>&1) || true
case $printed in
*"entered into CT $id"*example.org*"exited from CT $id"*) ;;
*) fail "enter: $printed" ;;
esac
script=/var/tmp/$id.sh
[ -d /var/tmp ] || script=/system/tmp/$id.sh
echo 'echo "script in $(hostname)"; exit 5' >$script
code 5 vzctl runscript $id $script
rm $script

# Changing a container that runs
says "WARNING: Settings were not saved" vzctl set $id --numproc 100
says "saved" vzctl set $id --hostname other.example.org --numproc 150 --save
says other.example.org vzctl exec $id hostname
code 32 vzctl set $id --capability sys_time:on --setmode ignore --save
says "consider using --setmode" vzctl set $id --capability sys_time:off --save
grep -q '^CAPABILITY="SYS_TIME:off"' /etc/vz/conf/$id.conf || fail "CAPABILITY is not saved"

# What there is
says "$id" vzlist -a
[ "$(vzlist -H -o ctid,status,hostname $id | tr -s ' ')" = " $id running other.example.org " ] ||
	[ "$(echo $(vzlist -H -o ctid,status,hostname $id))" = "$id running other.example.org" ] || fail "vzlist -o"
[ "$(echo $(vzlist -1 -N $name))" = $id ] || fail "vzlist -1 -N"
says '"hostname": "other.example.org"' vzlist -j $id
says "150" vzlist -H -o numproc.l $id

# Suspending in memory; to disk only with CRIU, which this image lacks
says "Checkpointing completed successfully" vzctl chkpnt $id --suspend
says suspended vzctl status $id
says "Restoring completed successfully" vzctl resume $id
says "CTID $id exist mounted running" vzctl status $id
code 16 vzctl suspend $id
says "CTID $id exist mounted running" vzctl status $id

# Stopping, restarting, destroying
says "Container was stopped" vzctl stop $id
says "CTID $id exist unmounted down" vzctl status $id
code 8 vzctl exec $id true
code 31 vzctl exec2 $id true
says "is not running" vzctl stop $id
[ "$(echo $(vzlist -S -H -o status $id))" = stopped ] || fail "vzlist -S"
says "Container is mounted" vzctl mount $id
code 41 vzctl destroy $id
says "Container is unmounted" vzctl umount $id
says "script in" sh -c "echo 'echo script in' >$script && vzctl runscript $id $script; rm $script"
says "Container start in progress" vzctl start $id --wait
says "Container was stopped" vzctl restart $id --wait
code 32 vzctl destroy $id

if [ "${1:-}" = network ]; then
	says "saved" vzctl set $id --ipadd 10.1.0.11 --save
	says 10.1.0.11 vzlist -H -o ip $id
	says 10.1.0.11 vzctl exec $id ip address show
	ping -c 1 -w 5 10.1.0.11 >/dev/null || fail "no answer from 10.1.0.11"
	says "saved" vzctl set $id --ipdel all --save
	if vzctl exec $id ip address show | grep -q 10.1.0.11; then
		fail "the address is still there"
	fi
fi

says "Container was stopped" vzctl stop $id --fast
says "Container private area was destroyed" vzctl destroy $id
[ -e /etc/vz/conf/$id.conf.destroyed ] || fail "the configuration is not kept as destroyed"
code 1 vzlist $id
says "CTID $id deleted unmounted down" vzctl status $id
echo "all examples are right"
