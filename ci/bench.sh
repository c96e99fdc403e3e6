#!/usr/bin/env bash
# The cost of dbco, compared with the same work done by hand. Each part prints one line for each figure, with its limit.
#
#   ci/bench.sh [PART...]     default: toolchain second overlay scale
#
#   toolchain   the build toolchain's root from fetched packages, and `mmdebstrap --variant=extract` of the same packages
#   second      a build that has nothing to do
#   overlay     a build after one file of an overlay has changed
#   scale       peak memory with 100,000 files in an overlay, and with one file of 3 GiB
#   containers  in a machine of 512 MiB and two processors (TCG): 100 application containers, a start compared with the engine's own run,
#               memory of the live system, and what mode `switch` frees of it; and a start on one processor, which misses the
#               limit by the emulator's clock (see ARCHITECTURE.md; `start` measures the same in instructions)
#   thousand    in a machine of 4 GiB and two processors (TCG): 1,000 application containers, the last starts compared with the first,
#               memory for each, and a list of all (20 minutes)
#   start       a start of a container compared with the engine's own run of the same bundle, on a machine whose clock counts instructions
#               and skips waits: without the overhead of an emulator, most of all for code that is run once
#   boot        from power-on to the login (TCG), and to the end of the bare kernel's start with a one-line init
#   cost        fork, exec, open and a page fault with OpenVZ's series in the kernel and with only upstream's code, in instructions
#   compare     two builds of dbco in turn, $OTHER and $DBCO: a build that has nothing to do, a changed overlay file to the ISO,
#               the build toolchain's root; the ratio of the second's time to the first's
#   kernel      the kernel's step, and unpack, patch, configure and make by hand in the same root (20 minutes on 2 cores)
#
# Needs recipes/dbcolinux.yaml built before (its results are linked from the store, which is not changed), GNU time,
# for `toolchain` mmdebstrap, for `compare` the recipe built by both, for `start` and `cost` a recipe tested, which lays out
# QEMU's root, and for `cost` recipes/upstream.yaml built.
# Environment: DBCO (default target/release/dbco), DBCO_STORE, RUNS (default 5); for `compare` OTHER (another build of dbco) and
# RECIPE (default dbcolinux; quick needs no kernel).
# The work folder is beside the store, so that results can be linked.
set -euo pipefail
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."
project=$PWD

DBCO=$(realpath "${DBCO:-target/release/dbco}")
RUNS=${RUNS:-5}
recipe=dbcolinux
from=${DBCO_STORE:-${XDG_CACHE_HOME:-$HOME/.cache}/dbco}
unset DBCO_STORE

failed=0
die() {
  echo "error: $*" >&2
  exit 2
}

[ -x "$DBCO" ] || die "no $DBCO: run \`cargo build --release\`, or name one in DBCO"
[ -d "$from/blobs" ] || die "no store at $from: run \`dbco build\`, or name one in DBCO_STORE"
[ -x /usr/bin/time ] || die "no /usr/bin/time: install GNU time"

work=$(mktemp -d "$(realpath "$from")-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# A separate project in the folder $1, and a separate store with the content of the user's: blobs and results are never written
# in place.
place() {
  mkdir -p "$1/project" "$1/store"
  cp -a "$project/recipes" "$project/kernel-config" "$1/project/"
  mkdir "$1/project/livefs"
  for entry in "$project"/livefs/*; do
    [ "${entry##*/}" = target ] || cp -a "$entry" "$1/project/livefs/"
  done
  cp -al "$from/blobs" "$from/steps" "$1/store/"
  cp -a "$from/format" "$1/store/"
  mkdir "$1/store/roots"
  cd "$1/project"
  store=$1/store out=$1/out
  build "recipes/$recipe.yaml" > "$work/events" || die "recipes/$recipe.yaml does not build from $from alone"
}

build() {
  "$DBCO" build --offline --json --store "$store" -o "$out" "$@"
}

# The seconds of a step's end in $work/events.
step_seconds() {
  grep '"event":"finished"' "$work/events" | grep "\"step\":\"$1\"" | sed 's/.*"seconds":\([0-9.e-]*\).*/\1/'
}

# Runs a command; prints its seconds.
seconds() {
  local begin=$EPOCHREALTIME
  "$@" > "$work/output" 2>&1 || { tail -n 20 "$work/output" >&2 && return 1; }
  awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", b - a }'
}

# Removes the results of a step from the store.
forget() {
  find "$store/steps" -name '*.json' -exec grep -q "^  \"label\": \"$1\"" {} \; -delete
}

# The median of the numbers on standard input.
median() {
  sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
}

# figure NAME VALUE UNIT LIMIT: a line of the report; the value must be below the limit.
figure() {
  local verdict=ok
  if [ -n "${4:-}" ] && ! awk -v a="$2" -v b="$4" 'BEGIN { exit !(a <= b) }'; then verdict=MISSED failed=1; fi
  printf '%-58s %10s %-4s' "$1" "$2" "$3"
  if [ -n "${4:-}" ]; then printf ' (at most %s: %s)' "$4" "$verdict"; fi
  printf '\n'
}

ratio() {
  awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", a / b }'
}

# A recipe whose only heavy step is the toolchain's root: dbcolinux without what is built from source.
small_recipe() {
  mkdir -p recipes/nothing recipes/overlays/init
  printf '#!/system/bin/sh\n' > recipes/overlays/init/init
  chmod 755 recipes/overlays/init/init
  cat > recipes/components/nothing.yaml << 'END'
component: nothing
version: "1"
license: MIT
source: {path: ../nothing}
install: mkdir -p "$OUT/usr"
END
  cat > recipes/small.yaml << 'END'
recipe: small
extends: dbcolinux.yaml
rootfs:
  components: [busybox, busybox-suid, nothing]
initrd: {livefs: none, components: [], overlays: [overlays/init]}
outputs: [initrd]
tests: []
END
}

# Debian packages of the lock's first request that names $1, from the store, in one folder with an index.
repository() {
  local name version sha256 package
  mkdir "$work/repository"
  awk -v wanted="$1" '
    /^- request:/ { if (found) exit; packages = 0; delete line; n = 0 }
    $1 == "-" && $2 == wanted && NF == 2 { found = 1 }
    /^  - name:/ { name = $3 } /^    version:/ { version = $2 }
    /^    sha256:/ { if (found) print name, version, $2 }
  ' recipes/dbco.lock > "$work/packages"
  while read -r name version sha256; do
    package=${name}_${version//:/%3a}.deb
    ln "$store/blobs/${sha256:0:2}/$sha256" "$work/repository/$package"
    dpkg-deb --field "$work/repository/$package"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$package" "$(stat -c %s "$work/repository/$package")" "$sha256"
  done < "$work/packages" > "$work/repository/Packages"
}

by_mmdebstrap() {
  rm -rf "$work/by-hand"
  mmdebstrap --quiet --variant=extract --include="$(cut -d' ' -f1 "$work/packages" | paste -sd,)" bookworm \
    "$work/by-hand" "deb [trusted=yes] copy:$work/repository ./"
}

toolchain() {
  command -v mmdebstrap > /dev/null || die 'the part `toolchain` needs mmdebstrap'
  small_recipe
  repository gcc
  local n steps=() walls=() hands=()
  for ((n = 0; n < RUNS; n++)); do
    rm -rf "$store/roots"/* "$store/steps"
    cp -al "$from/steps" "$store/"
    forget 'toolchain bookworm'
    walls+=("$(seconds build recipes/small.yaml)")
    cp "$work/output" "$work/events"
    steps+=("$(step_seconds 'toolchain bookworm')")
    if [ "$n" -lt 3 ]; then hands+=("$(seconds by_mmdebstrap)"); fi
  done
  local step wall hand
  step=$(printf '%s\n' "${steps[@]}" | median)
  wall=$(printf '%s\n' "${walls[@]}" | median)
  hand=$(printf '%s\n' "${hands[@]}" | median)
  echo "toolchain: $(wc -l < "$work/packages") packages, medians of $RUNS and ${#hands[@]} runs"
  figure '  dbco, the step' "$(printf %.2f "$step")" s
  figure '  dbco, whole command with an initrd' "$(printf %.2f "$wall")" s
  figure '  mmdebstrap --variant=extract' "$hand" s
  figure '  ratio' "$(ratio "$step" "$hand")" '' 1
}

second() {
  local n
  for ((n = 0; n < 2 * RUNS + 1; n++)); do seconds build recipes/dbcolinux.yaml; done > "$work/times"
  grep -q '"steps":0' "$work/output" || die 'the second build ran steps'
  figure "second build, median of $((2 * RUNS + 1))" "$(median < "$work/times")" s 0.1
}

overlay() {
  local n file=recipes/overlays/base/system/etc/motd
  for ((n = 0; n < RUNS; n++)); do
    echo "$n $EPOCHREALTIME" >> "$file"
    seconds build recipes/dbcolinux.yaml
    ! grep '"event":"started"' "$work/output" | grep -q '"step":"component ' || die 'a component was built again'
  done > "$work/times"
  cp "$project/$file" "$file"
  figure "changed overlay file, median of $RUNS" "$(median < "$work/times")" s 2
}

# Switches to the side $1 of a comparison, whose build of dbco is $2.
side() {
  DBCO=$2 store=$work/$1/store out=$work/$1/out
  cd "$work/$1/project"
}

# compared NAME LIMIT: a line for the work that took the seconds in $work/A.times and $work/B.times.
compared() {
  local a b
  a=$(median < "$work/A.times")
  b=$(median < "$work/B.times")
  figure "  $1: $a s, $b s: ratio" "$(ratio "$b" "$a")" '' "$2"
  rm "$work/A.times" "$work/B.times"
}

compare() {
  local recipe=${RECIPE:-dbcolinux} name
  local -A builds=([A]=$(realpath "${OTHER:?names another build of dbco}") [B]=$DBCO)
  for name in A B; do
    DBCO=${builds[$name]}
    place "$work/$name"
    small_recipe
    cp -al "$store/steps" "$work/$name/steps"
  done
  echo "compare: ${builds[A]} and ${builds[B]}, medians of $RUNS runs of each in turn"
  in_turn unchanged
  compared 'a build that finds everything done' 1.1
  in_turn edited
  compared 'changed overlay file' 1.1
  in_turn root_again
  compared "the toolchain's root" 1.05
}

# in_turn COMMAND: runs it for each build in turn, $RUNS times; its output is a time of that build. It can use compare's
# variables.
in_turn() {
  local n
  for ((n = 0; n < RUNS; n++)); do
    for name in A B; do
      side "$name" "${builds[$name]}"
      "$1" >> "$work/$name.times"
    done
  done
}

unchanged() {
  seconds build "recipes/$recipe.yaml"
  grep -q '"steps":0' "$work/output" || die 'a build of what is done ran steps'
}

edited() {
  echo "$n" >> recipes/overlays/base/system/etc/motd
  seconds build "recipes/$recipe.yaml"
  ! grep '"event":"started"' "$work/output" | grep -q '"step":"component ' || die 'a component was built again'
}

root_again() {
  rm -rf "$store/roots"/* "$store/steps"
  cp -al "$work/$name/steps" "$store/"
  forget 'toolchain bookworm'
  build recipes/small.yaml > "$work/events" || { tail -n 3 "$work/events" >&2 && die "recipes/small.yaml does not build from $from alone"; }
  step_seconds 'toolchain bookworm'
}

# The peak memory of dbco itself, in MiB: VmHWM never decreases, so the last reading before the end counts.
# GNU time would include mksquashfs, which is not part of it.
own_peak() {
  "$@" > "$work/output" 2>&1 &
  local pid=$! peak=0 now
  while now=$(awk '/^VmHWM:/ { print $2 }' "/proc/$pid/status" 2> /dev/null) && [ -n "$now" ]; do
    peak=$now
    sleep 0.02
  done
  wait "$pid" || { tail -n 20 "$work/output" >&2 && return 1; }
  echo $(((peak + 1023) / 1024))
}

# As measured by GNU time: dbco, and any program that it ran.
whole_peak() {
  /usr/bin/time -o "$work/time" -v "$@" > "$work/output" 2>&1 || { tail -n 20 "$work/output" >&2 && return 1; }
  awk '/Maximum resident set size/ { print int(($NF + 1023) / 1024) }' "$work/time"
}

scale() {
  local n way name folder components overlays
  mkdir -p recipes/overlays/files/usr/files recipes/overlays/large/usr
  for ((n = 0; n < 100; n++)); do
    folder=recipes/overlays/files/usr/files/$n
    mkdir "$folder"
    seq "${n}000" "${n}999" | split -l 1 -a 3 -d - "$folder/file-"
  done
  # 3 GiB that newc can represent and that compress to nothing; every byte is read all the same.
  truncate -s 3G recipes/overlays/large/usr/large
  for way in none squashfs; do
    components='' overlays=''
    if [ "$way" = squashfs ]; then components=busybox overlays=overlays/initramfs; fi
    for name in files large; do
      cat > "recipes/$name.yaml" << END
recipe: $name
extends: dbcolinux.yaml
rootfs: {overlays: [overlays/base, overlays/$name]}
initrd: {livefs: $way, components: [$components], overlays: [$overlays]}
outputs: [initrd]
tests: []
END
      local begin=$EPOCHREALTIME peak what="100,000 files"
      if [ "$name" = large ]; then what="one file of 3 GiB"; fi
      if [ "$way" = none ]; then
        peak=$(whole_peak "$DBCO" build --offline --json --store "$store" -o "$out" "recipes/$name.yaml")
      else
        peak=$(own_peak "$DBCO" build --offline --json --store "$store" -o "$out" "recipes/$name.yaml")
      fi
      figure "$what, livefs $way: peak of dbco's memory" "$peak" MiB 256
      figure "  its build" "$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", b - a }')" s
      rm -rf "${out:?}/$name"
    done
  done
  rm -rf recipes/overlays/files recipes/overlays/large
}

# The component's settings, as shell assignments; run inside the toolchain's root.
kernel_by_hand() {
  cat > "$work/by-hand/build/run" << 'END'
set -eu
mkdir /build/src
cd /build/src
tar -xJf /build/linux.tar.xz --strip-components=1 --no-same-owner
for patch in /build/patches/*.patch; do patch -p1 --batch --fuzz=0 --quiet -i "$patch"; done
make ARCH=x86_64 tinyconfig
cat /build/fragments >> .config
make ARCH=x86_64 olddefconfig
make ARCH=x86_64 -j"$JOBS" bzImage
END
  # shellcheck disable=SC2016
  unshare --user --map-root-user --mount --pid --fork --net --uts bash -euc '
    root=$1
    hostname dbco
    mount --bind "$root" "$root"
    mount --bind "$2/build" "$root/build"
    for node in null zero full random urandom; do
      if [ $node = null ]; then mount -t tmpfs dev "$root/dev"; fi
      : > "$root/dev/$node"
      mount --bind "/dev/$node" "$root/dev/$node"
    done
    mount -t tmpfs tmp "$root/tmp"
    mount -t proc proc "$root/proc"
    exec chroot "$root" /usr/bin/env -i HOME=/build LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin SHELL=/bin/sh \
      TZ=UTC USER=root JOBS="$3" KBUILD_BUILD_USER=dbco KBUILD_BUILD_HOST=dbco KBUILD_BUILD_VERSION=1 \
      SOURCE_DATE_EPOCH="$4" KBUILD_BUILD_TIMESTAMP="$(date -u -d "@$4")" /bin/sh /build/run
  ' - "$1" "$work/by-hand" "$(nproc)" "$2"
}

kernel() {
  local epoch key sha256 name
  forget 'component linux-6.1'
  build --only bzimage recipes/dbcolinux.yaml > "$work/events"
  key=$(find "$store/roots" -mindepth 1 -maxdepth 1 -type d | while read -r root; do
    [ ! -x "$root/usr/bin/gcc" ] || basename "$root"
  done | head -n 1)
  rm -rf "$work/by-hand"
  mkdir -p "$work/by-hand/build/patches"
  sha256=$(grep -A 4 'name: linux_6.1.*orig.tar.xz' recipes/dbco.lock | awk '$1 == "sha256:" { print $2 }')
  ln "$store/blobs/${sha256:0:2}/$sha256" "$work/by-hand/build/linux.tar.xz"
  cp recipes/patches/linux-6.1/*.patch "$work/by-hand/build/patches/"
  for name in tiny hardware virt containers ovz; do cat "kernel-config/$name.config"; done > "$work/by-hand/build/fragments"
  epoch=$(date -u -d "$(sed -n 's/^epoch: *\([0-9-]*\).*/\1/p' recipes/dbcolinux.yaml)" +%s)
  local dbco hand
  dbco=$(step_seconds 'component linux-6.1')
  hand=$(seconds kernel_by_hand "$store/roots/$key" "$epoch")
  cmp "$work/by-hand/build/src/.config" "$out/dbcolinux/config" || die 'the two configurations differ'
  if cmp -s "$work/by-hand/build/src/arch/x86/boot/bzImage" "$out/dbcolinux/bzImage"; then
    echo 'kernel: both are the same, bit for bit'
  else
    echo 'kernel: same configuration, other bits'
  fi
  figure '  dbco, the step' "$(printf %.1f "$dbco")" s
  figure '  by hand' "$hand" s
  figure '  ratio' "$(ratio "$dbco" "$hand")" '' 1.05
}

# The boot tests of recipe $1 whose names contain $2; events and other output in $work/output.
machine() {
  "$DBCO" test --offline --json --store "$store" -o "$out" --filter "$2" "recipes/$1.yaml" > "$work/output" 2>&1 || {
    tail -n 40 "$work/output" >&2
    die "the test $2 of recipes/$1.yaml does not pass"
  }
}

# The figures that machine NAME printed, one per line. The command itself is echoed, too.
figures() {
  tr -d '\r' < "$out/bench.tests/$1.log" |
    sed -n 's/^\(dbco-m[0-9]*\.\)\{0,1\}figure \([a-z]*[a-z0-9-]* [0-9]* [A-Za-z]*\)$/\2/p'
}

# The figures of the test $1; a start compared with the engine's own run, at most 1.3 of it.
starts() {
  local name value unit ours=''
  machine bench "$1"
  while read -r name value unit; do
    case $name in
      live-idle) figure "  $name" "$value" "$unit" 40 ;;
      start | alone-start) figure "  $name" "$value" "$unit" && ours=$value ;;
      engine-run | alone-engine-run)
        figure "  $name" "$value" "$unit"
        figure "  ${name%engine-run}start by $name" "$(ratio "$ours" "$value")" '' 1.3
        ;;
      *) figure "  $name" "$value" "$unit" ;;
    esac
  done < <(figures "$1")
  [ -n "$ours" ] || die "$1 printed no figures"
}

containers() {
  local name value live=0 switch=0 disk=0
  echo 'containers: 100 applications in 512 MiB, two processors'
  starts bench-containers
  echo "containers: one processor, by the emulator's clock"
  starts bench-one-processor
  # In turn and several times: two starts of the same system differ by up to 1 MiB.
  : > "$work/memory"
  for name in 1 2 3 4 5; do
    machine bench bench-switch
    figures bench-switch >> "$work/memory"
  done
  echo 'boot modes: memory in use, medians of 5 starts'
  for name in live switch disk; do
    value=$(awk -v name="$name" '$1 == name { print $2 }' "$work/memory" | median)
    figure "  $name" "$value" KiB
    printf -v "$name" %s "$value"
  done
  # The live system's share is what is in use beyond the same system without one.
  figure '  kept by switch, % of the live system' \
    "$(awk -v l="$live" -v s="$switch" -v d="$disk" 'BEGIN { printf "%.1f\n", 100 * (s - d) / (l - d) }')" '' 10
}

thousand() {
  local name value unit first=
  echo 'thousand: 1,000 applications in 4 GiB, two processors'
  machine bench bench-thousand
  while read -r name value unit; do
    case $name in
      memory-each) figure "  $name" "$value" "$unit" 1331 ;;
      list-all) figure "  $name" "$value" "$unit" 500000 ;;
      start-head) figure "  $name" "$value" "$unit" && first=$value ;;
      start-tail)
        figure "  $name" "$value" "$unit"
        figure '  start-tail by start-head' "$(ratio "$value" "$first")" '' 2
        ;;
      *) figure "  $name" "$value" "$unit" ;;
    esac
  done < <(figures bench-thousand)
  [ -n "$first" ] || die 'bench-thousand printed no figures'
}

# said TEXT: reads the output of the machine on the coprocess `console`, up to that text; all of it is in $work/said.
said() {
  local line='' byte
  until [[ $line == *"$1" ]]; do
    # shellcheck disable=SC2154  # set by coproc
    IFS= read -r -d '' -N 1 -u "${console[0]}" byte || { tail -n 20 "$work/said" >&2 && die "the machine ended before it said: $1"; }
    printf %s "$byte" >> "$work/said"
    if [ "$byte" = $'\n' ]; then line=''; else line+=$byte; fi
  done
}

start() {
  local ours engine
  build --only bzimage --only initrd recipes/bench.yaml > "$work/events" || die 'recipes/bench.yaml does not build'
  coproc console { counting "$out/bench/bzImage" "$out/bench/initrd.img" 512 nodhcp 2>&1; }
  : > "$work/said"
  said 'login:'
  echo root >&"${console[1]}"
  said 'root@dbcolinux:~#'
  echo 'sh /usr/tests/bench.sh start' >&"${console[1]}"
  said 'benchmark done'
  # shellcheck disable=SC2154  # set by coproc
  kill "$console_PID"
  ours=$(tr -d '\r' < "$work/said" | sed -n 's/^figure start \([0-9]*\) us$/\1/p')
  engine=$(tr -d '\r' < "$work/said" | sed -n 's/^figure engine-run \([0-9]*\) us$/\1/p')
  echo 'start: a container in memory, instructions and what is waited for'
  figure '  start' "$ours" us
  figure '  engine-run' "$engine" us
  figure '  ratio' "$(ratio "$ours" "$engine")" '' 1.3
}

# Seconds that the only test of the last machine took, from QEMU's start to the text that it waits for.
machine_seconds() {
  sed -n 's/.*"event":"test".*"seconds":\([0-9.]*\).*/\1/p' "$work/output"
}

boot() {
  local n
  : > "$work/bare"
  : > "$work/login"
  for ((n = 0; n < RUNS; n++)); do
    machine bench-boot bench-boot && machine_seconds >> "$work/bare"
    machine bench bench-login && machine_seconds >> "$work/login"
  done
  local bare login
  bare=$(median < "$work/bare")
  login=$(median < "$work/login")
  echo "boot: medians of $RUNS starts, in turn"
  figure '  the kernel with a one-line init' "$(printf %.2f "$bare")" s
  figure '  to the login' "$(printf %.2f "$login")" s
  figure '  ratio' "$(ratio "$login" "$bare")" '' 1.25
}

# counting KERNEL INITRD MEMORY PARAMETERS: a machine whose clock counts instructions, a nanosecond for each, with its console on our
# standard streams. dbco's own machines use the host's clock, so QEMU is run from its root, by the root's own loader. Without
# norandmaps a fork differs by 4 % from boot to boot, as random addresses are spread over more or fewer page tables.
counting() {
  local qemu root lib
  qemu=$(find "$from/roots" -mindepth 4 -maxdepth 4 -path '*/usr/bin/qemu-system-x86_64' | head -n 1)
  [ -n "$qemu" ] || die "no QEMU in $from/roots: run \`dbco test recipes/containers.yaml\` first"
  root=${qemu%/usr/bin/*}
  lib=$root/usr/lib/x86_64-linux-gnu
  QEMU_MODULE_DIR=$lib/qemu exec "$root/lib64/ld-linux-x86-64.so.2" --library-path "$lib:$root/lib/x86_64-linux-gnu" "$qemu" \
    -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" -nodefaults -no-user-config -no-reboot -display none -machine q35 \
    -accel tcg,thread=single -icount shift=0,sleep=off -rtc clock=vm -cpu qemu64,+rdrand -m "$3" -smp 1 -serial stdio \
    -kernel "$1" -initrd "$2" -append "console=ttyS0 norandmaps $4"
}

# counted KERNEL INITRD: the output of vecost there.
counted() {
  (counting "$1" "$2" 256 'rdinit=/usr/bin/vecost quiet') < /dev/null > "$work/output" 2>&1
  grep -q 'vecost: done' "$work/output" || { tail -n 20 "$work/output" >&2 && die 'vecost did not come to its end'; }
  tr -d '\r' < "$work/output" | sed -n 's/^cost \([a-z-]*\) \([0-9.]*\) ns$/\1 \2/p'
}

cost() {
  local round name on off limit
  build recipes/cost.yaml > "$work/events" || die 'recipes/cost.yaml does not build'
  build --only bzimage recipes/upstream.yaml > "$work/events" || die "upstream's kernel does not build"
  # The two machines in turn, twice: the difference between two runs of one is noise.
  for round in 1 2; do
    counted "$out/cost/bzImage" "$out/cost/initrd.img" > "$work/on.$round"
    counted "$out/upstream/bzImage" "$out/cost/initrd.img" > "$work/off.$round"
  done
  echo 'cost: instructions with the series and with upstream alone, means of two runs each'
  while read -r name on off; do
    limit=''
    case $name in *-fork | *-exec | *-open | *-fault) limit=1.01 ;; esac
    figure "  $name: $on, $off: ratio" "$(ratio "$on" "$off")" '' "$limit"
  done < <(paste -d' ' "$work"/on.[12] "$work"/off.[12] | awk '{ printf "%s %.1f %.1f\n", $1, ($2 + $4) / 2, ($6 + $8) / 2 }')
}

if [ $# -eq 0 ]; then set -- toolchain second overlay scale; fi
for part; do
  case $part in
    toolchain | second | overlay | scale | containers | thousand | start | boot | cost | compare | kernel) ;;
    *)
      sed -n '2,27s/^# \{0,1\}//p' "$project/ci/bench.sh" >&2
      exit 2
      ;;
  esac
done
echo "$(uname -sr), $(nproc) cores, $(awk '/^MemTotal/ { print int($2 / 1048576 + 0.5) }' /proc/meminfo) GiB, load $(cut -d' ' -f1 /proc/loadavg)"
[ "$*" = compare ] || place "$work"
for part; do "$part"; done
exit $failed
