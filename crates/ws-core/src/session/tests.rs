//! Whole sessions in memory: the examples of RFC 6455, section 5.7, the vectors
//! on which existing implementations fail, and a long random session.

use std::io::Write;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::{
    frame::{CloseCode, Header},
    mask::mask_append,
};

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

/// One test a row of the table of inputs that existing crates get wrong, in
/// both roles and in every piece size.
mod vectors {
    use super::*;

    /// Gives each side the frames, masked as that side wants them.
    fn verdict(frames: &[(bool, OpCode, &[u8])]) -> Result<Vec<Message>, ProtocolError> {
        let mut verdicts = Vec::new();
        for (mask, make) in [(None, client as fn() -> Session), (Some(KEY), server as _)] {
            let wire: Vec<u8> = frames
                .iter()
                .flat_map(|(fin, opcode, payload)| frame(*fin, *opcode, mask, payload))
                .collect();
            for size in 1..=wire.len().min(64) {
                verdicts.push(receive(&mut make(), &wire, size));
            }
        }
        assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]), "{verdicts:?}");
        verdicts.remove(0)
    }

    const fn invalid(at: usize) -> Result<Vec<Message>, ProtocolError> {
        Err(ProtocolError::InvalidUtf8 { at })
    }

    #[test]
    fn text_truncated_at_an_empty_final_fragment() {
        let frames: [(_, _, &[u8]); 2] =
            [(false, OpCode::Text, &[0xe2, 0x82]), (true, OpCode::Continuation, &[])];
        assert_eq!(verdict(&frames), invalid(2));
    }

    #[test]
    fn text_truncated_inside_a_final_fragment() {
        let frames: [(_, _, &[u8]); 2] =
            [(false, OpCode::Text, &[0xe2]), (true, OpCode::Continuation, &[0x82])];
        assert_eq!(verdict(&frames), invalid(2));
        let frames: [(_, _, &[u8]); 2] =
            [(false, OpCode::Text, b"a"), (true, OpCode::Continuation, b"b\xe2\x82")];
        assert_eq!(verdict(&frames), invalid(4));
    }

    #[test]
    fn a_text_inside_an_unfinished_text() {
        let frames: [(_, _, &[u8]); 3] = [
            (false, OpCode::Text, b"a"),
            (false, OpCode::Text, b"b"),
            (true, OpCode::Continuation, b"c"),
        ];
        assert_eq!(verdict(&frames), Err(ProtocolError::ExpectedContinuation));
    }

    #[test]
    fn a_continuation_of_nothing() {
        let frames: [(_, _, &[u8]); 1] = [(true, OpCode::Continuation, b"c")];
        assert_eq!(verdict(&frames), Err(ProtocolError::UnexpectedContinuation));
    }

    #[test]
    fn frames_masked_the_wrong_way_round() {
        let masked = frame(true, OpCode::Text, Some(KEY), b"Hello");
        assert_eq!(receive(&mut client(), &masked, 1), Err(ProtocolError::MaskedByServer));
        let plain = frame(true, OpCode::Text, None, b"Hello");
        assert_eq!(receive(&mut server(), &plain, 1), Err(ProtocolError::UnmaskedByClient));
    }

    #[test]
    fn a_pong_of_126_bytes() {
        let frames: [(_, _, &[u8]); 1] = [(true, OpCode::Pong, &[0; 126])];
        assert_eq!(verdict(&frames), Err(ProtocolError::ControlTooLong));
    }

    #[test]
    fn close_codes_that_must_not_be_sent() {
        for code in [999_u16, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            let frames: [(_, _, &[u8]); 1] = [(true, OpCode::Close, &code.to_be_bytes())];
            assert_eq!(verdict(&frames), Err(ProtocolError::CloseCode(code)));
        }
        let frames: [(_, _, &[u8]); 1] = [(true, OpCode::Close, &[3])];
        assert_eq!(verdict(&frames), Err(ProtocolError::CloseTooShort));
    }

    #[test]
    fn lengths_in_a_longer_form_than_needed() {
        for (header, error) in [
            (&[0x82, 0x7e, 0, 5][..], ProtocolError::NonMinimalLength),
            (&[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0, 5], ProtocolError::NonMinimalLength),
            (&[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff], ProtocolError::NonMinimalLength),
            (
                &[0x82, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                ProtocolError::LengthTopBit,
            ),
        ] {
            for size in 1..=header.len() {
                assert_eq!(receive(&mut client(), header, size), Err(error));
            }
        }
    }

    #[test]
    fn endless_fragments_stop_at_the_message_limit() {
        let mut client = client();
        let piece = vec![7; 64 << 10];
        let mut wire = frame(false, OpCode::Binary, None, &piece);
        let mut sent = 0;
        let error = loop {
            match receive(&mut client, &wire, usize::MAX) {
                Ok(_) => sent += piece.len(),
                Err(error) => break error,
            }
            assert!(sent <= Limits::default().max_message);
            wire = frame(false, OpCode::Continuation, None, &piece);
        };
        assert_eq!(error, ProtocolError::MessageTooBig);
        assert_eq!(sent, Limits::default().max_message);
    }

    #[test]
    fn endless_empty_fragments_stop_at_their_number() {
        let mut client = client();
        let mut wire = frame(false, OpCode::Text, None, b"").to_vec();
        for _ in 0..65_536 {
            wire.extend_from_slice(&frame(false, OpCode::Continuation, None, b""));
        }
        assert_eq!(receive(&mut client, &wire, 4096), Err(ProtocolError::TooManyFragments));
    }

    #[test]
    fn a_declared_length_over_the_limit_reserves_nothing() {
        let mut client = client();
        let header = [0x82, 0x7f, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
        assert_eq!(receive(&mut client, &header, 10), Err(ProtocolError::FrameTooBig));
        assert!(client.input.capacity() <= 2 * READ_ROOM);
    }

    #[test]
    fn a_bad_byte_fails_the_text_before_its_frame_is_complete() {
        let mut wire = frame(true, OpCode::Text, None, &[b'x'; 20_000]);
        wire[600] = 0xff;
        let header = 4;
        let mut client = client();
        let got = receive(&mut client, &wire[..700], 100);
        assert_eq!(got, Err(ProtocolError::InvalidUtf8 { at: 600 - header }));
    }
}

/// Every combination of the first two bytes, judged by the rules of section
/// 5.2 written a second time, as a table of conditions.
#[test]
fn the_first_two_bytes_of_a_frame_decide_as_the_rfc_says() {
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

mod random_session {
    use super::*;

    /// SplitMix64, so that a seed names the whole session.
    struct Rng(u64);

    impl Rng {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        fn below(&mut self, n: u64) -> usize {
            (self.next() % n) as usize
        }

        fn bytes(&mut self, len: usize) -> Vec<u8> {
            (0..len).map(|_| self.next() as u8).collect()
        }

        fn text(&mut self, len: usize) -> String {
            const CHARS: [char; 8] = ['a', '7', '"', 'é', 'ж', '水', '🦓', '\u{10ffff}'];
            (0..len).map(|_| CHARS[self.below(8)]).collect()
        }
    }

    /// Writes `messages` messages of 0 to 20 fragments with control frames
    /// between the fragments: the wire bytes, and what must arrive.
    fn write(rng: &mut Rng, messages: usize, masked: bool) -> (Vec<u8>, Vec<Message>) {
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..messages {
            let len = match rng.below(20) {
                0 => rng.below(9000),
                1..=3 => rng.below(700),
                _ => rng.below(60),
            };
            let (opcode, payload, message) = if rng.below(2) == 0 {
                let text = rng.text(len);
                (OpCode::Text, text.clone().into_bytes(), Message::text(text))
            } else {
                let bytes = rng.bytes(len);
                (OpCode::Binary, bytes.clone(), Message::binary(bytes))
            };
            let fragments = rng.below(21);
            let mut cuts: Vec<usize> =
                (1..fragments).map(|_| rng.below(payload.len() as u64 + 1)).collect();
            cuts.sort_unstable();
            cuts.push(payload.len());
            let mut from = 0;
            for (i, cut) in cuts.iter().enumerate() {
                let mut key = || masked.then(|| (rng.next() as u32).to_ne_bytes());
                let opcode = if i == 0 { opcode } else { OpCode::Continuation };
                let fin = i + 1 == cuts.len();
                wire.extend_from_slice(&frame(fin, opcode, key(), &payload[from..*cut]));
                from = *cut;
                if !fin && rng.below(3) == 0 {
                    let len = rng.below(126);
                    let control = Bytes::from(rng.bytes(len));
                    let key = masked.then(|| (rng.next() as u32).to_ne_bytes());
                    let (opcode, message) = match rng.below(2) {
                        0 => (OpCode::Ping, Message::Ping(control.clone())),
                        _ => (OpCode::Pong, Message::Pong(control.clone())),
                    };
                    wire.extend_from_slice(&frame(true, opcode, key, &control));
                    expected.push(message);
                }
            }
            expected.push(message);
        }
        (wire, expected)
    }

    fn read(session: &mut Session, wire: &[u8], mut size: impl FnMut() -> usize) -> Vec<Message> {
        let (mut rest, mut got) = (wire, Vec::new());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(size().clamp(1, rest.len()));
            session.input().extend_from_slice(piece);
            while let Some(message) = session.poll_event().unwrap() {
                got.push(message);
            }
            transmitted(session);
            rest = after;
        }
        got
    }

    #[test]
    fn of_10_000_messages_arrives_equal_in_every_kind_of_segment() {
        let seed = 0x5eed_0001;
        let _best_effort = writeln!(std::io::stderr(), "seed {seed:#x}");
        for masked in [false, true] {
            let (wire, expected) = write(&mut Rng(seed), 10_000, masked);
            let session = || if masked { server() } else { client() };
            assert_eq!(read(&mut session(), &wire, || usize::MAX), expected, "at once");
            for size in [1, 2, 3, 7, 125, 1021, 8192, 65_536] {
                assert_eq!(read(&mut session(), &wire, || size), expected, "segments of {size}");
            }
            let mut rng = Rng(seed ^ 1);
            let random = || match rng.below(4) {
                0 => 1,
                1 => 1 + rng.below(16),
                2 => 1 + rng.below(2000),
                _ => 1 + rng.below(100_000),
            };
            assert_eq!(read(&mut session(), &wire, random), expected, "random segments");
        }
    }
}
