//! Whole sessions in memory: the examples of RFC 6455, section 5.7, the vectors
//! on which existing implementations fail, and a long random session.

use std::io::Write;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::{
    frame::{CloseCode, Header},
    mask::mask_append,
};

mod random_session;
mod vectors;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn client() -> Session {
    let keys = Keys::from_source(|block| {
        block.chunks_mut(4).for_each(|key| key.copy_from_slice(&KEY));
        Ok(())
    });
    Session::client(Limits::default(), keys)
}

fn server() -> Session {
    Session::server(Limits::default())
}

fn frame(fin: bool, opcode: OpCode, mask: Option<[u8; 4]>, payload: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    Header { fin, opcode, mask, payload_len: payload.len() as u64 }.put(&mut out);
    mask_append(&mut out, payload, mask.unwrap_or_default(), 0);
    out
}

/// Feeds `wire` to a client in pieces of `size`; returns all it got.
fn receive(session: &mut Session, wire: &[u8], size: usize) -> Result<Vec<Message>, ProtocolError> {
    let mut got = Vec::new();
    for piece in wire.chunks(size.max(1)) {
        session.input().extend_from_slice(piece);
        while let Some(message) = session.poll_event()? {
            got.push(message);
        }
    }
    Ok(got)
}

fn transmitted(session: &mut Session) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(bytes) = session.poll_transmit() {
        out.extend_from_slice(bytes);
        let len = bytes.len();
        session.transmitted(len);
    }
    out
}

mod rfc_6455_section_5_7 {
    use super::*;

    const UNMASKED: &[u8] = &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    const MASKED: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

    #[test]
    fn single_unmasked_text() {
        assert_eq!(receive(&mut client(), UNMASKED, 3), Ok(vec![Message::text("Hello")]));
        let mut server = server();
        server.send(&Message::text("Hello")).unwrap();
        assert_eq!(transmitted(&mut server), UNMASKED);
    }

    #[test]
    fn single_masked_text() {
        assert_eq!(receive(&mut server(), MASKED, 3), Ok(vec![Message::text("Hello")]));
        let mut client = client();
        client.send(&Message::text("Hello")).unwrap();
        assert_eq!(transmitted(&mut client), MASKED);
    }

    #[test]
    fn fragmented_unmasked_text() {
        let wire = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
        assert_eq!(receive(&mut client(), &wire, 1), Ok(vec![Message::text("Hello")]));
        let pieces = [
            frame(false, OpCode::Text, None, b"Hel"),
            frame(true, OpCode::Continuation, None, b"lo"),
        ];
        assert_eq!(pieces.concat(), wire);
    }

    #[test]
    fn ping_and_its_masked_answer() {
        let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let hello = Bytes::from_static(b"Hello");
        let mut client = client();
        assert_eq!(receive(&mut client, &ping, 2), Ok(vec![Message::Ping(hello.clone())]));
        assert_eq!(transmitted(&mut client), pong);
        let mut server = server();
        server.send(&Message::Ping(hello.clone())).unwrap();
        assert_eq!(transmitted(&mut server), ping);
        assert_eq!(receive(&mut server, &pong, 2), Ok(vec![Message::Pong(hello)]));
    }

    #[test]
    fn binary_of_256_bytes_and_of_64_kib() {
        let lengths: [(usize, &[u8]); 2] =
            [(256, &[0x82, 0x7e, 1, 0]), (65_536, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0])];
        for (len, header) in lengths {
            let payload = vec![0xa5; len];
            let wire = [header, &payload].concat();
            let message = Message::binary(payload);
            assert_eq!(receive(&mut client(), &wire, 1000), Ok(vec![message.clone()]));
            let mut server = server();
            server.send(&message).unwrap();
            assert_eq!(transmitted(&mut server), wire);
        }
    }
}

/// Every combination of the first two bytes, judged by the rules of section
/// 5.2 written a second time, as a table of conditions.
#[test]
fn c2_the_first_two_bytes_of_a_frame_decide_as_the_rfc_says() {
    for first in 0..=255_u8 {
        for second in 0..=255_u8 {
            let mut client = client();
            let result = receive(&mut client, &[first, second], 2).map(|_| ());
            let opcode = first & 0x0f;
            let control = opcode & 8 != 0;
            let expected = if first & 0x70 != 0 {
                Err(ProtocolError::ReservedBits)
            } else if matches!(opcode, 3..=7 | 11..=15) {
                Err(ProtocolError::UnknownOpCode)
            } else if control && first & 0x80 == 0 {
                Err(ProtocolError::FragmentedControl)
            } else if control && second & 0x7f > 125 {
                Err(ProtocolError::ControlTooLong)
            } else if second & 0x80 != 0 || second & 0x7f > 125 {
                Ok(())
            } else if opcode == 0 {
                Err(ProtocolError::UnexpectedContinuation)
            } else {
                Ok(())
            };
            assert_eq!(result, expected, "{first:02x} {second:02x}");
            if let Err(error) = expected {
                let close = transmitted(&mut client);
                assert_eq!(close.len(), 8, "one masked close frame with a code");
                assert!(client.is_ended());
                assert_eq!(error.close_code(), CloseCode::PROTOCOL);
            }
        }
    }
}

/// What a server sends in a session: every kind of frame.
fn server_bytes() -> Vec<u8> {
    let mut wire = Vec::new();
    for (fin, opcode, payload) in [
        (true, OpCode::Text, "zebra é 水".as_bytes()),
        (true, OpCode::Binary, &[0, 255, 128]),
        (false, OpCode::Text, "half a ж".as_bytes()),
        (true, OpCode::Ping, b"there?"),
        (false, OpCode::Continuation, b""),
        (true, OpCode::Continuation, "🦓 whole".as_bytes()),
        (true, OpCode::Pong, b""),
        (true, OpCode::Binary, &[7; 300]),
        (true, OpCode::Close, b"\x03\xe8bye"),
    ] {
        wire.extend_from_slice(&frame(fin, opcode, None, payload));
    }
    wire
}

#[test]
fn c1_a_flipped_bit_is_an_error_or_another_message_and_never_more_than_was_sent() {
    let wire = server_bytes();
    assert_eq!(receive(&mut client(), &wire, 1).unwrap().len(), 6);
    let (mut errors, mut others) = (0, 0);
    for at in 0..wire.len() * 8 {
        let mut flipped = wire.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        for size in [1, 7, wire.len()] {
            let mut client = client();
            match receive(&mut client, &flipped, size) {
                Ok(messages) => {
                    let bytes: usize = messages.iter().map(Message::payload_len).sum();
                    assert!(bytes < wire.len(), "bit {at}");
                    others += 1;
                }
                Err(error) => {
                    assert!(client.is_ended());
                    assert!(error.close_code().is_allowed_on_wire());
                    assert_eq!(client.poll_event(), Ok(None), "told once");
                    errors += 1;
                }
            }
        }
    }
    assert!(errors > 500 && others > 3000, "{errors} errors, {others} other messages");
}

#[test]
fn c3_a_text_that_is_none_is_refused_with_1007_wherever_its_fragments_end() {
    const BYTES: &[u8] =
        &[0x41, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xf5, 0xff];
    let strings = BYTES.iter().flat_map(|a| {
        BYTES.iter().flat_map(|b| {
            BYTES.iter().flat_map(|c| BYTES.iter().map(|d| [*a, *b, *c, *d])).collect::<Vec<_>>()
        })
    });
    let mut refused = 0;
    for string in strings {
        let valid = std::str::from_utf8(&string);
        for cut in 0..=4 {
            let (first, rest) = string.split_at(cut);
            let mut wire = frame(false, OpCode::Text, None, first);
            wire.extend_from_slice(&frame(true, OpCode::Continuation, None, rest));
            let mut client = client();
            match (receive(&mut client, &wire, usize::MAX), valid) {
                (Ok(messages), Ok(text)) => assert_eq!(messages, [Message::text(text)]),
                (Err(error @ ProtocolError::InvalidUtf8 { .. }), Err(_)) => {
                    assert_eq!(error.close_code(), CloseCode::INVALID_DATA);
                    refused += 1;
                }
                (got, _) => panic!("{string:x?} cut at {cut}: {got:?}"),
            }
        }
    }
    assert!(refused > 100_000, "{refused}");
}

#[test]
fn a_message_is_lent_as_it_would_be_given() {
    let wire = server_bytes();
    for size in 1..wire.len() {
        let (mut lending, mut giving) = (client(), client());
        let mut lent = Vec::new();
        for piece in wire.chunks(size) {
            lending.input().extend_from_slice(piece);
            while let Some(message) = lending.poll_event_ref().unwrap() {
                lent.push(Message::from(message));
            }
        }
        assert_eq!(lent, receive(&mut giving, &wire, size).unwrap());
        assert_eq!(lending.close_frame(), giving.close_frame());
    }
}

#[test]
fn a_message_may_be_sent_in_frames_of_a_size() {
    let text = Message::text("zebra é 水 🦓".repeat(20));
    for size in [0, 1, 2, 3, 50, 10_000] {
        let limits = Limits::default().max_frame_out(size);
        let keys = Keys::from_source(|block| {
            block.fill(9);
            Ok(())
        });
        let mut client = Session::client(limits, keys);
        client.send(&text).unwrap();
        client.send(&Message::Ping(vec![1; 125].into())).unwrap();
        let got = receive(&mut server(), &transmitted(&mut client), 64).unwrap();
        assert_eq!(got, [text.clone(), Message::Ping(vec![1; 125].into())]);
    }
}

#[test]
fn only_the_latest_ping_is_answered() {
    let mut client = client();
    let pings: Vec<u8> =
        (0..1000_u16).flat_map(|n| frame(true, OpCode::Ping, None, &n.to_be_bytes())).collect();
    assert_eq!(receive(&mut client, &pings, 999).unwrap().len(), 1000);
    let mut server = server();
    let pongs = receive(&mut server, &transmitted(&mut client), 64).unwrap();
    assert_eq!(pongs, [Message::Pong(Bytes::copy_from_slice(&999_u16.to_be_bytes()))]);
}

#[test]
fn closing_handshake_from_either_side() {
    let (mut client, mut server) = (client(), server());
    client.close(Some(&CloseFrame::new(CloseCode::NORMAL, "done"))).unwrap();
    client.close(None).unwrap();
    assert!(matches!(client.send(&Message::text("late")), Err(Error::Closed)));
    assert_eq!(receive(&mut server, &transmitted(&mut client), 1), Ok(vec![]));
    assert!(server.is_ended());
    assert_eq!(server.close_frame().unwrap().reason.as_str(), "done");
    assert!(matches!(server.send(&Message::text("late")), Err(Error::Closed)));
    assert_eq!(receive(&mut client, &transmitted(&mut server), 1), Ok(vec![]));
    assert!(client.is_ended());
    let echoed = client.close_frame().unwrap();
    assert_eq!((echoed.code, echoed.reason.as_str()), (CloseCode::NORMAL, ""));
}

#[test]
fn a_message_before_the_answering_close_is_still_delivered() {
    let mut client = client();
    client.close(None).unwrap();
    let mut wire = frame(true, OpCode::Text, None, b"last");
    wire.extend_from_slice(&frame(true, OpCode::Close, None, &[3, 0xe8]));
    assert_eq!(receive(&mut client, &wire, 3), Ok(vec![Message::text("last")]));
    assert!(client.is_ended());
}

#[test]
fn a_close_reason_is_cut_at_a_character() {
    let mut server = server();
    let reason = "é".repeat(100);
    server.close(Some(&CloseFrame::new(CloseCode::NORMAL, reason.as_str()))).unwrap();
    let mut client = client();
    receive(&mut client, &transmitted(&mut server), 200).unwrap();
    assert_eq!(client.close_frame().unwrap().reason.as_str(), "é".repeat(61));
}

#[test]
fn a_large_message_does_not_keep_its_memory() {
    let (mut client, mut server) = (client(), server());
    let big = Message::binary(vec![1; 1 << 20]);
    client.send(&big).unwrap();
    assert_eq!(receive(&mut server, &transmitted(&mut client), 5000), Ok(vec![big]));
    assert!(client.encoder.pending().is_empty());
    assert!(server.input.capacity() <= 16 << 10, "{}", server.input.capacity());
}
