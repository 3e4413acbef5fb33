//! The original SDKs, each in a process of its own that measures itself.

use std::process::Command;

use crate::{Payload, Work, server::Server};

const PYTHON: &str = r"
import json, sys, threading, time
import rapidjson
import satori.rtm.connection
satori.rtm.connection.enable_wsaccel()
from satori.rtm.client import Client, SubscriptionMode
url, appkey, protocol, channel, count, payload = sys.argv[1:7]
count, payload = int(count), json.loads(payload)
up, done = threading.Event(), threading.Event()
class Up(object):
    def on_enter_connected(self): up.set()
client = Client(url, appkey, observer=Up(), protocol=protocol)
client.start()
if not up.wait(10): sys.exit('no connection')
start, got = time.process_time(), [0]
def finish():
    got.append(time.process_time() - start)
    done.set()
if channel:
    class Ear(object):
        def on_subscription_data(self, data):
            for message in data['messages']:
                assert message['level'] > 1
                got[0] += 1
                if got[0] == count: finish()
    client.subscribe(channel, SubscriptionMode.ADVANCED, Ear(), {'history': {'count': count}})
else:
    def ack(pdu):
        assert pdu['action'] == 'rtm/publish/ok'
        got[0] += 1
        if got[0] == count: finish()
    for _ in range(count):
        client.publish('sink', payload, callback=ack)
if not done.wait(120): sys.exit('not done')
print(count / got[1])
sys.stdout.flush()
import os
os._exit(0)
";

const NODE: &str = r"
const RTM = require('satori-rtm-sdk');
const [url, appkey, protocol, channel, count, payload] = process.argv.slice(1);
const total = Number(count), message = JSON.parse(payload);
const rtm = new RTM(url, appkey, { protocol });
let start, got = 0;
function finish() {
  const { user, system } = process.cpuUsage(start);
  console.log(total / ((user + system) / 1e6));
  process.exit(0);
}
rtm.on('enter-connected', () => {
  start = process.cpuUsage();
  if (channel) {
    const all = rtm.subscribe(channel, RTM.SubscriptionMode.ADVANCED, { history: { count: total } });
    all.on('rtm/subscription/data', (pdu) => pdu.body.messages.forEach((each) => {
      if (each.level > 1) got += 1;
      if (got === total) finish();
    }));
  } else {
    let sent = 0;
    const more = () => {
      while (sent < total && sent - got < 128) {
        sent += 1;
        rtm.publish('sink', message, (pdu) => {
          if (pdu.action !== 'rtm/publish/ok') process.exit(1);
          got += 1;
          if (got === total) finish();
          more();
        });
      }
    };
    more();
  }
});
rtm.start();
setTimeout(() => process.exit(1), 120000).unref();
";

pub(crate) struct Peer {
    program: String,
    args: [&'static str; 2],
    packages: Option<String>,
}

impl Peer {
    pub(crate) fn python() -> Result<Self, &'static str> {
        let program = std::env::var("RTM_PYTHON")
            .map_err(|_| "RTM_PYTHON names no interpreter that has the SDK")?;
        Ok(Self { program, args: ["-c", PYTHON], packages: None })
    }

    pub(crate) fn node() -> Result<Self, &'static str> {
        let packages = std::env::var("RTM_NODE_PATH")
            .map_err(|_| "RTM_NODE_PATH names no folder of packages with the SDK")?;
        Ok(Self { program: "node".to_owned(), args: ["-e", NODE], packages: Some(packages) })
    }

    /// Messages a CPU second.
    pub(crate) fn run(&self, server: &Server, work: Work, count: u64) -> f64 {
        let url = format!("ws://127.0.0.1:{}", server.port);
        let protocol = if work.cbor { "cbor" } else { "json" };
        let channel = if work.deliveries { work.channel() } else { String::new() };
        let payload = serde_json::to_string(&Payload::of(work.bytes)).expect("JSON");
        let mut command = Command::new(&self.program);
        command.args(self.args);
        let count = count.to_string();
        command.args([&url, &server.appkey, protocol, &channel, &count, &payload]);
        command.env("NO_PROXY", "127.0.0.1,localhost");
        if let Some(packages) = &self.packages {
            command.env("NODE_PATH", packages);
        }
        let output = command.output().expect("the peer starts");
        let said = String::from_utf8_lossy(&output.stdout);
        said.trim().parse().unwrap_or_else(|_| {
            panic!("{} failed: {said}{}", self.program, String::from_utf8_lossy(&output.stderr))
        })
    }
}
