"""Bodies that only their codec can judge, and epochs that nobody ever had.

What Kafka takes here no consumer may be able to read; what it refuses, each of its codecs refuses in its own way.
"""

import gzip
import struct
import zlib

import cramjam

from batches import SOME_TIME, batch, record
from scenes import create, list_offsets, produce

LZ4_START = bytes.fromhex("04224d18")
# Flags, the sizes of blocks, and what the header's checksum is of these two.
LZ4_PLAIN, LZ4_WITH_CHECKSUM = bytes.fromhex("604082"), bytes.fromhex("6440a7")
RAW = 1 << 31


def lz4(header, *blocks, end=bytes(4)):
    """A frame of raw blocks."""
    return LZ4_START + header + b"".join(struct.pack("<I", len(block) | RAW) + block for block in blocks) + end


def xerial(content, version):
    block = bytes(cramjam.snappy.compress_raw(content))
    return b"\x82SNAPPY\0" + struct.pack(">iii", version, 1, len(block)) + block


def odd_bodies(scene):
    three = [record(i) for i in range(3)]
    content = b"".join(three)
    of = lambda codec, payload: batch(three, codec=codec, payload=payload)
    cases = {
        "lz4, raw": of("lz4", lz4(LZ4_PLAIN, content)),
        "lz4, a raw block of nothing": of("lz4", lz4(LZ4_PLAIN, content[:5], b"", content[5:])),
        "lz4, with a wrong checksum of the content": of("lz4", lz4(LZ4_WITH_CHECKSUM, content, end=bytes(8))),
        "lz4, without the checksum that it announces": of("lz4", lz4(LZ4_WITH_CHECKSUM, content)),
        "lz4, without an end": of("lz4", lz4(LZ4_PLAIN, content, end=b"")),
        "lz4, bytes behind the end": of("lz4", lz4(LZ4_PLAIN, content) + b"more"),
        "zstd of nothing at all": of("zstd", b""),
        "gzip, two members": of("gzip", gzip.compress(content[:9]) + gzip.compress(content[9:])),
    }
    cases |= {f"snappy, version {version}": of("snappy", xerial(content, version)) for version in (-1, 0, 1, 2)}
    # A length that is not that of the record: 8 would be right.
    cases |= {f"{codec}, a record of {size} bytes": batch([bytes([2 * size]) + record()[1:]], codec=codec)
              for codec in ("gzip", "zstd") for size in (0, 7, 9)}
    create(scene, "bodies")
    create(scene, "bodies-again", compression_type="gzip")
    for topic in ("bodies", "bodies-again"):
        for label, content in cases.items():
            scene.ask(f"{topic}, {label}", "Produce", 9, produce(topic, content))


def gzip_member(content, flags=0, announced=b"", method=8, checksum=None):
    """Whatever its header says; `announced` is what the flags say that there is."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    return (b"\x1f\x8b" + bytes([method, flags]) + bytes(5) + b"\xff" + announced + deflate.compress(content) + deflate.flush()
            + struct.pack("<II", zlib.crc32(content) if checksum is None else checksum, len(content)))


def odd_members(scene):
    """What Java's GZIPInputStream reads: it knows no reserved flags, and looks for another member only where one would fit."""
    three = [record(i) for i in range(3)]
    content = b"".join(three)
    cases = {f"flags {flags:#x}": gzip_member(content, flags) for flags in (0x01, 0x20, 0x40, 0x80, 0xe0)}
    cases |= {
        "a name and a comment": gzip_member(content, 0x18, b"name\0comment\0"),
        "extra bytes": gzip_member(content, 0x84, b"\x03\0abc"),
        "more extra bytes than there are": gzip_member(content, 0x04, b"\xff\xff"),
        "a wrong checksum of the header": gzip_member(content, 0x02, b"\0\0"),
        "another method": gzip_member(content, method=7),
        "a wrong checksum": gzip_member(content, checksum=1),
        "no trailer": gzip_member(content)[:-8],
        "a record too many, and a wrong checksum": gzip_member(content + record(3), checksum=1),
        "behind it a header": gzip_member(content) + gzip_member(b"")[:10],
        "behind it a member cut off": gzip_member(content) + gzip_member(b"more")[:17],
        "behind it a longer one cut off": gzip_member(content) + gzip_member(content[:40])[:30],
        "behind it another method": gzip_member(content) + gzip_member(content, method=7),
        "behind it a wrong checksum": gzip_member(content) + gzip_member(b"more", checksum=1),
        "behind it zeros": gzip_member(content) + bytes(40),
        "two members": gzip_member(content[:9], 0x20) + gzip_member(content[9:], 0x80),
        "two members, nothing between": gzip_member(content[:9]) + gzip_member(b"") + gzip_member(content[9:]),
    }
    create(scene, "members")
    create(scene, "members-again", compression_type="lz4")
    for topic in ("members", "members-again"):
        for label, payload in cases.items():
            scene.ask(f"{topic}, {label}", "Produce", 9, produce(topic, batch(three, codec="gzip", payload=payload)))


def odd_epochs(scene):
    """Only -1 is none. Any other that is below the first ends where the first begins."""
    create(scene, "epochs")
    scene.ask("written", "Produce", 9, produce("epochs", batch([record(i) for i in range(3)], first_time=SOME_TIME)))
    ask = lambda label, epoch: scene.ask(label, "OffsetForLeaderEpoch", 4, {"replicaId": -1, "topics": [
        {"topic": "epochs", "partitions": [{"partition": 0, "currentLeaderEpoch": -1, "leaderEpoch": epoch}]}]})
    for epoch in (-2**31, -2, -1, 0, 1):
        ask(f"epoch {epoch}", epoch)
    scene.ask("trimmed", "DeleteRecords", 2, {"timeoutMs": 1000, "topics": [
        {"name": "epochs", "partitions": [{"partitionIndex": 0, "offset": 2}]}]})
    for epoch in (-2, -1, 0):
        ask(f"epoch {epoch} of a trimmed one", epoch)
    scene.ask("the start", "ListOffsets", 5, list_offsets("epochs", -2))


SCENES = [odd_bodies, odd_members, odd_epochs]
