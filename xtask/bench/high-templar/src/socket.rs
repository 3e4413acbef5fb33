//! A client that costs next to nothing: it counts bytes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

/// Opens a WebSocket, takes the first frame, and subscribes to `target`.
pub(crate) fn enter(address: SocketAddr, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it accepts");
    stream.set_nodelay(true).expect("a socket");
    let request = format!(
        "GET /ws/ HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Cookie: a=b\r\nUser-Agent: bench\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut input = Input { stream, bytes: Vec::new() };
    while !input.bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        input.more();
    }
    let end = input.bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("found") + 4;
    assert!(input.bytes.starts_with(b"HTTP/1.1 101"), "not let in");
    input.bytes.drain(..end);
    assert!(input.frame().contains("allowed_rooms"));
    let subscribe = format!(
        r#"{{"type":"subscribe","room":{{"target":"{target}"}},"requestId":"0123456789"}}"#
    );
    let mut frame = vec![0x81, 0x80 | u8::try_from(subscribe.len()).expect("short"), 0, 0, 0, 0];
    frame.extend_from_slice(subscribe.as_bytes());
    input.stream.write_all(&frame).expect("it reads");
    assert_eq!(input.frame(), r#"{"code": "success"}"#);
    input.stream
}

struct Input {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Input {
    fn more(&mut self) {
        // The Python server's answers are two writes, the second of which waits for the
        // first one's acknowledgement: 40 ms each, if nobody hurries.
        #[cfg(target_os = "linux")]
        std::os::linux::net::TcpStreamExt::set_quickack(&self.stream, true).expect("a socket");
        let mut buffer = [0; 4096];
        let read = self.stream.read(&mut buffer).expect("it answers");
        assert!(read > 0, "it has closed");
        self.bytes.extend_from_slice(&buffer[..read]);
    }

    /// The text of the next frame.
    fn frame(&mut self) -> String {
        loop {
            if let Some((start, end)) = extent(&self.bytes)
                && self.bytes.len() >= end
            {
                let text = String::from_utf8(self.bytes[start..end].to_vec()).expect("text");
                self.bytes.drain(..end);
                return text;
            }
            self.more();
        }
    }
}

/// Where the payload of the frame at the front begins and ends.
fn extent(bytes: &[u8]) -> Option<(usize, usize)> {
    let length = |count: usize| {
        let bytes = bytes.get(2..2 + count)?;
        Some(bytes.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)))
    };
    let (header, payload) = match *bytes.get(1)? {
        126 => (4, length(2)?),
        127 => (10, length(8)?),
        short => (2, usize::from(short)),
    };
    Some((header, header + payload))
}

/// What the server sends of this data: the bytes of one frame.
pub(crate) fn frame_length(data: &str) -> usize {
    let text = format!(r#"{{"type": "publish", "data": {data}, "requestId": "0123456789"}}"#);
    text.len() + if text.len() < 126 { 2 } else { 4 }
}

/// A connection for triggers.
pub(crate) struct Triggers {
    input: Input,
    address: SocketAddr,
}

impl Triggers {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it accepts");
        stream.set_nodelay(true).expect("a socket");
        Self { input: Input { stream, bytes: Vec::new() }, address }
    }

    /// Sends `data` to `target`, named as often as `times`, in as many triggers as
    /// `count`; answers are not waited for.
    pub(crate) fn send(&mut self, target: &str, times: usize, data: &str, count: usize) {
        let rooms = vec![format!(r#"{{"target":"{target}"}}"#); times].join(",");
        let body = format!(r#"{{"rooms":[{rooms}],"data":{data}}}"#);
        let request = format!(
            "POST /trigger/ HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.input.stream.write_all(request.repeat(count).as_bytes()).expect("it reads");
    }

    /// Waits for that many answers.
    pub(crate) fn finish(&mut self, count: usize) {
        const SUCCESS: &[u8] = b"publish success";
        let answered =
            |bytes: &[u8]| bytes.windows(SUCCESS.len()).filter(|w| w == &SUCCESS).count();
        while answered(&self.input.bytes) < count {
            self.input.more();
        }
        self.input.bytes.clear();
    }
}
