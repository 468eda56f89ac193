"""Stands in for `test/service.py`, which kafka-python's source distribution leaves out.

Its fixtures import two names from it. Against a broker that already runs only the first is used.
"""


class ExternalService:
    def __init__(self, host, port):
        self.host = host
        self.port = port

    def open(self):
        pass

    def stop(self):
        pass


class SpawnedService:
    def __init__(self, *_args, **_kwargs):
        raise NotImplementedError("these tests run against a broker that is already there")
