//! Packets out of bytes: rumqttc's codec, and the rules that it leaves to its user
//! (docs/protocols/emitter.md, 2 and 13).

use bytes::{Bytes, BytesMut};
use rumqttc::{Packet, QoS, SubscribeReasonCode, check};

use crate::error::Error;

/// A packet that is larger than this takes its room along.
const KEPT: usize = 32 << 10;

/// What a broker may send.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The answer to CONNECT, 0 for yes.
    ConnAck(u8),
    Publish {
        topic: String,
        payload: Bytes,
        /// The id to acknowledge, at QoS 1.
        acknowledge: Option<u16>,
    },
    PubAck(u16),
    SubAck {
        id: u16,
        accepted: bool,
    },
    UnsubAck(u16),
    Pong,
}

/// Takes bytes in pieces of any size.
#[derive(Debug)]
pub(super) struct Decoder {
    bytes: BytesMut,
    max: usize,
}

impl Decoder {
    pub(super) fn new(max: usize) -> Self {
        Self { bytes: BytesMut::new(), max }
    }

    /// A new connection begins.
    pub(super) fn clear(&mut self) {
        self.bytes = BytesMut::new();
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole packet.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, Error> {
        let Some(first) = self.bytes.first().copied() else { return Ok(None) };
        allow(first)?;
        let header = match check(self.bytes.iter(), self.max) {
            Ok(header) => header,
            Err(rumqttc::Error::InsufficientBytes(_)) => return Ok(None),
            Err(error @ rumqttc::Error::PayloadSizeLimitExceeded(_)) => {
                return Err(Error::protocol("packet_too_big", &error.to_string()));
            }
            Err(error) => return Err(malformed(&error.to_string())),
        };
        let expected = match first {
            CONNACK | PUBACK | UNSUBACK => Some(4),
            PINGRESP => Some(2),
            SUBACK => Some(5),
            _ => None,
        };
        let length = header.frame_length();
        if expected.is_some_and(|expected| expected != length) {
            return Err(malformed(&format!("{length} bytes in a packet of type {}", first >> 4)));
        }
        let packet = Packet::read(&mut self.bytes, self.max);
        if self.bytes.is_empty() && length > KEPT {
            self.clear();
        }
        incoming(packet.map_err(|error| malformed(&error.to_string()))?).map(Some)
    }
}

const CONNACK: u8 = 0x20;
const PUBACK: u8 = 0x40;
const SUBACK: u8 = 0x90;
const UNSUBACK: u8 = 0xb0;
const PINGRESP: u8 = 0xd0;

/// Judges a packet by its first byte, before the rest is waited for.
fn allow(first: u8) -> Result<(), Error> {
    match first {
        CONNACK | PUBACK | SUBACK | UNSUBACK | PINGRESP => Ok(()),
        // PUBLISH with QoS 0 or 1; only the latter may be a duplicate.
        0x30 | 0x31 | 0x32 | 0x33 | 0x3a | 0x3b => Ok(()),
        _ => Err(Error::protocol("unexpected_packet", &format!("a packet begins with {first:#x}"))),
    }
}

fn incoming(packet: Packet) -> Result<Incoming, Error> {
    Ok(match packet {
        Packet::ConnAck(ack) => Incoming::ConnAck(ack.code as u8),
        Packet::Publish(publish) => {
            if publish.topic.is_empty() || publish.topic.contains('\0') {
                return Err(Error::protocol("topic", &publish.topic));
            }
            let acknowledge = (publish.qos == QoS::AtLeastOnce).then_some(publish.pkid);
            // A copy: a slice would keep everything alive that came along with it.
            let payload = Bytes::copy_from_slice(&publish.payload);
            Incoming::Publish { topic: publish.topic, payload, acknowledge }
        }
        Packet::PubAck(ack) => Incoming::PubAck(not_zero(ack.pkid)?),
        Packet::SubAck(ack) => {
            let accepted = matches!(ack.return_codes.as_slice(), [SubscribeReasonCode::Success(_)]);
            Incoming::SubAck { id: not_zero(ack.pkid)?, accepted }
        }
        Packet::UnsubAck(ack) => Incoming::UnsubAck(not_zero(ack.pkid)?),
        Packet::PingResp => Incoming::Pong,
        // The first byte has been judged.
        other => return Err(malformed(&format!("{} bytes", other.size()))),
    })
}

fn not_zero(id: u16) -> Result<u16, Error> {
    match id {
        0 => Err(malformed("a packet id of 0")),
        id => Ok(id),
    }
}

fn malformed(detail: &str) -> Error {
    Error::protocol("packet", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Option<Incoming>, Error> {
        let mut decoder = Decoder::new(256 << 10);
        decoder.feed(bytes);
        decoder.next()
    }

    #[test]
    fn reads_packets_in_pieces() {
        let bytes = b"\x20\x02\x00\x00\x30\x06\x00\x02a/hi\x32\x07\x00\x02a/\x00\x07!\xd0\x00";
        for size in 1..=bytes.len() {
            let mut decoder = Decoder::new(100);
            let mut seen = Vec::new();
            for piece in bytes.chunks(size) {
                decoder.feed(piece);
                while let Some(packet) = decoder.next().unwrap() {
                    seen.push(format!("{packet:?}"));
                }
            }
            assert_eq!(seen.len(), 4, "{seen:?}");
            assert!(seen[2].contains("acknowledge: Some(7)"), "{seen:?}");
        }
    }

    /// C10: every first byte with every length from 0 to 64, filled with zeros, with
    /// ones and with text.
    #[test]
    fn c10_no_packet_of_any_type_and_length_panics() {
        let mut refused = 0;
        for first in 0..=255_u8 {
            for length in 0..=64_u8 {
                for fill in [0, 0xff, b'a', 1] {
                    let mut bytes = vec![first, length];
                    bytes.extend(std::iter::repeat_n(fill, length.into()));
                    refused += u32::from(decode(&bytes).is_err());
                }
            }
        }
        assert!(refused > 256 * 65 * 3, "{refused}");
    }

    #[test]
    fn c10_each_broken_rule_has_its_word() {
        for (bytes, code) in [
            (&b"\x00\x00"[..], "unexpected_packet"),
            (b"\xf0\x00", "unexpected_packet"),
            (b"\x34\x04\x00\x01a\x00", "unexpected_packet"),
            (b"\x38\x03\x00\x01a", "unexpected_packet"),
            (b"\x41\x02\x00\x01", "unexpected_packet"),
            (b"\x30\xff\xff\xff\xff\x01", "packet"),
            (b"\x30\xff\xff\x7f", "packet_too_big"),
            (b"\x40\x02\x00\x00", "packet"),
            (b"\x40\x03\x00\x01\x00", "packet"),
            (b"\x20\x02\x00\x06", "packet"),
            (b"\x90\x03\x00\x00\x00", "packet"),
            (b"\x90\x03\x00\x01\x03", "packet"),
            (b"\xb0\x02\x00\x00", "packet"),
            (b"\x30\x03\x00\x01\xff", "packet"),
            (b"\x30\x03\x00\x01\x00", "topic"),
            (b"\x30\x02\x00\x00", "topic"),
            (b"\x30\x03\x00\x09a", "packet"),
            (b"\x32\x05\x00\x01a\x00\x00", "packet"),
            (b"\x30\x00", "packet"),
        ] {
            assert_eq!(decode(bytes).unwrap_err().code(), code, "{bytes:?}");
        }
        let Ok(Some(Incoming::Publish { payload, .. })) = decode(b"\x30\x03\x00\x01a") else {
            panic!("a publish may be empty")
        };
        assert!(payload.is_empty());
    }

    #[test]
    fn gives_large_buffers_back() {
        let mut decoder = Decoder::new(1 << 20);
        let mut bytes = b"\x30\x80\x80\x04\x00\x01a".to_vec();
        bytes.resize(4 + 65_536, b'x');
        decoder.feed(&bytes);
        decoder.next().unwrap().unwrap();
        decoder.feed(b"\xd0");
        assert!(decoder.bytes.capacity() <= KEPT);
    }
}
