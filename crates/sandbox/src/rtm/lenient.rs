//! A stream on which text frames become binary ones before an engine sees them: the
//! original's Python client sends CBOR in text frames, which no engine takes.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::Io;

/// A client's bytes, of which the frames are changed once it speaks CBOR.
pub(super) struct Lenient {
    io: Io,
    /// Set when CBOR was selected, which is before the first frame.
    cbor: Arc<AtomicBool>,
    place: Place,
}

/// Where in the client's bytes we are.
enum Place {
    /// In the opening request, so many bytes into the empty line that ends it.
    Opening(usize),
    /// In the head of a frame, of which this was read.
    Head(Vec<u8>),
    /// In a frame, with so many bytes to come.
    Payload(u64),
}

const END: &[u8] = b"\r\n\r\n";

impl Lenient {
    pub(super) fn new(io: Io, cbor: Arc<AtomicBool>) -> Self {
        Self { io, cbor, place: Place::Opening(0) }
    }

    fn pass(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while let Some(byte) = bytes.get_mut(at) {
            match &mut self.place {
                Place::Payload(0) => self.place = Place::Head(Vec::new()),
                Place::Payload(left) => {
                    let step = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    *left -= step as u64;
                    at += step;
                }
                Place::Opening(found) => {
                    *found = match END.get(*found) == Some(byte) {
                        true => *found + 1,
                        false => usize::from(*byte == b'\r'),
                    };
                    if *found == END.len() {
                        self.place = Place::Payload(0);
                    }
                    at += 1;
                }
                Place::Head(head) => {
                    // Opcode 1 is text, 2 is binary.
                    if head.is_empty() && *byte & 0x0f == 1 && self.cbor.load(Relaxed) {
                        *byte ^= 3;
                    }
                    head.push(*byte);
                    if let Some(payload) = payload(head) {
                        self.place = Place::Payload(payload);
                    }
                    at += 1;
                }
            }
        }
    }
}

/// How many bytes follow a head that is complete.
fn payload(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let wide = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    if head.len() < 2 + wide + mask {
        return None;
    }
    let length = head.get(2..2 + wide)?;
    Some(match wide {
        0 => u64::from(second & 0x7f),
        _ => length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    })
}

impl AsyncRead for Lenient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let new = buf.filled_mut().get_mut(before..).unwrap_or_default();
        self.pass(new);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lenient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_complete_with_its_mask() {
        assert_eq!(payload(&[0x81]), None);
        assert_eq!(payload(&[0x81, 5]), Some(5));
        assert_eq!(payload(&[0x81, 0x85, 0, 0, 0]), None);
        assert_eq!(payload(&[0x81, 0x85, 0, 0, 0, 0]), Some(5));
        assert_eq!(payload(&[0x81, 126, 1]), None);
        assert_eq!(payload(&[0x81, 126, 1, 0]), Some(256));
        assert_eq!(payload(&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Some(65_536));
    }

    #[test]
    fn text_becomes_binary_in_pieces_of_any_size() {
        let mut sent = b"GET /v2 HTTP/1.1\r\nA: \r\r\n\r\n".to_vec();
        sent.extend([0x81, 0x82, 0, 0, 0, 0, 0x81, 0x81]);
        sent.extend([0x89, 0x80, 0, 0, 0, 0]);
        sent.extend([0x01, 126, 0, 1, 0x81, 0x80, 0]);
        let start = sent.len() - 7 - 6 - 8;
        for size in 1..sent.len() {
            let (io, _other) = tokio::io::duplex(1);
            let mut lenient = Lenient::new(Box::new(io), Arc::new(AtomicBool::new(true)));
            let mut bytes = sent.clone();
            bytes.chunks_mut(size).for_each(|piece| lenient.pass(piece));
            let mut expected = sent.clone();
            expected[start] = 0x82;
            expected[start + 14] = 0x02;
            assert_eq!(bytes, expected, "{size}");
        }
    }
}
