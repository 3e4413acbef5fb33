//! The Python client, in a process of its own that measures itself.

use std::process::Command;

const DELIVERIES: &str = r"
import asyncio, sys, time
from stream_sea_client import StreamSeaConnection
port, count = sys.argv[1], int(sys.argv[2])
async def main():
    async with StreamSeaConnection(remote_host='127.0.0.1', remote_port=port,
                                   client_id='app123', client_secret='x') as connection:
        messages = await connection.subscribe(str(count))
        start, got = time.process_time(), 0
        async for payload in messages:
            got += 1
            if got == count:
                break
        print(count / (time.process_time() - start))
asyncio.run(main())
";

const PUBLICATIONS: &str = r"
import sys, time
from stream_sea_client import api
port, count = sys.argv[1], int(sys.argv[2])
api.api_base_url = 'http://127.0.0.1:%s/api/v1' % port
payload = {'station': 'N4', 'level': 1.75, 'text': 'x' * 62}
start = time.process_time()
for _ in range(count):
    api.publish(remote_host='127.0.0.1', remote_port=port, client_id='app123',
                client_secret='01234567890123456789', stream='bench', payload=payload)
api.pool.close()
api.pool.join()
print(count / (time.process_time() - start))
";

pub(crate) struct Python(String);

impl Python {
    pub(crate) fn new(program: String) -> Self {
        Self(program)
    }

    pub(crate) fn deliveries(&self, port: u16, messages: u64) -> f64 {
        self.run(DELIVERIES, port, messages)
    }

    pub(crate) fn publications(&self, port: u16, messages: u64) -> f64 {
        self.run(PUBLICATIONS, port, messages)
    }

    fn run(&self, script: &str, port: u16, messages: u64) -> f64 {
        let mut command = Command::new(&self.0);
        command.args(["-c", script, &port.to_string(), &messages.to_string()]);
        command.env("NO_PROXY", "127.0.0.1,localhost");
        let output = command.output().expect("Python starts");
        let said = String::from_utf8_lossy(&output.stdout);
        said.trim().parse().unwrap_or_else(|_| {
            panic!("Python failed: {said}{}", String::from_utf8_lossy(&output.stderr))
        })
    }
}
