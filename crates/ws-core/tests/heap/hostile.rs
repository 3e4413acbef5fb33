//! Peers that mean harm.

use ws_core::{Error, Limits, ProtocolError};

use crate::script::{Held, Script, header, receive, repeat};

const KIB: u64 = 1 << 10;

fn error(held: &Held) -> ProtocolError {
    match &held.error {
        Some(Error::Protocol(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn c4_a_declared_length_over_the_limit_reserves_nothing() {
    let limits = Limits::default().max_message(0xffff);
    for (len, refusal) in [
        (1 << 16, ProtocolError::FrameTooBig),
        (1 << 31, ProtocolError::FrameTooBig),
        ((1 << 63) - 1, ProtocolError::FrameTooBig),
        (1 << 63, ProtocolError::LengthTopBit),
        (u64::MAX, ProtocolError::LengthTopBit),
    ] {
        let wire = [&header(true, 2, 1 << 16)[..2], &len.to_be_bytes(), &[7; 1000]].concat();
        let held = receive(Script::of(wire), limits);
        assert_eq!(error(&held), refusal, "{len}");
        assert!(held.most <= KIB, "{len}: {} bytes", held.most);
    }
    // Lengths in a longer form than they need.
    for wire in [&[0x82, 126, 0, 5][..], &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]] {
        let held = receive(Script::of(wire.to_vec()), limits);
        assert_eq!(error(&held), ProtocolError::NonMinimalLength);
        assert!(held.most <= KIB);
    }
}

#[test]
fn c4_a_declared_length_within_the_limit_reserves_256_kib_ahead_of_data_at_most() {
    for arrived in [0, 1, 1000, 100_000, 1_000_000, 9_000_000, (16 << 20) - 1] {
        let mut wire = header(true, 2, 16 << 20);
        let head = wire.len();
        let mut rest = repeat(vec![7; 1000], 16_778);
        let mut left = head + arrived;
        let held = receive(
            Script::new(usize::MAX, move |out| {
                let most = out.len().min(left);
                let now = wire.len().min(most);
                out[..now].copy_from_slice(&wire[..now]);
                wire.drain(..now);
                let filled = now + rest(&mut out[now..most]);
                left -= filled;
                filled
            }),
            Limits::default(),
        );
        assert!(held.error.is_none() && held.messages == 0);
        // The bookkeeping of 64 blocks, and the block that reads go into.
        let own = 16 * KIB;
        let bound = arrived as u64 + 256 * KIB + own;
        assert!(held.most <= bound, "{arrived} arrived: {} bytes", held.most);
    }
}

#[test]
fn c5_a_message_one_byte_over_the_limit_is_refused_in_any_fragments() {
    const LIMIT: usize = 1 << 20;
    let limits = Limits::default().max_message(LIMIT);
    let whole = [header(true, 2, LIMIT as u64 + 1), vec![7; LIMIT + 1]].concat();
    let held = receive(Script::of(whole), limits);
    assert_eq!(error(&held), ProtocolError::FrameTooBig);
    assert!(held.most <= KIB);

    // 10,000 fragments that make the limit and one byte.
    let (count, each) = (10_000, (LIMIT + 1) / 10_000);
    let last = LIMIT + 1 - each * (count - 1);
    let mut wire = Vec::new();
    for n in 0..count {
        let len = if n + 1 == count { last } else { each };
        wire.extend_from_slice(&header(n + 1 == count, if n == 0 { 2 } else { 0 }, len as u64));
        wire.resize(wire.len() + len, 7);
    }
    let held = receive(Script::of(wire), limits);
    assert_eq!(error(&held), ProtocolError::MessageTooBig);
    assert!(held.most <= LIMIT as u64 + 64 * KIB, "{} bytes", held.most);
    assert_eq!(error(&held).close_code(), ws_core::CloseCode::TOO_BIG);
}

#[test]
fn c6_a_million_fragments_cost_no_more_memory_than_they_bring() {
    let part = |payload: &[u8]| [header(false, 0, payload.len() as u64), payload.to_vec()].concat();
    for payload in [&b""[..], b"x"] {
        let begin = header(false, 2, 0);
        let fragments = |count| {
            let (mut begin, mut rest) = (begin.clone(), repeat(part(payload), count));
            Script::new(usize::MAX, move |out: &mut [u8]| {
                let now = begin.len().min(out.len());
                out[..now].copy_from_slice(&begin[..now]);
                begin.drain(..now);
                now + rest(&mut out[now..])
            })
        };
        // By default they are refused by their number.
        let held = receive(fragments(1_000_000), Limits::default());
        assert_eq!(error(&held), ProtocolError::TooManyFragments);
        assert!(held.most <= 256 * KIB, "{} bytes", held.most);

        // Where they are allowed, the work stays linear: allocations grow with
        // the bytes, not with the fragments.
        let limits = Limits::default().max_fragments(u32::MAX);
        let held = receive(fragments(1_000_000), limits);
        assert!(held.error.is_none(), "{:?}", held.error);
        let bytes = payload.len() as u64 * 1_000_000;
        assert!(held.most <= bytes + 272 * KIB, "{} bytes", held.most);
        assert!(held.allocations <= 60, "{} allocations", held.allocations);
    }
}

#[test]
fn c7_a_flood_of_pings_that_nobody_reads_the_answers_of_stays_small() {
    let ping = [header(true, 9, 125), vec![7; 125]].concat();
    let held = receive(Script::new(10_000, repeat(ping, 400_000)), Limits::default());
    assert!(held.error.is_none(), "{:?}", held.error);
    assert_eq!((held.messages, held.bytes), (400_000, 400_000 * 125));
    assert!(held.most <= 64 * KIB, "{} bytes", held.most);
}
