use bytes::BytesMut;

use super::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn byte_by_byte(data: &[u8], phase: usize) -> Vec<u8> {
    data.iter().enumerate().map(|(i, b)| b ^ KEY[(i + phase) & 3]).collect()
}

fn sample(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + 7) as u8).collect()
}

#[test]
fn in_place_agrees_with_the_byte_loop_for_every_length_offset_and_phase() {
    for len in 0..=600 {
        for offset in [0, 1, 2, 3, 7, 8, 14, 31, 63] {
            for phase in 0..4 {
                let mut room = vec![0xee; offset + len + 64];
                let data = sample(len);
                room[offset..offset + len].copy_from_slice(&data);
                mask_in_place(&mut room[offset..offset + len], KEY, phase);
                assert_eq!(room[offset..offset + len], byte_by_byte(&data, phase)[..]);
                assert!(room[..offset].iter().chain(&room[offset + len..]).all(|b| *b == 0xee));
            }
        }
    }
}

#[test]
fn append_agrees_with_the_byte_loop_and_keeps_what_was_there() {
    for len in 0..=600 {
        for phase in 0..4 {
            let data = sample(len);
            let mut out = BytesMut::from(&b"before"[..]);
            mask_append(&mut out, &data, KEY, phase);
            assert_eq!(&out[..6], b"before");
            assert_eq!(out[6..], byte_by_byte(&data, phase)[..]);
        }
    }
}

#[test]
fn plain_and_dispatched_bodies_agree() {
    for len in [0, 1, 7, 8, 9, 255, 256, 257, 4096, 70_001] {
        let data = sample(len);
        let (mut plain, mut wide) = (data.clone(), data.clone());
        in_place(&mut plain, KEY);
        mask_in_place(&mut wide, KEY, 0);
        assert_eq!(plain, wide);

        let mut room = vec![MaybeUninit::new(0); len];
        copy(&data, &mut room, KEY);
        let mut out = BytesMut::new();
        mask_append(&mut out, &data, KEY, 0);
        assert_eq!(out[..], plain[..]);
    }
}

#[test]
fn a_payload_may_be_masked_in_any_pieces() {
    let data = sample(1000);
    let whole = byte_by_byte(&data, 0);
    for cut in 0..data.len() {
        let mut pieces = data.clone();
        let (head, tail) = pieces.split_at_mut(cut);
        mask_in_place(head, KEY, 0);
        mask_in_place(tail, KEY, cut);
        assert_eq!(pieces, whole);
    }
}

#[test]
fn a_source_that_fails_gives_no_key() {
    let mut keys = Keys::from_source(|block| {
        block.fill(9);
        Err(std::io::Error::other("dry"))
    });
    assert!(keys.next_key().is_err());
    assert!(keys.next_key().is_err());
}

#[test]
fn keys_are_handed_out_once_each() {
    let mut count = 0_u8;
    let mut keys = Keys::from_source(move |block| {
        for (i, byte) in block.iter_mut().enumerate() {
            *byte = (i as u8).wrapping_add(count);
        }
        count = count.wrapping_add(1);
        Ok(())
    });
    let seen: std::collections::BTreeSet<[u8; 4]> =
        (0..128).map(|_| keys.next_key().unwrap()).collect();
    assert_eq!(seen.len(), 128);
}
