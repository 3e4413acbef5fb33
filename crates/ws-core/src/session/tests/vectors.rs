//! One test a row of the table of inputs that existing crates get wrong, in both
//! roles and in every piece size.

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
