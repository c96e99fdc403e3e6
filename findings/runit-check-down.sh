#!/usr/bin/env bash
# runit 2.1.2 (bookworm): `sv check SERVICE`, which run scripts use to wait for another service (`sv check database || exit 1`), succeeds for one
# that is down, if nobody has asked for it to be up (a file `down`, `sv down`): sv(8) waits for the state that was requested. Nor does it
# succeed only once the program runs: a run script that itself still waits counts as up. So order that is stated with it holds neither for a
# service that was stopped nor along a chain of three.
#
# Expected beforehand: it waits until the service runs, and fails otherwise. Needs apt with bookworm. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
PACKAGE=runit=2.1.2-54

work=$(mktemp -d)
finish() {
  # shellcheck disable=SC2046 # several numbers
  kill $(jobs -p) 2> /dev/null || true
  wait
  rm -rf "$work"
}
trap finish EXIT
cd "$work"
apt-get -qq download "$PACKAGE" 2> /dev/null
dpkg-deb -x ./*.deb root
export PATH=$work/root/usr/bin:$PATH
echo "$PACKAGE"

# One that is not to be started, and one whose program never starts, as its script waits.
mkdir -p services/down services/waits
printf '#!/bin/sh\nexec tail -f /dev/null\n' > services/down/run
printf '#!/bin/sh\nuntil [ -e %s/ready ]; do sleep 1; done\nexec tail -f /dev/null\n' "$work" > services/waits/run
chmod +x services/*/run
touch services/down/down
for service in down waits; do runsv "services/$service" & done
for _ in $(seq 100); do
  # runsv(8): there when the service is supervised.
  [ -p services/down/supervise/ok ] && [ -s services/waits/supervise/pid ] && break
  sleep 0.1
done

seen=$(
  for service in down waits; do
    status=0
    text=$(sv -w 2 check "$work/services/$service") || status=$?
    echo "$service: status $status, ${text%%: /*}"
  done
)
echo "$seen"
[ "$seen" = $'down: status 0, ok: down\nwaits: status 0, ok: run' ] || {
  echo "changed"
  exit 1
}
