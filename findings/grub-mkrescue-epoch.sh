#!/usr/bin/env bash
# grub-mkrescue and grub-mkstandalone (GRUB 2.06, bookworm) with SOURCE_DATE_EPOCH set: neither is reproducible.
# grub-mkrescue states the ISO's creation date itself, from the clock, so that xorriso, which heeds the variable when it is run
# alone, does not get to; and the modules that it copies in have the time of the copy. grub-mkstandalone packs the modules
# as a tar archive with such times into the image.
#
# Expected beforehand: the ISO has the date of SOURCE_DATE_EPOCH, as xorriso's own has; both are the same when made twice.
# Needs apt with bookworm, python3. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1000000000
GRUB=2.06-13+deb12u2
PACKAGES=("grub-common=$GRUB" "grub-efi-amd64-bin=$GRUB" xorriso=1.5.4-4 libisoburn1=1.5.4-4 libisofs6=1.5.4-1 libburn4=1.5.4-1
  libjte2=1.22-3 mtools=4.0.33-1+really4.0.32-1)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
export PATH=$work/root/usr/bin:$PATH LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu
grub-mkrescue --version
modules=(--directory "$work/root/usr/lib/grub/x86_64-efi" --locale-directory "$work/none")

changed=0
expect() { # WHAT EXPECTED SEEN
  echo "$1: $3"
  [ "$2" = "$3" ] || { echo "  changed: it was $2"; changed=1; }
}
year() { # ISO: year of creation, ECMA-119 8.4.26.1
  python3 -c 'import sys; f = open(sys.argv[1], "rb"); f.seek(16 * 2048 + 813); print(f.read(4).decode())' "$1"
}
next_second() {
  local begin
  begin=$(date +%s)
  while [ "$(date +%s)" = "$begin" ]; do :; done
}

mkdir -p iso/boot/grub
echo 'set timeout=1' > iso/boot/grub/grub.cfg
find iso -exec touch -d @$SOURCE_DATE_EPOCH {} +
xorriso -as mkisofs -quiet -o plain.iso iso 2> /dev/null
for n in 1 2; do
  grub-mkrescue "${modules[@]}" -o $n.iso iso > log 2>&1 || { cat log; exit 2; }
  grub-mkstandalone "${modules[@]}" -O x86_64-efi -o $n.efi boot/grub/grub.cfg=iso/boot/grub/grub.cfg 2> log || { cat log; exit 2; }
  next_second
done
expect 'xorriso alone: year of the ISO' 2001 "$(year plain.iso)"
expect 'grub-mkrescue: year of the ISO' "$(date +%Y)" "$(year 1.iso)"
expect 'grub-mkrescue twice' differ "$(cmp -s 1.iso 2.iso && echo same || echo differ)"
expect 'grub-mkstandalone twice' differ "$(cmp -s 1.efi 2.efi && echo same || echo differ)"
exit $changed
