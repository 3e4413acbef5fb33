"""The Python SDK of emitter against a broker on loopback.

Makes every call of it, says that it is there, receives what the other side
publishes, publishes as much, and prints what it saw as one line of JSON.
"""

import json
import os
import queue
import sys

from emitter import Client

HOST = os.environ["EMITTER_HOST"]
PORT = int(os.environ["EMITTER_PORT"])
SECURE = os.environ["EMITTER_SECURE"] == "1"
SECRET = os.environ["EMITTER_SECRET"]
KEY = os.environ["EMITTER_KEY"]
MESSAGES = int(os.environ["EMITTER_MESSAGES"])

calls = 0


def wait(seen, what):
    """The next thing that a handler was called with."""
    try:
        return seen.get(timeout=10)
    except queue.Empty:
        sys.exit(f"nothing came: {what}")


def check(what, holds, found):
    global calls
    if not holds:
        sys.exit(f"{what}: {found!r}")
    calls += 1


def handler(client, name):
    """A property of the client, as a queue of what it is called with."""
    seen = queue.Queue()
    setattr(client, name, lambda *args: seen.put(args[0] if args else None))
    return seen


def connect(username):
    client = Client()
    connected = handler(client, "on_connect")
    client.connect(host=HOST, port=PORT, secure=SECURE, username=username)
    client.loop_start()
    wait(connected, "on_connect")
    return client


def every_call(client, other):
    keys = handler(client, "on_keygen")
    client.keygen(SECRET, "made/", "rwslp")
    made = wait(keys, "on_keygen")
    check("keygen", made["status"] == 200 and made["channel"] == "made/", made)

    messages, errors = handler(client, "on_message"), handler(client, "on_error")
    own = queue.Queue()
    client.subscribe(made["key"], "made", own.put)
    client.publish(made["key"], "made", "stored", {Client.with_ttl(60)})
    stored = wait(own, "subscribe")
    check("publish", (stored.channel, stored.binary) == ("made/", b"stored"), stored)
    other_own = queue.Queue()
    other.subscribe(made["key"], "made", other_own.put, {Client.with_last(5)})
    check("with_last", wait(other_own, "with_last").binary == b"stored", None)
    client.publish(made["key"], "made", "quiet", {Client.without_echo()})
    check("without_echo", wait(other_own, "without_echo").binary == b"quiet", None)
    options = {Client.with_retain(), Client.with_at_least_once()}
    client.publish(made["key"], "made", "{\"a\": 1}", options)
    check("with_retain", wait(own, "with_retain").as_object() == {"a": 1}, None)

    bans = handler(client, "on_keyban")
    client.keyban(SECRET, made["key"], True)
    ban = wait(bans, "on_keyban")
    check("keyban", ban["status"] == 200 and ban["banned"] is True, ban)
    client.publish(made["key"], "made", "refused")
    error = wait(errors, "on_error")
    check("on_error", error["status"] == 401 and error["message"], error)

    client.link(KEY, "linked", "a0", True, {Client.with_ttl(60)})
    client.publish_with_link("a0", "via link")
    linked = wait(messages, "publish_with_link")
    check("link", (linked.channel, linked.binary) == ("linked/", b"via link"), linked)
    mes = handler(client, "on_me")
    client.me()
    me = wait(mes, "on_me")
    check("me", len(me["id"]) == 26 and me["links"] == {"a0": "linked/?ttl=60"}, me)

    events = handler(client, "on_presence")
    other.subscribe(KEY, "present")
    client.presence(KEY, "present", True, True)
    status = wait(events, "on_presence")
    while status["event"] != "status" or not status["who"]:
        client.presence(KEY, "present", True, True)
        status = wait(events, "on_presence")
    check("presence", status["who"][0]["username"] == "other", status)
    other.unsubscribe(KEY, "present")
    gone = wait(events, "unsubscribe")
    while gone["event"] != "unsubscribe":
        gone = wait(events, "unsubscribe")
    check("unsubscribe", gone["who"]["username"] == "other", gone)

    group = queue.Queue()
    for member in (client, other):
        member.subscribe_with_group(KEY, "work", "sg", group.put)
        member.me()
    other_mes = handler(other, "on_me")
    other.me()
    wait(other_mes, "on_me")
    for n in range(20):
        client.publish(KEY, "work", str(n))
    worked = sorted(int(wait(group, "subscribe_with_group").binary) for _ in range(20))
    check("subscribe_with_group", worked == list(range(20)) and group.empty(), worked)


def main():
    client, other = connect("alice"), connect("other")
    every_call(client, other)
    got, delivered = queue.Queue(), []
    client.subscribe(KEY, "from_us", got.put, {Client.with_last(0)})
    once = {Client.with_at_least_once()}
    client.publish(KEY, "from_them", "0", once)
    while True:
        text = wait(got, "from_us").binary.decode()
        if text == "over":
            break
        delivered.append(int(text))
        client.publish(KEY, "from_them", text, once)
    acked = handler(client, "on_me")
    client.me()
    wait(acked, "on_me")
    client.disconnect()
    other.disconnect()
    print(json.dumps({"delivered": delivered, "calls": calls}))


main()
