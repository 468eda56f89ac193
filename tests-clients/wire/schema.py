"""Kafka's messages, encoded and decoded by its own schemas: the JSON files inside the kafka-clients jar.

Knows the wire format and no API. A message is a dict with the fields of the schema, in camelCase as its
JSON says; what a dict leaves out has its default.
"""

import json
import re
import struct
import uuid
import zipfile

NUMBERS = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d"}


class Malformed(Exception):
    """The bytes end early, or some are left."""


class Range:
    """Versions as the schemas write them: `3`, `3-13`, `2+`, `none`."""

    def __init__(self, text):
        first, dash, last = (text or "none").replace("+", "-32767").partition("-")
        if first == "none":
            self.first, self.last = 1, 0
        else:
            self.first, self.last = int(first), int(last if dash else first)

    def __contains__(self, version):
        return self.first <= version <= self.last


class Field:
    def __init__(self, given):
        self.name = given["name"][0].lower() + given["name"][1:]
        self.type = given["type"]
        self.versions = Range(given.get("versions"))
        self.nullable = Range(given.get("nullableVersions"))
        self.tagged = Range(given.get("taggedVersions"))
        self.tag = given.get("tag")
        self.is_array = self.type.startswith("[]")
        self.element = self.type.removeprefix("[]")
        self.default = self.default_of(given.get("default"))

    def default_of(self, given):
        if given == "null":
            return None
        if self.is_array:
            return []
        if self.element in NUMBERS:
            return int(given or 0) if not isinstance(given, str) else int(given or "0", 0)
        return {"bool": str(given).lower() == "true", "string": given or "", "bytes": b"", "records": None,
                "uuid": uuid.UUID(int=0)}.get(self.element, {})


class Message:
    """One request or response: `encode(version, body)` and `decode(version, bytes)`."""

    def __init__(self, given):
        self.name = given["name"]
        self.key = given.get("apiKey")
        self.versions = Range(given["validVersions"])
        self.flexible = Range(given.get("flexibleVersions"))
        self.structs = {common["name"]: self.fields(common) for common in given.get("commonStructs", [])}
        self.root = self.fields(given)

    def fields(self, given):
        for field in given.get("fields", []):
            if "fields" in field:
                self.structs[field["type"].removeprefix("[]")] = self.fields(field)
        return [Field(field) for field in given.get("fields", [])]

    # ---- encoding

    def encode(self, version, body):
        return self.encode_struct(self.root, version, body)

    def encode_struct(self, fields, version, body):
        if unknown := set(body) - {field.name for field in fields}:
            raise KeyError(f"{self.name} has no {unknown}")
        flexible = version in self.flexible
        out, tags = [], {}
        for field in fields:
            if version not in field.versions:
                continue
            value = body.get(field.name, field.default)
            if version in field.tagged:
                if field.name in body:
                    tags[field.tag] = self.encode_value(field, version, flexible, value)
            else:
                out.append(self.encode_value(field, version, flexible, value))
        if flexible:
            out.append(unsigned_varint(len(tags)))
            for tag, content in sorted(tags.items()):
                out += [unsigned_varint(tag), unsigned_varint(len(content)), content]
        return b"".join(out)

    def encode_value(self, field, version, flexible, value):
        if field.is_array:
            size = array_size(value, flexible)
            return size + b"".join(self.encode_element(field, version, flexible, each) for each in value or [])
        return self.encode_element(field, version, flexible, value)

    def encode_element(self, field, version, flexible, value):
        kind = field.element
        if kind in NUMBERS:
            return struct.pack(NUMBERS[kind], value)
        if kind == "bool":
            return bytes([value])
        if kind == "uuid":
            return value.bytes
        if kind in ("string", "bytes", "records"):
            content = value.encode() if isinstance(value, str) else value
            if flexible:
                return unsigned_varint(0 if content is None else len(content) + 1) + (content or b"")
            width = ">h" if kind == "string" else ">i"
            return struct.pack(width, -1 if content is None else len(content)) + (content or b"")
        if not field.is_array and version in field.nullable:
            return b"\xff" if value is None else b"\x01" + self.encode_struct(self.structs[kind], version, value)
        return self.encode_struct(self.structs[kind], version, value)

    # ---- decoding

    def decode(self, version, content):
        source = Source(content)
        body = self.decode_struct(self.root, version, source)
        if source.left():
            raise Malformed(f"{self.name} v{version}: {source.left()} bytes too many")
        return body

    def decode_struct(self, fields, version, source):
        flexible = version in self.flexible
        body, tagged = {}, {}
        for field in fields:
            if version in field.versions:
                if version in field.tagged:
                    tagged[field.tag] = field
                else:
                    body[field.name] = self.decode_value(field, version, flexible, source)
        if flexible:
            for _ in range(source.unsigned_varint()):
                tag, size = source.unsigned_varint(), source.unsigned_varint()
                inner = Source(source.take(size))
                if tag not in tagged:
                    body[f"unknown tag {tag}"] = inner.take(size).hex()
                else:
                    body[tagged[tag].name] = self.decode_value(tagged[tag], version, flexible, inner)
        return body

    def decode_value(self, field, version, flexible, source):
        if field.is_array:
            count = source.unsigned_varint() - 1 if flexible else source.number(">i")
            return None if count < 0 else [self.decode_element(field, version, flexible, source) for _ in range(count)]
        return self.decode_element(field, version, flexible, source)

    def decode_element(self, field, version, flexible, source):
        kind = field.element
        if kind in NUMBERS:
            return source.number(NUMBERS[kind])
        if kind == "bool":
            return source.take(1) != b"\0"
        if kind == "uuid":
            return uuid.UUID(bytes=source.take(16))
        if kind in ("string", "bytes", "records"):
            size = source.unsigned_varint() - 1 if flexible else source.number(">h" if kind == "string" else ">i")
            content = None if size < 0 else source.take(size)
            return content.decode() if kind == "string" and content is not None else content
        if not field.is_array and version in field.nullable and source.take(1) == b"\xff":
            return None
        return self.decode_struct(self.structs[kind], version, source)


def unsigned_varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def array_size(value, flexible):
    if flexible:
        return unsigned_varint(0 if value is None else len(value) + 1)
    return struct.pack(">i", -1 if value is None else len(value))


class Source:
    def __init__(self, content):
        self.content, self.at = content, 0

    def left(self):
        return len(self.content) - self.at

    def take(self, count):
        if self.left() < count:
            raise Malformed(f"{count} bytes wanted, {self.left()} there")
        self.at += count
        return self.content[self.at - count:self.at]

    def number(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def unsigned_varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7


class Schemas:
    """All messages of one kafka-clients jar, by name."""

    def __init__(self, jar):
        self.messages = {}
        with zipfile.ZipFile(jar) as archive:
            for path in archive.namelist():
                if re.fullmatch(r"common/message/\w+(Request|Response)\.json", path):
                    text = "\n".join(line for line in archive.read(path).decode().splitlines()
                                     if not line.lstrip().startswith("//"))
                    message = Message(json.loads(text))
                    self.messages[message.name] = message

    def request(self, api):
        return self.messages[f"{api}Request"]

    def response(self, api):
        return self.messages[f"{api}Response"]

    def names(self):
        """By the key of an API its name."""
        return {message.key: name.removesuffix("Request") for name, message in self.messages.items() if name.endswith("Request")}
