"""The Python SDK of Satori RTM against a server on loopback.

Publishes, subscribes so that it resumes, lives through one cut, writes, reads
and deletes, and prints what it saw as one line of JSON. The SDK forgets what was
not acknowledged when its connection is lost; the application has to send it
again, and so does this one.
"""

import json
import os
import sys
import threading

from satori.rtm import auth
from satori.rtm.client import Client, SubscriptionMode

CHANNEL = "interop"
COUNT = int(os.environ["RTM_MESSAGES"])
PATIENCE = 10.0


class Watcher(object):
    """Counts connections."""

    def __init__(self):
        self.connected = threading.Event()
        self.connects = 0

    def on_enter_connected(self):
        self.connects += 1
        self.connected.set()


class Subscription(object):
    """Keeps what is delivered."""

    def __init__(self):
        self.subscribed = threading.Event()
        self.enough = threading.Event()
        self.delivered = []
        self.failures = []

    def on_enter_subscribed(self):
        self.subscribed.set()

    def on_enter_failed(self, reason):
        self.failures.append(str(reason))

    def on_subscription_data(self, data):
        self.delivered.extend(data["messages"])
        if len(set(self.delivered)) >= COUNT:
            self.enough.set()


def ask(call, *arguments):
    """Makes a request and waits for its answer; None if none comes."""
    answered = threading.Event()
    answers = []

    def keep(pdu):
        answers.append(pdu)
        answered.set()

    call(*arguments, callback=keep)
    answered.wait(3)
    return answers[0] if answers else None


def wait(event, what):
    if not event.wait(PATIENCE):
        sys.exit("%s: nothing within %d s" % (what, PATIENCE))


def publish(client):
    """Publishes one message after the other, each until it is acknowledged."""
    acknowledged = []
    for number in range(1, COUNT + 1):
        for _ in range(5):
            answer = ask(client.publish, CHANNEL, number)
            if answer and answer["action"] == "rtm/publish/ok":
                acknowledged.append(number)
                break
    return acknowledged


def store(client):
    """Writes, reads, deletes and reads a value; returns what was read."""
    value = {"who": "zebra", "where": [34.1, -118.2]}
    read = []
    for call in (
        lambda: ask(client.write, "interop-value", value),
        lambda: ask(client.read, "interop-value", None),
        lambda: ask(client.delete, "interop-value"),
        lambda: ask(client.read, "interop-value", None),
    ):
        answer = call()
        if not answer or not answer["action"].endswith("/ok"):
            sys.exit("a value: %r" % answer)
        if answer["action"] == "rtm/read/ok":
            read.append(answer["body"].get("message"))
    return read == [value, None]


def main():
    watcher, subscription = Watcher(), Subscription()
    client = Client(os.environ["RTM_ENDPOINT"], os.environ["RTM_APPKEY"], observer=watcher)
    client.start()
    wait(watcher.connected, "connect")
    done, outcome = threading.Event(), []

    def authenticated(result):
        outcome.append(result)
        done.set()

    role = auth.RoleSecretAuthDelegate(os.environ["RTM_ROLE"], os.environ["RTM_ROLE_SECRET"])
    client.authenticate(role, authenticated)
    wait(done, "authenticate")
    if not isinstance(outcome[0], auth.Done):
        sys.exit("authenticate: %r" % outcome[0])
    client.subscribe(CHANNEL, SubscriptionMode.RELIABLE, subscription)
    wait(subscription.subscribed, "subscribe")
    sys.stderr.write("subscribed\n")
    acknowledged = publish(client)
    wait(subscription.enough, "deliveries")
    value = store(client)
    client.dispose()
    print(json.dumps({
        "acknowledged": acknowledged,
        "delivered": subscription.delivered,
        "connects": watcher.connects,
        "gaps": len(subscription.failures),
        "value": value,
    }))


main()
