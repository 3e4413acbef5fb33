"""The Python client of Stream-sea against a server on loopback.

Calls every function that the package has, exchanges messages with a client of
another kind, and prints what it saw as one line of JSON. Its `publish` lacks a
global, which is supplied from outside; two more calls never work, which is seen.
"""

import asyncio
import json
import os
import sys
import time

from stream_sea_client import (
    FieldType,
    SchemaDefinition,
    StreamSeaConnection,
    api,
    define_stream,
    describe_stream,
    get_schema_versions_vector,
    publish,
)
from stream_sea_client.stream_sea_connection import CredentialsError

KEYS = {
    "remote_host": os.environ["SEA_HOST"],
    "remote_port": os.environ["SEA_PORT"],
    "client_id": os.environ["SEA_CLIENT_ID"],
    "client_secret": os.environ["SEA_CLIENT_SECRET"],
}
COUNT = int(os.environ["SEA_MESSAGES"])
OURS, THEIRS = "from_them", "from_us"
PATIENCE = 30

api.api_base_url = "http://%s:%s/api/v1" % (KEYS["remote_host"], KEYS["remote_port"])

calls = 0


def check(what, holds):
    global calls
    if not holds:
        sys.exit("%s: not as it should be" % what)
    calls += 1


def fails(what, error, call):
    """Some calls of this release never work."""
    try:
        call()
    except error:
        check(what, True)
    else:
        sys.exit("%s: it works, which it never did" % what)


def schemas():
    schema = SchemaDefinition(OURS, "1.0.0", [])
    schema.add_field("n", FieldType.INTEGER.value)
    schema.add_field("kind", FieldType.ENUM.value, ["message", "ready"])
    schema.add_field("more", FieldType.OBJECT.value)
    fails(
        "add_child_field",
        AttributeError,
        lambda: schema.add_child_field("inner", FieldType.STRING.value, "more"),
    )
    check("define", define_stream(stream=OURS, schema=schema, **KEYS).status_code == 200)
    check("define again", define_stream(stream=OURS, schema=schema, **KEYS).status_code == 200)
    other = SchemaDefinition(OURS, "0.9.0", [])
    check("define lower", define_stream(stream=OURS, schema=other, **KEYS).status_code == 400)
    check("define theirs", define_stream(
        stream=THEIRS, schema=SchemaDefinition(THEIRS, "1", []), **KEYS).status_code == 200)
    stored = describe_stream(stream=OURS, **KEYS)
    check("describe", stored.json_serialize() == schema.json_serialize())
    check("describe nobody", describe_stream(stream="nobody", **KEYS) is None)
    vector = get_schema_versions_vector(streams=[OURS, "nobody", THEIRS], **KEYS)
    check("versions vector", vector == ["1.0.0", None, "1"])
    fails(
        "get_schema_version",
        NameError,
        lambda: api.get_schema_version(
            remote_host=KEYS["remote_host"], client_secret="x", stream=OURS),
    )


async def refused():
    try:
        await StreamSeaConnection(**dict(KEYS, client_secret="wrong"))
    except CredentialsError:
        check("credentials", True)
    else:
        sys.exit("credentials: wrong ones are taken")


async def exchange():
    delivered = []
    async with StreamSeaConnection(**KEYS) as connection:
        theirs = await connection.subscribe(THEIRS)
        check("subscribe", True)
        # The other side publishes now, and then says that it has received all.
        publish(stream=OURS, payload={"kind": "ready", "n": 0}, **KEYS)
        for n in range(1, COUNT + 1):
            publish(stream=OURS, payload={"kind": "message", "n": n}, **KEYS)
        check("publish", True)
        async for payload in theirs:
            if payload.get("over"):
                break
            delivered.append(payload["n"])
    check("close", True)
    return delivered


async def main():
    await refused()
    return await asyncio.wait_for(exchange(), PATIENCE)


schemas()
delivered = asyncio.run(main())
# Its threads end with the process, with or without their work.
time.sleep(0.5)
print(json.dumps({"delivered": delivered, "calls": calls}))
