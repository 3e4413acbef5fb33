use proptest::prelude::*;

use super::*;

/// The first impossible byte, found with std alone: the shortest prefix that
/// no continuation can save.
fn oracle(text: &[u8]) -> Result<(), usize> {
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => {
            let hopeless = (1..=text.len()).find(|end| {
                std::str::from_utf8(&text[..*end]).is_err_and(|e| e.error_len().is_some())
            });
            Err(hopeless.map_or(text.len(), |end| end - 1))
        }
    }
}

fn in_pieces(text: &[u8], size: usize) -> Result<(), usize> {
    let mut check = Utf8Stream::new();
    for piece in text.chunks(size.max(1)) {
        check.push(piece).map_err(|e| e.at)?;
    }
    check.finish().map_err(|e| e.at)
}

/// Every byte that matters to the rules, with its neighbours.
const EDGES: &[u8] = &[
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
    0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
];

#[test]
fn agrees_with_std_on_all_strings_of_up_to_four_edge_bytes_in_every_split() {
    let mut cases = 0;
    let mut all: Vec<Vec<u8>> = vec![vec![]];
    for _ in 0..4 {
        all = all
            .iter()
            .flat_map(|s| EDGES.iter().map(move |b| [s.as_slice(), &[*b]].concat()))
            .collect();
        for text in &all {
            let expected = oracle(text);
            for size in 1..=text.len() {
                assert_eq!(in_pieces(text, size), expected, "{text:x?} in pieces of {size}");
                cases += 1;
            }
        }
    }
    assert!(cases > 1_000_000, "{cases} cases");
}

#[test]
fn c3_agrees_with_std_on_every_string_of_up_to_three_bytes_in_every_split() {
    let mut cases = 0_u32;
    let mut check = |text: &[u8]| {
        let valid = std::str::from_utf8(text).is_ok();
        for size in 1..=text.len() {
            assert_eq!(in_pieces(text, size).is_ok(), valid, "{text:x?} in pieces of {size}");
            cases += 1;
        }
    };
    for string in 0..1_u32 << 24 {
        let [_, a, b, c] = string.to_be_bytes();
        if a == 0 && b == 0 {
            check(&[c]);
        }
        if a == 0 {
            check(&[b, c]);
        }
        check(&[a, b, c]);
    }
    assert_eq!(cases, (3 << 24) + (2 << 16) + (1 << 8));
}

#[test]
fn c3_agrees_with_std_on_ten_million_random_strings_in_pieces() {
    let mut state = 0x5eed_0003_u64;
    let mut below = |n: usize| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((state >> 33) as usize) % n
    };
    let (mut text, mut refused) = (Vec::new(), 0);
    for _ in 0..10_000_000 {
        text.clear();
        for _ in 0..1 + below(4) {
            // Mostly characters of every length, sometimes a byte that is none.
            let part: &[u8] = [b"a", "é".as_bytes(), "水".as_bytes(), "🦓".as_bytes()][below(4)];
            text.extend_from_slice(part);
            if below(3) == 0 {
                text.truncate(text.len() - below(part.len()));
                text.push(EDGES[below(EDGES.len())]);
            }
        }
        let valid = std::str::from_utf8(&text).is_ok();
        refused += u32::from(!valid);
        assert_eq!(in_pieces(&text, 1 + below(8)).is_ok(), valid, "{text:x?}");
    }
    assert!((1_000_000..9_000_000).contains(&refused), "{refused}");
}

#[test]
fn fails_at_the_same_byte_wherever_the_text_is_cut() {
    let mut text = "κόσμε zebra 水 🦓 ".repeat(40).into_bytes();
    for at in [0, 1, 63, 64, 65, 300] {
        let kept = std::mem::replace(&mut text[at], 0xff);
        let expected = oracle(&text);
        for size in 1..text.len() {
            assert_eq!(in_pieces(&text, size), expected);
        }
        text[at] = kept;
    }
    assert_eq!(in_pieces(&text, 7), Ok(()));
}

#[test]
fn a_text_that_stops_inside_a_character_is_refused_at_its_end() {
    let mut check = Utf8Stream::new();
    check.push(&[b'a', 0xe2, 0x82]).unwrap();
    check.push(&[]).unwrap();
    assert_eq!(check.finish(), Err(Utf8Error { at: 3 }));
}

#[test]
fn bytes_become_text_only_when_they_are_text() {
    assert_eq!(Utf8Bytes::try_from(Bytes::from_static("né".as_bytes())).unwrap().as_str(), "né");
    assert_eq!(Utf8Bytes::try_from(Bytes::from_static(&[b'a', 0xc0])), Err(Utf8Error { at: 1 }));
}

use bytes::Bytes;

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_get_the_verdict_of_std(
        text in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..80
    ) {
        prop_assert_eq!(in_pieces(&text, size), oracle(&text));
    }

    #[test]
    fn text_with_one_byte_changed_gets_the_verdict_of_std(
        text in "\\PC{1,120}", at in any::<prop::sample::Index>(), byte in any::<u8>(),
        size in 1_usize..80
    ) {
        let mut text = text.into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        prop_assert_eq!(in_pieces(&text, size), oracle(&text));
    }
}
