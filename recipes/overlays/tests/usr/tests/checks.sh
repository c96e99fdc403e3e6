# shellcheck shell=sh
# What the tests have in common. The first check that fails ends the test, and says so.

fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}
# is WANTED COMMAND...: what a command prints.
is() {
	wanted=$1
	shift
	got=$("$@" 2>&1) || :
	[ "$got" = "$wanted" ] || fail "$*: $got instead of $wanted"
}
# code WANTED COMMAND...: a command's exit code.
code() {
	wanted=$1
	shift
	got=0
	"$@" >/dev/null 2>&1 || got=$?
	[ "$got" = "$wanted" ] || fail "$*: exit code $got, expected $wanted"
}
# refused WORDS COMMAND...: it fails, and says so.
refused() {
	words=$1
	shift
	said=$("$@" 2>&1) && fail "$*: succeeded"
	case $said in
	*"$words"*) ;;
	*) fail "$*: expected \"$words\" in: $said" ;;
	esac
}
# same WHAT FOUND EXPECTED
same() {
	[ "$2" = "$3" ] || fail "$1: $2, expected $3"
}
# between WHAT FOUND LEAST MOST: numbers, with or without a fraction.
between() {
	awk -v n="$2" -v least="$3" -v most="$4" 'BEGIN { exit !(n != "" && n + 0 >= least && n + 0 <= most) }' || fail "$1: $2, expected $3 to $4"
}
