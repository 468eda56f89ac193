"""Clients that tell their metrics (KIP-714): what they are asked for, and what becomes of what they push.

No broker here has a receiver of metrics, so neither names the two APIs; both answer them. They come after `odd_scenes.py` on
the same broker.
"""

import base64
import time
import uuid

from scenes import NO_ID
from admin_scenes import CLIENT_METRICS


class Client:
    """One connection, and the instance that it was told to be."""

    def __init__(self, scene, client_id="teller", software=None):
        self.scene, self.connection, self.instance, self.subscription = scene, scene.connect(), NO_ID, 0
        self.connection.client_id = client_id
        if software:
            self.connection.ask("ApiVersions", 3, {"clientSoftwareName": software[0], "clientSoftwareVersion": software[1]})

    def ask(self, label, instance=None):
        answer = self.connection.ask("GetTelemetrySubscriptions", 0, {
            "clientInstanceId": self.instance if instance is None else instance})
        if answer["errorCode"] == 0:
            self.instance, self.subscription = answer["clientInstanceId"], answer["subscriptionId"]
        self.scene.note(label, answer | {"subscriptionId": answer["subscriptionId"] != 0,
                                         "requestedMetrics": sorted(answer["requestedMetrics"])})

    def push(self, label, **other):
        answer = self.connection.ask("PushTelemetry", 0, {
            "clientInstanceId": self.instance, "subscriptionId": self.subscription, "metrics": b"1234"} | other)
        self.scene.note(label, answer)

    def close(self):
        self.connection.socket.close()


def subscribe(scene, name, **configs):
    """Without configs: no more."""
    with scene.connect() as connection:
        names = configs or dict.fromkeys(("interval.ms", "match", "metrics"))
        answer = connection.ask("IncrementalAlterConfigs", 1, {"resources": [{"resourceType": CLIENT_METRICS, "resourceName": name, "configs": [
            {"name": key.replace("_", "."), "configOperation": 1 if value is None else 0, "value": value} for key, value in names.items()]}]})
        assert answer["responses"][0]["errorCode"] == 0, answer
    time.sleep(0.5)


def telemetry_unasked(scene):
    """While nobody is subscribed to anything."""
    client = Client(scene)
    client.ask("who it is")
    client.ask("again at once")
    client.push("pushed")
    client.push("pushed again at once")
    client.push("another subscription, at once", subscriptionId=client.subscription + 1)
    client.push("the last", terminating=True)
    client.push("after the last", terminating=True)
    client.push("after the last, and not the last")
    client.ask("asked after the last")
    own = client.instance
    client.close()
    time.sleep(0.5)
    another = Client(scene)
    another.ask("another connection of the same", own)
    shared = Client(scene)
    shared.ask("at the same time", own)
    shared.close()
    time.sleep(0.5)
    another.ask("the later one has gone", own)
    another.close()
    for label, id in (("no id", 0), ("the id of metadata", 1), ("2", 2), ("99", 99), ("100", 100)):
        client = Client(scene)
        client.push(f"an id of its own: {label}", clientInstanceId=uuid.UUID(int=id), subscriptionId=7)
        client.close()
    for label, id in (("the id of metadata", 1), ("2", 2), ("its own", 1 << 70)):
        client = Client(scene)
        client.ask(f"asked as {label}", uuid.UUID(int=id))
        client.close()


# Within an hour everything comes at once, and what has waited for LATER comes after SHORTLY, however slow broker and scene are.
AN_HOUR, SHORTLY, LATER = "3600000", "200", 0.3


def telemetry_asked(scene):
    some = {"metrics": "org.apache.kafka.producer.,org.apache.kafka.consumer.", "match": "client_id=tell.*"}
    subscribe(scene, "some", interval_ms=AN_HOUR, **some)
    client, other = Client(scene), Client(scene, "another")
    client.ask("subscribed")
    other.ask("not subscribed")
    client.ask("again at once")
    client.close()
    pushes = [("wrong subscription", {"subscriptionId": 7}), ("compression 5", {"compressionType": 5}),
              ("compression -1", {"compressionType": -1}), ("gzip", {"compressionType": 1}), ("zstd", {"compressionType": 4}),
              ("nothing", {"metrics": b""}), ("a mebibyte", {"metrics": bytes(1 << 20)}), ("more", {"metrics": bytes((1 << 20) + 1)}),
              ("more, of a wrong subscription", {"metrics": bytes((1 << 20) + 1), "subscriptionId": 7, "compressionType": 9})]
    for label, push in pushes:
        client = Client(scene)
        client.ask(f"{label}: asked before")
        client.push(label, **push)
        client.ask(f"{label}, and asked at once")
        client.push(f"{label}, and pushed at once")
        client.close()
    subscribe(scene, "some", interval_ms=SHORTLY)
    client = Client(scene)
    client.ask("a shorter interval")
    for label, push in pushes:
        time.sleep(LATER)
        client.push(f"{label}, later", **push)
        time.sleep(LATER)
        client.ask(f"{label}, and asked later")
        client.push(f"{label}, and pushed once it has asked")
    subscribe(scene, "some", interval_ms=AN_HOUR)
    client.push("of the subscription before")
    client.ask("the subscription has changed")
    client.push("pushed")
    subscribe(scene, "all", metrics="*", interval_ms="300")
    client.ask("two subscriptions")
    other.ask("one of them")
    subscribe(scene, "all", match="client_id=none")
    other.ask("and now not")
    subscribe(scene, "all")
    subscribe(scene, "some")
    client.ask("none any more")
    client.close()
    other.close()


def telemetry_matched(scene):
    client = Client(scene)
    client.ask("of nobody")
    id = client.instance
    text = lambda value: base64.urlsafe_b64encode(value.bytes).decode().rstrip("=")
    port = client.connection.socket.getsockname()[1]
    matches = ["client_id=teller", "client_id=tell", "client_id=TELLER", "client_id=(?i)TELLER", "client_id=teller.?", "client_software_name=unknown",
               "client_software_name=wire", "client_software_version=1\\.0", "client_source_address=127.0.0.1", "client_source_address=::1",
               f"client_source_port={port}", f"client_source_port={port}1", f"client_instance_id={text(id)}",
               "client_id=teller,client_software_name=wire", "client_id=teller,client_source_address=127.*", "client_id=no,client_id=teller",
               " client_id = teller "]
    for match in matches:
        subscribe(scene, "matched", metrics="it", interval_ms="1000", match=match)
        label = match.replace(str(port), "PORT").replace(text(id), "ID")
        client.ask(label)
        named = Client(scene, software=("wire", "1.0"))
        named.ask(f"{label}, of one that has a name")
        named.close()
    subscribe(scene, "matched", match="")
    client.ask("an empty match")
    subscribe(scene, "matched", metrics="")
    client.ask("no metrics")
    subscribe(scene, "matched", metrics="a,b,a")
    client.ask("metrics twice")
    client.close()
    subscribe(scene, "matched")


SCENES = [telemetry_unasked, telemetry_asked, telemetry_matched]
