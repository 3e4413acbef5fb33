//! A long random session, in every kind of segment.

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
