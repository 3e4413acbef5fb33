"""The Python server of the 2.x line, which takes triggers over HTTP by itself.

usage: high_templar_2.py PORT API_URL
"""

from gevent import monkey

monkey.patch_all()

import sys

from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler
from high_templar.main import create_app


class Settings:
    API_URL = sys.argv[2]
    FORWARD_IP = "HTTP_X_REAL_IP"


address = ("127.0.0.1", int(sys.argv[1]))
WSGIServer(address, create_app(Settings), handler_class=WebSocketHandler, log=None).serve_forever()
