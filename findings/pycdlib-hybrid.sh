#!/usr/bin/env bash
# pycdlib 1.22.0 opens a hybrid ISO as grub-mkrescue 2.06 makes it, adds one small file and writes it, without a word:
#
#   1. The MBR and the GPT are gone (the first 32 KiB are zeros), so that it no longer boots from a USB stick or a disk. Only
#      isolinux's kind of hybrid is known to pycdlib.
#   2. GRUB's El Torito image moves, and pycdlib brings its boot info table up to date, but not its "grub2 boot info", the
#      block that the code in the MBR continues from (`xorriso -report_el_torito plain` no longer shows grub2-boot-info). So an
#      MBR that is put back from the original loads from the wrong place, too.
# From CD the result still boots (tried with SeaBIOS), which is what most people test.
#
# Expected beforehand: the system area is kept as it is (the partitions' ends perhaps stale), or the change is refused.
# Needs apt with bookworm, python3 with venv, PyPI. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
GRUB=2.06-13+deb12u2
PACKAGES=("grub-common=$GRUB" "grub-pc-bin=$GRUB" xorriso=1.5.4-4 libisoburn1=1.5.4-4 libisofs6=1.5.4-1
  libburn4=1.5.4-1 libjte2=1.22-3 mtools=4.0.33-1+really4.0.32-1)
PYCDLIB=pycdlib==1.22.0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target python "$PYCDLIB"
export PATH=$work/root/usr/bin:$PATH LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu PYTHONPATH=$work/python
echo "$PYCDLIB, $(grub-mkrescue --version)"

changed=0
expect() { # WHAT EXPECTED SEEN
  echo "$1: $3"
  [ "$2" = "$3" ] || { echo "  changed: it was $2"; changed=1; }
}

mkdir -p iso/boot/grub
echo 'set timeout=1' > iso/boot/grub/grub.cfg
grub-mkrescue --directory root/usr/lib/grub/i386-pc --locale-directory "$work/none" -o before.iso iso > log 2>&1 || { cat log; exit 2; }
python3 - << 'END'
import io, pycdlib
iso = pycdlib.PyCdlib()
iso.open("before.iso")
iso.add_fp(io.BytesIO(b"hello\n"), 6, "/HELLO.;1", rr_name="hello")
iso.write("after.iso")
iso.close()
END
system_area() { head -c 32768 "$1" | tr -d '\0' | wc -c; }
images() { xorriso -indev "$1" -report_el_torito plain 2> /dev/null | sed -n 's/^El Torito img opts : *1 *//p' | tr -s ' ' | sed 's/ $//'; }
expect 'before: system area' filled "$([ "$(system_area before.iso)" -gt 0 ] && echo filled || echo empty)"
expect 'before: El Torito for BIOS' 'boot-info-table grub2-boot-info' "$(images before.iso)"
expect 'after: system area' empty "$([ "$(system_area after.iso)" -gt 0 ] && echo filled || echo empty)"
expect 'after: El Torito for BIOS' 'boot-info-table' "$(images after.iso)"
exit $changed
