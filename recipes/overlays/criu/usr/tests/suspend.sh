#!/system/bin/sh
# Containers that vzctl suspends and resumes.
#
#   suspend.sh connection   a shell and a server with an open connection go on, in one boot
#   suspend.sh off          makes a container with a shell, a server and a client, and suspends it
#   suspend.sh on           after a start of the machine: it goes on
#   suspend.sh refused      what can't be saved goes on as it was
#   suspend.sh cycles N     suspends and resumes N times: nothing is left behind
#   suspend.sh starts N     starts a container N times and suspends it at once, whatever its init is about to start
set -eu
. /usr/tests/helpers.sh

fail() {
	echo "suspend.sh: $*" >&2
	tail -n 20 /system/var/log/vz/101.dump /system/var/log/vz/101.restore >&2 2>/dev/null
	exit 1
}
inside() { # a shell's text, in 101
	vzctl exec2 101 "$@"
}
status() {
	vzctl status 101
}

# A shell that counts, and a server that numbers what it is told on a connection: both numbers are only in memory.
make() {
	vzctl create 101 --ostemplate live --config basic --hostname saved.example.org >/dev/null
	vzctl set 101 --ipadd 10.0.0.101 --save >/dev/null
	vzctl start 101 --wait >/dev/null
	cat >/vz/root/101/usr/answer <<-'END'
		n=0
		while read -r line; do
			n=$((n + 1))
			echo "$n $line"
		done
	END
	count
	inside 'setsid tcpsvd 0.0.0.0 7000 sh /usr/answer </dev/null >/dev/null 2>&1 &'
	inside 'mkdir -p /usr/www; echo page >/usr/www/index.html; setsid httpd -f -p 80 -h /usr/www </dev/null >/dev/null 2>&1 &'
	more 20
}
# A connection from here, or from inside: fd 3 writes to it, and what comes back is in a file.
answer() { # FILE LINE TEXT
	tries=0
	until [ "$(sed -n "$2p" "$1" 2>/dev/null)" = "$3" ]; do
		tries=$((tries + 1))
		[ $tries -lt 1500 ] || fail "no answer: $3; there is: $(cat "$1")"
		usleep 20000
	done
}
page() {
	same "the page" "$(wget -q -O - http://10.0.0.101/)" page
}
# What a container that has gone on is: everything of vzctl's works.
whole() {
	same "the status" "$(status)" "CTID 101 exist mounted running"
	same "the host name" "$(inside hostname)" saved.example.org
	same "init" "$(inside cat /proc/1/comm)" init
	same "the system-call filter" "$(inside sed -n 's/^Seccomp:.//p' /proc/1/status)" 2
	same "its own cgroup" "$(inside sed -n 's/^0:://p' /proc/1/cgroup)" /
	same "the cgroups that it sees" "$(inside ls -d /sys/fs/cgroup/vz 2>/dev/null)" ""
	same "its limit of memory" "$(cat /sys/fs/cgroup/vz/101/memory.max)" "$limit"
	inside 'dd if=/usr/disk of=/dev/null count=1' >/dev/null 2>&1 && fail "a device of the host can be read"
	page
	before=$(numbers)
	more $((before + 20))
}
# A device node that the host's root has put there: rules say what may be opened, not the node.
node() {
	[ -e /vz/root/101/usr/disk ] || mknod /vz/root/101/usr/disk b 7 0
	limit=$(cat /sys/fs/cgroup/vz/101/memory.max)
}

connection() {
	make
	node
	whole
	mkfifo /system/tmp/in
	nc 10.0.0.101 7000 </system/tmp/in >/system/tmp/out &
	client=$!
	exec 3>/system/tmp/in
	echo one >&3
	answer /system/tmp/out 1 "1 one"
	for turn in 2 3 4; do
		vzctl suspend 101 | grep -q "Checkpointing completed successfully" || fail "suspend"
		same "the status" "$(status)" "CTID 101 exist unmounted down suspended"
		same "vzlist" "$(vzlist -a -H -o status 101 | tr -d ' ')" suspended
		[ ! -e /sys/fs/cgroup/vz/101 ] && [ ! -e /sys/class/net/vz101 ] || fail "something runs"
		[ -d /vz/dump/Dump.101 ] || fail "there is no dump"
		# The client repeats it until there is an answer.
		echo "turn $turn" >&3
		vzctl resume 101 | grep -q "Restoring completed successfully" || fail "resume"
		[ ! -e /vz/dump/Dump.101 ] || fail "the dump is still there"
		kill -0 $client || fail "the connection has ended"
		answer /system/tmp/out $turn "$turn turn $turn"
		whole
	done
	exec 3>&-
	wait $client || :
	rm /system/tmp/in
	# By steps, as backup programs do: it goes on after a dump.
	vzctl chkpnt 101 --suspend >/dev/null
	vzctl chkpnt 101 --dump --dumpfile /vz/steps >/dev/null
	same "the status" "$(status)" "CTID 101 exist mounted running suspended"
	vzctl chkpnt 101 --resume >/dev/null
	whole
	vzctl chkpnt 101 --suspend >/dev/null
	rm -r /vz/steps
	vzctl chkpnt 101 --dump --dumpfile /vz/steps >/dev/null
	vzctl chkpnt 101 --kill >/dev/null
	vzctl restore 101 --undump --dumpfile /vz/steps >/dev/null
	same "the status" "$(status)" "CTID 101 exist mounted running suspended"
	vzctl restore 101 --resume >/dev/null
	whole
	rm -r /vz/steps
	# It ends as any other.
	vzctl suspend 101 >/dev/null
	vzctl start 101 | grep -q "Dump file /vz/dump/Dump.101 exists, trying to restore from it" || fail "start"
	whole
	vzctl stop 101 | grep -q "Container was stopped" || fail "stop"
	vzctl destroy 101 >/dev/null
	echo connections go on
}

off() {
	make
	# Both ends are inside.
	inside 'mkfifo /usr/in; (setsid sh -c "nc 127.0.0.1 7000 </usr/in >/usr/out" </dev/null >/dev/null 2>&1 &); exec setsid sh -c "exec 3>/usr/in; echo one >&3; while read -r line </usr/more; do echo \$line >&3; done" </dev/null >/dev/null 2>&1 &
		mkfifo /usr/more'
	answer /vz/root/101/usr/out 1 "1 one"
	vzctl suspend 101 >/dev/null
	numbers_then=$(awk 'END { print NR }' /vz/private/101/upper/usr/numbers)
	echo "$numbers_then" >/vz/numbers
	echo it is suspended
}
on() {
	same "the status" "$(status)" "CTID 101 exist unmounted down suspended"
	# Since the start of the machine nobody else may answer for it.
	same "the route to it" "$(ip route | sed -n 's/^unreachable 10.0.0.101 .*/unreachable/p')" unreachable
	vzctl resume 101 >/dev/null || fail "resume"
	node
	[ "$(numbers)" -ge "$(cat /vz/numbers)" ] || fail "numbers are lost"
	whole
	inside 'echo two >/usr/more'
	answer /vz/root/101/usr/out 2 "2 two"
	vzctl stop 101 | grep -q "Container was stopped" || fail "stop"
	vzctl start 101 --wait >/dev/null
	vzctl stop 101 >/dev/null
	vzctl destroy 101 >/dev/null
	echo it goes on
}

refused_() {
	make
	node
	# A process from outside.
	vzctl exec 101 'sleep 1000' &
	until inside ps | grep -q 'sleep 1000'; do usleep 50000; done
	refused 16 "foreign process" vzctl suspend 101
	whole
	inside 'killall sleep' || :
	wait
	# What CRIU can't save: a file whose name is gone, and that has another.
	inside 'echo >/usr/a; setsid sh -c "exec 3</usr/a; ln /usr/a /usr/b; rm /usr/a; exec sleep 2000" </dev/null >/dev/null 2>&1 &'
	until [ -e /vz/root/101/usr/b ] && ! [ -e /vz/root/101/usr/a ]; do usleep 50000; done
	refused 16 "link" vzctl suspend 101
	[ -z "$(ls -A /vz/dump)" ] || fail "something is left of the dump"
	whole
	inside 'kill $(pidof sleep)' || :
	# No space for the dump.
	mkdir /system/tmp/small
	mount -t tmpfs -o size=64k small /system/tmp/small
	refused 16 "Checkpointing failed" vzctl suspend 101 --dumpfile /system/tmp/small/dump
	umount /system/tmp/small
	whole
	# A dump that is damaged: it stays, and nothing runs.
	vzctl suspend 101 >/dev/null
	mv /vz/dump/Dump.101/pstree.img /vz/pstree.img
	refused 17 "Restoring failed" vzctl resume 101
	same "the status" "$(status)" "CTID 101 exist unmounted down suspended"
	[ ! -e /sys/fs/cgroup/vz/101 ] && [ ! -e /sys/class/net/vz101 ] || fail "something runs"
	mv /vz/pstree.img /vz/dump/Dump.101/pstree.img
	vzctl resume 101 >/dev/null || fail "resume"
	whole
	# Nothing changes underneath a suspended one, and it goes on after what is allowed.
	vzctl suspend 101 >/dev/null
	refused 50 "container is suspended" vzctl mount 101
	refused 32 "container is suspended" vzctl set 101 --capability sys_time:on --save
	refused 155 "container is suspended" vzctl convert 101
	vzctl snapshot 101 >/dev/null || fail "snapshot"
	vzctl set 101 --ram 300M --save >/dev/null || fail "set"
	vzctl resume 101 >/dev/null || fail "resume after a snapshot"
	node
	whole
	# It is given up.
	vzctl suspend 101 >/dev/null
	vzctl chkpnt 101 --kill >/dev/null || fail "kill"
	same "the status" "$(status)" "CTID 101 exist unmounted down"
	[ -z "$(ls -A /vz/dump)" ] || fail "something is left of the dump"
	# User namespaces.
	vzctl create 102 --ostemplate live --config basic --local_uid 100000 --local_gid 100000 >/dev/null
	vzctl start 102 --wait >/dev/null
	refused 16 "user namespace" vzctl suspend 102
	same "the status" "$(vzctl status 102)" "CTID 102 exist mounted running"
	vzctl stop 102 >/dev/null
	for id in 101 102; do vzctl destroy $id >/dev/null; done
	echo it was refused
}

# What a cycle may leave: processes, mounts, network namespaces, files in memory.
left() {
	# Those of the host, by name; those of the container come and go by themselves.
	for process in /proc/[0-9]*; do
		grep -q '^0::/vz/' "$process/cgroup" 2>/dev/null || cat "$process/cmdline" 2>/dev/null | tr '\0' ' ' | cut -c 1-40
		echo
	done | grep . | sed 's/[0-9][0-9]*/N/g' | sort
	echo "mounts $(wc -l </proc/self/mountinfo)"
	echo "network namespaces $(stat -L -c %i /proc/[0-9]*/ns/net 2>/dev/null | sort -u | wc -l)"
	echo "links $(ls /sys/class/net | wc -l)"
	echo "terminals $(ls /dev/pts | wc -l)"
	echo "cgroups $(find /sys/fs/cgroup -type d | wc -l)"
	find /system/run /vz/dump /system/tmp -type f -o -type p -o -type s | sed 's/[0-9][0-9]*/N/g' | sort
}
# Memory that no process has, in KiB.
kernel_memory() {
	awk '/^(Slab|KernelStack|PageTables|Percpu):/ { sum += $2 } END { print sum }' /proc/meminfo
}
cycles() {
	make
	node
	whole
	once() {
		vzctl suspend 101 >/dev/null || fail "suspend, turn $turn"
		vzctl resume 101 >/dev/null || fail "resume, turn $turn"
	}
	for turn in 1 2 3; do once; done
	before=$(numbers)
	more $((before + 100))
	left >/system/var/left.before
	memory=$(kernel_memory)
	for turn in $(seq 1 "$1"); do once; done
	whole
	# The last keeper that has nothing to keep any more ends behind the command.
	tries=0
	until left >/system/var/left.after && cmp -s /system/var/left.before /system/var/left.after; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || fail "left: $(diff /system/var/left.before /system/var/left.after)"
		usleep 100000
	done
	grown=$(($(kernel_memory) - memory))
	[ $grown -lt 4096 ] || fail "the kernel's memory has grown by $grown KiB"
	vzctl stop 101 >/dev/null
	vzctl destroy 101 >/dev/null
	echo "$1 cycles leave nothing, $grown KiB"
}

# CRIU can't save a process that waits for its child's execve(2): vzctl has to wait for it.
starts() {
	vzctl create 101 --ostemplate live --config basic >/dev/null
	for turn in $(seq 1 "$1"); do
		vzctl start 101 --wait >/dev/null
		vzctl suspend 101 >/dev/null || fail "suspend, turn $turn"
		vzctl resume 101 >/dev/null || fail "resume, turn $turn"
		vzctl stop 101 --fast >/dev/null
	done
	vzctl destroy 101 >/dev/null
	echo "$1 starts were saved"
}

case $1 in
refused) refused_ ;;
connection | off | on | cycles | starts) "$@" ;;
esac
