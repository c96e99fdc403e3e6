#!/system/bin/sh
# debug.sh COMMAND...: runs it on the debug kernel, then reads what that kernel has noticed: its log, and memory that nothing refers
# to any more. Ends with "the debug kernel has no complaint".
debug=/sys/kernel/debug
mountpoint -q $debug || mount -t debugfs none $debug || exit 1
[ -e $debug/kmemleak ] || { echo "this is no debug kernel: it has no kmemleak" && exit 1; }
"$@" || { echo "FAILED: $*: exit code $?" && exit 1; }
if dmesg | grep -E -A 40 'BUG|WARNING|Oops|KASAN|UBSAN|general protection|possible (recursive|circular|irq)|suspicious RCU|sleeping function|inconsistent lock|self-detected stall|detected stalls|blocked for more than|ODEBUG|list_(add|del) corruption|DEBUG_LOCKS_WARN|Kernel memory leak detector disabled'; then
	exit 1
fi
# Objects are suspects only when they are older than five seconds, and a pointer on its way from one place to another may escape
# one scan. The file's own time is what there is to wait for.
for turn in 1 2; do
	sleep 6
	echo scan >$debug/kmemleak
done
awk '
	/^unreferenced object/ { if (ours) printf "%s", record; record = ""; ours = 0; all++ }
	{ record = record $0 "\n" }
	/[ \]](ve|bc|veinfo|vestat|cgroup|user_beancounters|resources)_[a-z_]*\+/ { ours = 1; found = 1 }
	END { if (ours) printf "%s", record; print all + 0, "leaks suspected in the whole kernel"; exit found }
' $debug/kmemleak || exit 1
echo "the debug kernel has no complaint"
