"""The Python client of Centrifugo, releases 1.3 to 5.2, against a server on loopback.

Makes every call that the release has, and stops at the first that does not do what
it should; prints what it published and read as one line of JSON. Runs on Python 2.7
and 3.
"""

import json
import os
import sys

import cent

URL = os.environ["CENT_URL"]
COUNT = int(os.environ["CENT_MESSAGES"])
CHANNEL = "interop"

calls = []


def right(name, is_right, what=None):
    """Counts a call, or ends the program."""
    if not is_right:
        sys.exit("%s: %r" % (name, what))
    calls.append(name)


def one(client):
    """1.x returns errors beside results."""
    acknowledged = []
    for number in range(1, COUNT + 1):
        error = client.publish(CHANNEL, number)
        if error is None:
            acknowledged.append(number)
    right("publish", len(acknowledged) == COUNT)
    error = client.publish("nope:x", 1)
    right("publish refused", "namespace not found" in str(error), error)
    right("broadcast", client.broadcast(["a", "b"], {"n": 1}) is None)
    right("unsubscribe", client.unsubscribe("42") is None)
    right("unsubscribe channel", client.unsubscribe("42", CHANNEL) is None)
    right("disconnect", client.disconnect("42") is None)
    messages, error = client.history(CHANNEL)
    right("history", error is None and len(messages) == COUNT, messages)
    presence, error = client.presence(CHANNEL)
    right("presence", error is None and presence == {}, presence)
    channels, error = client.channels()
    right("channels", error is None and channels == [], channels)
    stats, error = client.stats()
    right("stats", error is None and len(stats["nodes"]) == 1, stats)
    client.add("publish", {"channel": "buffer", "data": 1})
    client.add("publish", {"channel": "nope:x", "data": 1})
    items, error = client.send()
    right("send", [item["error"] for item in items] == [None, "namespace not found"], items)
    return acknowledged, [message["data"] for message in reversed(messages)]


def two(client):
    """2.x raises."""
    for number in range(1, COUNT + 1):
        client.publish(CHANNEL, number)
    right("publish", True)
    try:
        client.publish("nope:x", 1)
        right("publish refused", False)
    except cent.ResponseError as error:
        right("publish refused", "namespace not found" in str(error), error)
    client.broadcast(["a", "b"], {"n": 1})
    right("broadcast", True)
    client.unsubscribe("42")
    client.unsubscribe("42", CHANNEL)
    right("unsubscribe", True)
    client.disconnect("42")
    right("disconnect", True)
    messages = client.history(CHANNEL)
    right("history", len(messages) == COUNT, messages)
    right("presence", client.presence(CHANNEL) == {})
    right("channels", client.channels() == [])
    right("stats", len(client.stats()["nodes"]) == 1)
    client.add("publish", {"channel": "buffer", "data": 1})
    client.add("publish", {"channel": "nope:x", "data": 1})
    items = client.send()
    right("send", [item["error"] for item in items] == [None, "namespace not found"], items)
    return list(range(1, COUNT + 1)), [message["data"] for message in reversed(messages)]


def four(client):
    """4.x speaks the command stream."""
    for number in range(1, COUNT + 1):
        result = client.publish(CHANNEL, number)
        right("publish %d" % number, result["offset"] == number, result)
    try:
        client.publish("nope:x", 1)
        right("publish refused", False)
    except cent.ResponseError as error:
        right("publish refused", "unknown channel" in str(error), error)
    result = client.broadcast(["a", "nope:x"], {"n": 1})
    right("broadcast", ["error" in item for item in result["responses"]] == [False, True], result)
    client.subscribe("42", CHANNEL)
    right("subscribe", True)
    client.unsubscribe("42", CHANNEL)
    right("unsubscribe", True)
    client.disconnect("42")
    right("disconnect", True)
    history = client.history(CHANNEL, limit=-1)
    kept = [publication["data"] for publication in history["publications"]]
    right("history", len(kept) == COUNT, history)
    newest = client.history(CHANNEL, limit=1, reverse=True)["publications"]
    right("history reverse", newest[0]["data"] == COUNT, newest)
    right("presence", client.presence(CHANNEL) == {})
    right("presence_stats", client.presence_stats(CHANNEL)["num_clients"] == 0)
    right("channels", client.channels() == {})
    client.publish("gone", 1)
    client.history_remove("gone")
    right("history_remove", client.history("gone", limit=-1)["publications"] == [])
    right("info", len(client.info()["nodes"]) == 1)
    client.add("publish", {"channel": "buffer", "data": 1})
    client.add("presence", {"channel": "bare:x"})
    items = client.send()
    right("send", items[1]["error"]["code"] == 108, items)
    return list(range(1, COUNT + 1)), kept


def five(client):
    """5.x has a type for each request."""
    for number in range(1, COUNT + 1):
        result = client.publish(cent.PublishRequest(channel=CHANNEL, data=number))
        right("publish %d" % number, result.offset == number, result)
    try:
        client.publish(cent.PublishRequest(channel="nope:x", data=1))
        right("publish refused", False)
    except cent.CentApiResponseError as error:
        right("publish refused", error.code == 102, error)
    once = cent.PublishRequest(channel="once", data=1, idempotency_key="k")
    right("idempotency_key", client.publish(once).offset == client.publish(once).offset)
    result = client.broadcast(cent.BroadcastRequest(channels=["a", "nope:x"], data={"n": 1}))
    right("broadcast", [bool(item.error) for item in result.responses] == [False, True], result)
    client.subscribe(cent.SubscribeRequest(user="42", channel=CHANNEL))
    right("subscribe", True)
    client.unsubscribe(cent.UnsubscribeRequest(user="42", channel=CHANNEL))
    right("unsubscribe", True)
    client.refresh(cent.RefreshRequest(user="42", expire_at=1893456000))
    right("refresh", True)
    client.disconnect(cent.DisconnectRequest(user="42"))
    right("disconnect", True)
    history = client.history(cent.HistoryRequest(channel=CHANNEL, limit=-1))
    kept = [publication.data for publication in history.publications]
    right("history", len(kept) == COUNT, history)
    right("presence", client.presence(cent.PresenceRequest(channel=CHANNEL)).presence == {})
    stats = client.presence_stats(cent.PresenceStatsRequest(channel=CHANNEL))
    right("presence_stats", stats.num_clients == 0, stats)
    right("channels", client.channels(cent.ChannelsRequest()).channels == {})
    client.history_remove(cent.HistoryRemoveRequest(channel="once"))
    gone = client.history(cent.HistoryRequest(channel="once", limit=-1))
    right("history_remove", gone.publications == [], gone)
    right("info", len(client.info(cent.InfoRequest()).nodes) == 1)
    # Its own reading of a reply that is an error fails: good commands only.
    batch = cent.BatchRequest(
        requests=[
            cent.PublishRequest(channel="batch", data=1),
            cent.PresenceStatsRequest(channel="batch"),
        ],
        parallel=True,
    )
    replies = client.batch(batch).replies
    right("batch", replies[0].offset == 1 and replies[1].num_clients == 0, replies)
    client.close()
    return list(range(1, COUNT + 1)), kept


def main():
    key, secret = os.environ["CENT_KEY"], os.environ["CENT_SECRET"]
    if hasattr(cent, "PublishRequest"):
        acknowledged, kept = five(cent.Client(URL + "/api", key))
    elif not hasattr(cent, "Client"):
        from cent.core import Client

        acknowledged, kept = one(Client(URL, secret, timeout=5))
    elif hasattr(cent.Client, "presence_stats"):
        acknowledged, kept = four(cent.Client(URL + "/api", api_key=key, timeout=5))
    else:
        acknowledged, kept = two(cent.Client(URL, secret=secret, timeout=5))
    print(json.dumps({"acknowledged": acknowledged, "kept": kept, "calls": len(calls)}))


main()
