# shellcheck shell=sh
# What the tests of suspended and migrated containers have in common. Each has a `fail` of its own, which shows its logs.

same() { # WHAT FOUND EXPECTED
	[ "$2" = "$3" ] || fail "$1: $2; expected: $3"
}
refused() { # CODE TEXT COMMAND...
	expected=$1 text=$2 code=0
	shift 2
	said=$("$@" 2>&1) || code=$?
	same "the exit code of $*: $said" "$code" "$expected"
	case $said in
	*"$text"*) ;;
	*) fail "$*: $said; expected: $text" ;;
	esac
}
# What the shell in 101 has counted: each number has to be there once.
numbers() {
	awk '$1 != NR { exit 1 } END { print NR }' /vz/root/101/usr/numbers || fail "a number is missing or there twice"
}
more() { # THAN: waits until there are more
	tries=0
	until [ "$(numbers)" -gt "$1" ]; do
		tries=$((tries + 1))
		[ $tries -lt 1000 ] || fail "the shell counts no more: $(vzctl exec2 101 ps)"
		usleep 20000
	done
}
# Puts a shell into 101 that counts, and starts it: the number is only in its memory.
count() {
	cat >/vz/root/101/usr/count <<-'END'
		n=0
		while :; do
			n=$((n + 1))
			echo $n
			usleep 10000
		done >>/usr/numbers
	END
	: >/vz/root/101/usr/numbers
	vzctl exec2 101 'setsid sh /usr/count </dev/null >/dev/null 2>&1 &'
}
