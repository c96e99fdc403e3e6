#!/usr/bin/env python3
"""What dbco reads from Debian packages, held against dpkg-deb's stream as Python's tarfile reads it.

    ci/packages.py DEB_TREE [COUNT] [SEED] [SUITE...]        default: 500 packages of bookworm and 500 of trixie, SEED by the clock

COUNT packages of each suite's main, of at most 5 MB each, are chosen at random by SEED, downloaded by apt in batches of
50 and removed again: types, modes, owners, link texts, names of one file, device numbers, extended attributes, lengths and
digests have to be equal. apt's own configuration names the mirror; nothing of it is changed. DEB_TREE is the built example.
"""

import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import tempfile
import time

LARGEST = 5_000_000
BATCH = 50
# Few packages have setuid programs, owners other than root, or hard links: these do, and are read in addition to the random ones.
SPECIAL = ["at", "base-files", "base-passwd", "cron", "git", "login", "login.defs", "man-db", "mount", "openssh-client", "passwd",
           "perl-base", "screen", "sudo", "util-linux", "x11-common"]
KINDS = ["dir", "file", "symlink", "char", "block", "fifo"]


class Apt:
    """apt with folders and a list of sources of its own, for one suite."""

    def __init__(self, folder, suite):
        listed = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(COMPONENT) $(CODENAME) $(REPO_URI)", "Created-By: Packages"],
            check=True, capture_output=True, text=True).stdout.split("\n")
        mirrors = [line.split()[2] for line in listed if line.startswith("main ") and "-" not in line.split()[1]]
        if not mirrors:
            sys.exit("apt names no Debian mirror here: the packages can't be downloaded")
        self.folder = pathlib.Path(folder)
        for name in ["state/lists/partial", "cache/archives/partial", "empty", "debs"]:
            (self.folder / name).mkdir(parents=True)
        (self.folder / "state/status").touch()
        (self.folder / "sources.list").write_text(f"deb {mirrors[0]} {suite} main\n")
        self.options = [
            f"-oDir::State={self.folder}/state", f"-oDir::State::status={self.folder}/state/status",
            f"-oDir::Cache={self.folder}/cache", f"-oDir::Etc::sourcelist={self.folder}/sources.list",
            f"-oDir::Etc::sourceparts={self.folder}/empty", f"-oDir::Etc::preferencesparts={self.folder}/empty",
            "-oAPT::Architecture=amd64", "-oAPT::Sandbox::User=", "-oAcquire::Retries=3", "-qq",
        ]
        self.run("update")

    def run(self, *words):
        subprocess.run(["apt-get", *self.options, *words], check=True, cwd=self.folder / "debs", stdout=subprocess.DEVNULL)

    def packages(self):
        """`name=version` of all that are not larger than LARGEST."""
        text = subprocess.run(["apt-cache", *self.options[:-1], "dumpavail"], check=True, capture_output=True).stdout
        found = set()
        for paragraph in text.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in paragraph.split("\n") if ": " in line and line[0] != " ")
            if "Package" in fields and int(fields["Size"]) <= LARGEST:
                found.add(f"{fields['Package']}={fields['Version']}")
        return sorted(found)


def fields(kind, mode, uid, gid, content=None, xattrs=None, names=()):
    # The mode of a link has no meaning.
    return {"kind": kind, "mode": None if kind == "symlink" else oct(mode), "owner": (uid, gid), "content": content,
            "xattrs": xattrs or {}, "names": sorted(names)}


def by_dbco(entries):
    names = {}
    for path, entry in entries:
        if entry.get("inode"):
            names.setdefault(entry["inode"], []).append(path)
    tree = {}
    for path, entry in entries:
        kind = next(kind for kind in KINDS if kind in entry)
        value, content = entry[kind], None
        if kind == "file":
            content = (value["blob"], value["size"])
        elif kind == "symlink":
            content = value["target"]
        elif kind in ("char", "block"):
            content = (value["major"], value["minor"])
        xattrs = {name: bytes(value) for name, value in entry.get("xattrs", {}).items()}
        tree[path] = fields(kind, entry["mode"], entry["uid"], entry["gid"], content, xattrs, names.get(entry.get("inode"), ()))
    return tree


def by_dpkg(deb):
    stream = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
    tree, first, names = {}, {}, {}
    with tarfile.open(fileobj=stream.stdout, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            path = "/".join(part for part in member.name.split("/") if part not in ("", "."))
            xattrs = {key[len("SCHILY.xattr."):]: value.encode("utf-8", "surrogateescape")
                      for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
            content = None
            if member.islnk():
                target = "/".join(part for part in member.linkname.split("/") if part not in ("", "."))
                origin = first.get(target, target)
                first[path] = origin
                names.setdefault(origin, {origin}).add(path)
                tree[path] = dict(tree[origin])
                continue
            if member.isreg():
                kind, digest = "file", hashlib.sha256()
                reader = archive.extractfile(member)
                while block := reader.read(1 << 20):
                    digest.update(block)
                content = (digest.hexdigest(), member.size)
            elif member.isdir():
                kind = "dir"
            elif member.issym():
                kind, content = "symlink", member.linkname
            elif member.ischr() or member.isblk():
                kind, content = ("char" if member.ischr() else "block"), (member.devmajor, member.devminor)
            else:
                kind = "fifo"
            tree[path] = fields(kind, member.mode, member.uid, member.gid, content, xattrs)
    if stream.wait() != 0:
        raise RuntimeError("dpkg-deb failed")
    for origin, all_names in names.items():
        for path in all_names:
            tree[path]["names"] = sorted(all_names)
    return tree


def differences(deb, line):
    if "error" in line:
        return [line["error"]]
    ours, theirs = by_dbco(line["entries"]), by_dpkg(deb)
    lines = [f"/{path}: only one of them has it" for path in sorted(ours.keys() ^ theirs.keys())]
    for path in sorted(ours.keys() & theirs.keys()):
        for name, value in ours[path].items():
            if value != theirs[path][name]:
                lines.append(f"/{path}: {name}: dbco {value}, dpkg-deb {theirs[path][name]}")
    return lines


def main():
    words = sys.argv[1:]
    if not words or not os.access(words[0], os.X_OK):
        sys.exit(__doc__)
    deb_tree = os.path.abspath(words.pop(0))
    count = int(words.pop(0)) if words and words[0].isdigit() else 500
    seed = int(words.pop(0)) if words and words[0].isdigit() else int(time.time())
    suites = words or ["bookworm", "trixie"]
    print(f"seed {seed}: {count} packages of each of {', '.join(suites)}", flush=True)
    failed = 0
    for suite in suites:
        seen = {"packages": 0, "paths": 0, "special modes": 0, "other owners": 0, "hard links": 0, "symbolic links": 0, "attributes": 0}
        with tempfile.TemporaryDirectory() as folder:
            apt = Apt(folder, suite)
            known = apt.packages()
            chosen = random.Random(f"{seed} {suite}").sample(known, min(count, len(known)))
            chosen += [name for name in known if name.split("=")[0] in SPECIAL and name not in chosen]
            for start in range(0, len(chosen), BATCH):
                apt.run("download", *chosen[start:start + BATCH])
                debs = sorted(str(path) for path in (apt.folder / "debs").iterdir())
                read = subprocess.run([deb_tree, *debs], check=True, capture_output=True, text=True).stdout.splitlines()
                for deb, line in zip(debs, map(json.loads, read), strict=True):
                    found = differences(deb, line)
                    failed += bool(found)
                    for text in found[:10]:
                        print(f"{suite}: {os.path.basename(deb)}: {text}", flush=True)
                    entries = [entry for _, entry in line.get("entries", [])]
                    seen["packages"] += 1
                    seen["paths"] += len(entries)
                    seen["special modes"] += sum(entry["mode"] > 0o777 for entry in entries)
                    seen["other owners"] += sum((entry["uid"], entry["gid"]) != (0, 0) for entry in entries)
                    seen["hard links"] += sum(bool(entry.get("inode")) for entry in entries)
                    seen["symbolic links"] += sum("symlink" in entry for entry in entries)
                    seen["attributes"] += sum(bool(entry.get("xattrs")) for entry in entries)
                    os.remove(deb)
        print(f"{suite}: of {len(known)}: " + ", ".join(f"{number} {what}" for what, number in seen.items()), flush=True)
    print(f"{failed} packages differ")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
