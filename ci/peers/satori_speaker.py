"""The Python SDK of Satori RTM, on Python 2.7 and 3, as one of many kinds of client.

Publishes the messages of RTM_SPEAK to their channel, then hears the channels of
RTM_HEAR from the beginning of their history, and prints what it heard as one line of
JSON. A byte string stands in JSON as {"$bytes": HEX}.
"""

import binascii
import json
import os
import sys
import threading

from satori.rtm.client import Client, SubscriptionMode

PATIENCE = 10.0


def meant(value):
    """What a line of JSON means."""
    if isinstance(value, dict):
        if list(value) == ["$bytes"]:
            return binascii.unhexlify(value["$bytes"])
        return {key: meant(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [meant(inner) for inner in value]
    return value


def told(value):
    """The other way round."""
    if isinstance(value, dict):
        return {key: told(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [told(inner) for inner in value]
    if isinstance(value, bytes):
        return {"$bytes": binascii.hexlify(value).decode("ascii")}
    return value


def wait(event, what):
    if not event.wait(PATIENCE):
        sys.exit("%s: nothing within %d s" % (what, PATIENCE))


class Watcher(object):
    def __init__(self):
        self.connected = threading.Event()

    def on_enter_connected(self):
        self.connected.set()


class Ear(object):
    """Hears a channel until it has said enough."""

    def __init__(self, count):
        self.count = count
        self.heard = []
        self.enough = threading.Event()

    def on_enter_failed(self, reason):
        sys.stderr.write("failed: %r\n" % (reason,))

    def on_subscription_data(self, data):
        self.heard.extend(data["messages"])
        if len(self.heard) >= self.count:
            self.enough.set()


def speak(client, channel, messages):
    for message in messages:
        answered, answers = threading.Event(), []

        def keep(pdu):
            answers.append(pdu)
            answered.set()

        client.publish(channel, meant(message), callback=keep)
        wait(answered, "an answer to %r" % (message,))
        if answers[0]["action"] != "rtm/publish/ok":
            sys.exit("%r: %r" % (message, answers[0]))


def hear(client, wanted):
    ears = {}
    for channel, count in wanted.items():
        ears[channel] = Ear(count)
        history = {u"history": {u"count": count}}
        client.subscribe(channel, SubscriptionMode.ADVANCED, ears[channel], history)
    for channel, ear in ears.items():
        wait(ear.enough, channel)
    return {channel: told(ear.heard) for channel, ear in ears.items()}


def main():
    watcher = Watcher()
    client = Client(
        os.environ["RTM_ENDPOINT"],
        os.environ["RTM_APPKEY"],
        observer=watcher,
        protocol=os.environ["RTM_PROTOCOL"],
    )
    client.start()
    wait(watcher.connected, "connect")
    spoken = json.loads(os.environ["RTM_SPEAK"])
    for channel, messages in spoken.items():
        speak(client, channel, messages)
    heard = hear(client, json.loads(os.environ["RTM_HEAR"]))
    client.dispose()
    print(json.dumps(heard))


main()
