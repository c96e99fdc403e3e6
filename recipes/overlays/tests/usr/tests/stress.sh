#!/system/bin/sh
# stress.sh series|upstream OPTIONS...: vestress, and what the kernel's log says of it. Ends with "the kernel has no complaint".
kernel=$1
shift
if [ "$kernel" = upstream ]; then
	vestress -c 1 2>&1 | grep "this kernel has no CONFIG_VE" || exit 1
else
	vestress "$@" || exit 1
fi
if dmesg | grep -E -A 30 'BUG|WARNING|Oops|KASAN|UBSAN|general protection|possible (recursive|circular|irq)|suspicious RCU|sleeping function|inconsistent lock|self-detected stall|detected stalls|blocked for more than|ODEBUG|list_(add|del) corruption'; then
	exit 1
fi
echo "the kernel has no complaint"
