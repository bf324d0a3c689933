"""Runs the tests of MQTT 5.0 of Paho's Python client against the server on a port:
paho_suite.py SOURCES PORT [TEST...]

They are those of the interoperability suite of Eclipse Paho, which starts a broker of its own: here
it finds that one running.
"""

import sys
import types
import unittest

sources, port, *names = sys.argv[1:]


class Server:
    """What the suite asks of the broker that it believes to have started."""

    class socket:
        @staticmethod
        def getsockname():
            return ("127.0.0.1", int(port))

    @staticmethod
    def shutdown():
        pass


brokers = types.ModuleType("mqtt.brokers")
brokers.run = lambda config: None
brokers.listeners = types.SimpleNamespace(TCPListeners=types.SimpleNamespace(server=Server))
sys.modules["mqtt"] = types.SimpleNamespace(brokers=brokers)
sys.modules["mqtt.brokers"] = brokers
sys.path[:0] = [sources, f"{sources}/src"]

from tests import test_mqttv5

suite = [f"Test.{name}" for name in names] or None
unittest.main(module=test_mqttv5, argv=["paho", *(suite or [])], verbosity=2, warnings="ignore")
