"""Reads a stream's newest frame with nothing of framebus's, by docs/layout.md alone. Prints it as JSON."""

import ctypes
import json
import struct
import sys
import zlib

SHM_RDONLY = 0o10000
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]


def key_of(name):
    value = 0x811C9DC5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return max(value & 0x7FFFFFFF, 1)


def attach(key):
    segment = libc.shmget(ctypes.c_int(key), 0, 0)
    assert segment >= 0, f"no segment under key {key:#x}"
    address = libc.shmat(segment, None, SHM_RDONLY)
    assert address not in (None, ctypes.c_void_p(-1).value), "shmat failed"
    return segment, lambda offset, count: ctypes.string_at(address + offset, count)


name = sys.argv[1]
_, read = attach(key_of(name))
magic, version, order, total = struct.unpack("=8sIIQ", read(0, 24))
bus, stream = (read(offset, 64).rstrip(b"\0").decode() for offset in (40, 104))
slots, history, places, pins = struct.unpack("=4I", read(168, 16))
capacity, stride, window, _, records, payload = struct.unpack("=6Q", read(184, 48))
places_id, _, places_bytes, content, flags, rate, per = struct.unpack("=iiQIIII", read(232, 32))
width, height, pixel_format, row = struct.unpack("=4I", read(264, 16))
latest, futex, state = struct.unpack("=QII", read(1024, 16))
sequence, slot = latest >> 16, latest & 0xFFFF
record = struct.unpack("=5Q4I48s", read(records + slot * 128, 104))
entry, = struct.unpack("=Q", read(window + 8 * (sequence % history), 8))
data = read(payload + slot * stride, record[4])
places_segment, read_places = attach(key_of(name) - (1 << 31))
places_magic, _, places_count, cookie = struct.unpack("=8sII16s", read_places(0, 32))
seen, = struct.unpack("=Q", read_places(256 + 128, 8))
accounts = (256 + 256 * places_count + 4095) // 4096 * 4096
ages = struct.unpack("=128Q", read_places(accounts + 1984, 1024))
lowest = [bucket if bucket < 4 else (4 + bucket % 4) << (bucket // 4 - 1) for bucket in range(126)]
ages_in_bounds = all(32 * lowest[bucket] <= ages[127] for bucket in range(126) if ages[bucket])


def events(read, head, first, length):
    count, = struct.unpack("=Q", read(head, 8))
    numbers = range(max(0, count - length + 1), count)
    return [struct.unpack("=8Q", read(first + 64 * (number % length), 64)) for number in numbers]


told = [[kind & 0xFFFFFFFF, number, value] for _, kind, number, value, *_ in events(read, 1920, 1984, 32)]
own = [[kind & 0xFFFFFFFF, number, value] for _, kind, number, value, *_ in
       events(read_places, accounts + 296, accounts + 320, 8)]
label = read_places(256 + 184, 32).rstrip(b"\0").decode()
print(json.dumps({
    "magic": magic.decode(), "version": version, "order": order, "total": total, "name": f"{bus}/{stream}",
    "slots": slots, "history": history, "places": places, "pins": pins, "capacity": capacity, "content": content,
    "flags": flags, "rate": [rate, per], "shape": [width, height, pixel_format, row], "state": state,
    "sequence": sequence, "generation": record[0], "info_sequence": record[1], "info_shape": list(record[5:9]),
    "user": record[9][:4].decode(), "window_entry": entry == latest, "crc": zlib.crc32(data), "len": len(data),
    "places_id": places_id == places_segment, "places_magic": places_magic.decode(), "places_count": places_count,
    "cookie": cookie == read(24, 16), "seen": seen, "label": label, "ages": sum(ages[:126]), "in_bounds": ages_in_bounds,
    "told": told, "own": own,
}))
