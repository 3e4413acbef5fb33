"""The Python server of the 3.x line in one process, with triggers over HTTP in the
place of a message broker.

usage: high_templar_3.py PORT API_URL
"""

import asyncio
import json
import logging
import sys

from high_templar import main
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import request


class Settings:
    API_URL = sys.argv[2]
    API_SOCKET = None
    CONNECTION_HEADERS = {}
    RABBITMQ = {
        "exchange_name": "hightemplar",
        "username": "none",
        "password": "none",
        "host": "127.0.0.1:1",
    }


# Its consumer takes itself for started, and asks for no broker.
main.HTQuart.IS_STARTED = True
app = main.create_app(Settings)
app.logger.setLevel(logging.ERROR)


@app.route("/trigger/", methods=["POST"])
async def trigger():
    body = (await request.get_data()).decode()
    for name in ("rooms", "data"):
        if name not in json.loads(body):
            return name + " not specified", 400
    await app.hub.dispatch_message(body)
    return "publish success"


config = Config()
config.bind = ["127.0.0.1:" + sys.argv[1]]
config.backlog = 1024
config.graceful_timeout = 1
asyncio.run(serve(app, config))
