"""Batches of records as Kafka's format 2 has them, right or wrong on purpose."""

import gzip
import struct

from crc32c import crc32c

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
BATCH_LENGTH_AT, MAGIC_AT, CRC_AT, ATTRIBUTES_AT, LAST_DELTA_AT, COUNT_AT = 8, 16, 17, 21, 23, 57
HEADER_BYTES = 61
SOME_TIME = 1_700_000_000_000


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    value &= 0xFFFFFFFFFFFFFFFF
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def varbytes(content):
    return varint(-1) if content is None else varint(len(content)) + content


def record(offset_delta=0, timestamp_delta=0, key=b"k", value=b"v", headers=(), attributes=0):
    body = (bytes([attributes]) + varint(timestamp_delta) + varint(offset_delta) + varbytes(key) + varbytes(value)
            + varint(len(headers)) + b"".join(varbytes(name) + varbytes(content) for name, content in headers))
    return varint(len(body)) + body


def batch(records=None, count=None, codec="none", attributes=0, base_offset=0, producer=(-1, -1, -1), magic=2,
          last_delta=None, first_time=SOME_TIME, max_time=None, payload=None, epoch=-1):
    """`producer` is (id, epoch, base sequence). `payload` stands for the compressed records, whatever it is."""
    records = [record()] if records is None else records
    count = len(records) if count is None else count
    if payload is None:
        payload = b"".join(records)
        if codec == "gzip":
            payload = gzip.compress(payload)
        elif codec != "none":
            import cramjam
            payload = bytes({"snappy": cramjam.snappy.compress_raw, "zstd": cramjam.zstd.compress, "lz4": cramjam.lz4.compress}[codec](payload))
    last_delta = count - 1 if last_delta is None else last_delta
    max_time = first_time if max_time is None else max_time
    checked = struct.pack(">hiqqqhii", attributes | CODECS.get(codec, 0), last_delta, first_time, max_time,
                          *producer, count) + payload
    return (struct.pack(">qiibI", base_offset, len(checked) + 9, epoch, magic, crc32c(checked)) + checked)


def patched(content, at, replacement, keep_crc=False):
    """A batch with some bytes replaced; its CRC made right again unless the bytes are to be damage."""
    content = bytearray(content)
    content[at:at + len(replacement)] = replacement
    if not keep_crc:
        content[CRC_AT:CRC_AT + 4] = crc32c(bytes(content[ATTRIBUTES_AT:])).to_bytes(4, "big")
    return bytes(content)
