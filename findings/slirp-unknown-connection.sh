#!/usr/bin/env bash
# QEMU's user network (libslirp 4.7.0, bookworm) answers a TCP segment of a connection that it has not seen begin with a reset, in the
# name of whatever address the segment is for, also one of RFC 5737 that nobody has. So where an address of the guest's own goes away
# for a while (a container that is suspended, or moves to another machine), what is sent to it follows the default route, and the
# guest's end of the connection is closed within one repetition. A host route of type `unreachable` prevents it.
#
# Expected beforehand: it is dropped, or an ICMP error that TCP ignores. Needs apt with bookworm, Python. Ends with 1 when this changes.
set -euo pipefail
export LC_ALL=C
PACKAGES=(libslirp0=4.7.0-1 libglib2.0-0=2.74.6-2+deb12u9 libpcre2-8-0=10.42-1)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download "${PACKAGES[@]}" 2> /dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
echo "${PACKAGES[*]}"
export LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu:$work/root/lib/x86_64-linux-gnu

seen=$(
  python3 - << 'END'
import ctypes as c, socket, struct

slirp = c.CDLL("libslirp.so.0")
P, Z = c.c_void_p, c.c_size_t
address = lambda text: c.c_uint32(int.from_bytes(socket.inet_aton(text), "little"))


class Config(c.Structure):
    _fields_ = [("version", c.c_uint32), ("restricted", c.c_int), ("in_enabled", c.c_bool),
                ("network", c.c_uint32), ("mask", c.c_uint32), ("host", c.c_uint32), ("in6_enabled", c.c_bool),
                ("prefix6", c.c_uint8 * 16), ("length6", c.c_uint8), ("host6", c.c_uint8 * 16),
                ("hostname", P), ("tftp_server", P), ("tftp_path", P), ("bootfile", P),
                ("dhcp", c.c_uint32), ("dns", c.c_uint32), ("dns6", c.c_uint8 * 16), ("search", P), ("domain", P),
                ("mtu", Z), ("mru", Z), ("no_loopback", c.c_bool), ("emu", c.c_bool)]


sent = []
KINDS = [("send_packet", c.CFUNCTYPE(c.c_ssize_t, P, Z, P)), ("guest_error", c.CFUNCTYPE(None, P, P)),
         ("clock", c.CFUNCTYPE(c.c_int64, P)), ("timer_new", c.CFUNCTYPE(P, P, P, P)),
         ("timer_free", c.CFUNCTYPE(None, P, P)), ("timer_mod", c.CFUNCTYPE(None, P, c.c_int64, P)),
         ("register", c.CFUNCTYPE(None, c.c_int, P)), ("unregister", c.CFUNCTYPE(None, c.c_int, P)),
         ("notify", c.CFUNCTYPE(None, P))]


class Calls(c.Structure):
    _fields_ = KINDS


def send(data, size, _):
    sent.append(c.string_at(data, size))
    return size


none = lambda *_: None
makers = dict(send_packet=send, clock=lambda _: 10**9, timer_new=lambda *_: 1)
calls = Calls(*[kind(makers.get(name, none)) for name, kind in KINDS])
config = Config(version=1, in_enabled=True, network=address("10.0.2.0"), mask=address("255.255.255.0"),
                host=address("10.0.2.2"), dhcp=address("10.0.2.15"), dns=address("10.0.2.3"))
slirp.slirp_new.restype = P
instance = P(slirp.slirp_new(c.byref(config), c.byref(calls), None))


def give(frame):
    slirp.slirp_input(instance, frame, len(frame))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


guest, us, other = bytes.fromhex("525400123456"), socket.inet_aton("10.0.2.15"), socket.inet_aton("192.0.2.7")
router = bytes.fromhex("52550a000202")
# Who has 10.0.2.2: so it knows the guest.
give(b"\xff" * 6 + guest + struct.pack("!HHHBBH", 0x806, 1, 0x800, 6, 4, 1) + guest + us + bytes(6) + socket.inet_aton("10.0.2.2"))
sent.clear()
data = b"turn"
tcp = lambda sum: struct.pack("!HHIIBBHHH", 40000, 7000, 1000, 2000, 0x50, 0x18, 64240, sum, 0) + data
tcp = tcp(checksum(us + other + struct.pack("!HH", 6, 20 + len(data)) + tcp(0)))
ip = lambda sum: struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, sum) + us + other
give(router + guest + b"\x08\x00" + ip(checksum(ip(0))) + tcp)
for frame in sent:
    if frame[12:14] == b"\x08\x00" and frame[23] == 6:
        print("from", socket.inet_ntoa(frame[26:30]), "reset" if frame[47] & 4 else f"flags {frame[47]:#x}")
    else:
        print("another frame", frame[12:14].hex(), frame[23])
END
)
echo "sent for a segment to 192.0.2.7: ${seen:-nothing}"
[ "$seen" = 'from 192.0.2.7 reset' ] || { echo '  changed: it was a reset from 192.0.2.7'; exit 1; }
