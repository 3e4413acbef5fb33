//! Masking (RFC 6455, section 5.3): XOR with a four-byte key.
//!
//! One safe body works on eight-byte words. It is compiled twice: as it is,
//! and inside a function that may use AVX2. Below 256 bytes the
//! call into the wide copy costs more than it gains, so short payloads take
//! the plain one.

#![allow(
    unsafe_code,
    reason = "AVX2 dispatch and writing into spare capacity; SAFETY at each block"
)]

mod keys;

use std::mem::MaybeUninit;

use bytes::BufMut;

pub use keys::Keys;

/// From this many bytes on the AVX2 copy wins (measured: below it the call and
/// the vector prologue are dearer than the loop).
#[cfg(target_arch = "x86_64")]
const WIDE_FROM: usize = 256;

/// Masks or unmasks `data` in place.
///
/// `phase` is the number of payload bytes that came before `data`: a payload
/// can be treated piece by piece as it arrives. Applying the same call twice
/// restores the input.
///
/// # Examples
///
/// ```
/// let mut hello = *b"Hello";
/// ws_core::mask_in_place(&mut hello, [0x37, 0xfa, 0x21, 0x3d], 0);
/// assert_eq!(hello, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
pub fn mask_in_place(data: &mut [u8], key: [u8; 4], phase: usize) {
    let key = rotate(key, phase);
    #[cfg(target_arch = "x86_64")]
    if data.len() >= WIDE_FROM && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, asked one line above.
        return unsafe { in_place_avx2(data, key) };
    }
    in_place(data, key);
}

/// Appends `src`, masked, to `dst`: copy and XOR in one pass.
///
/// `phase` is as in [`mask_in_place`]. `dst` grows by exactly `src.len()`
/// bytes; who knows how many are to come reserves room for them first.
///
/// # Panics
///
/// As [`BufMut::put_slice`], if `dst` cannot grow: `BytesMut` and `Vec` can.
pub fn mask_append(dst: &mut impl BufMut, mut src: &[u8], key: [u8; 4], mut phase: usize) {
    assert!(dst.remaining_mut() >= src.len(), "the buffer cannot take the payload");
    while !src.is_empty() {
        let spare = dst.chunk_mut();
        let (now, later) = src.split_at(src.len().min(spare.len()));
        // SAFETY: `copy_dispatch` only writes, and only initialised bytes.
        let spare = unsafe { spare.as_uninit_slice_mut() };
        copy_dispatch(now, spare, rotate(key, phase));
        // SAFETY: `copy_dispatch` has initialised the first `now.len()` bytes.
        unsafe { dst.advance_mut(now.len()) };
        (src, phase) = (later, phase + now.len());
    }
}

/// Initialises the first `src.len()` bytes of `dst`, which is at least as long.
fn copy_dispatch(src: &[u8], dst: &mut [MaybeUninit<u8>], key: [u8; 4]) {
    let (dst, _) = dst.split_at_mut(src.len());
    #[cfg(target_arch = "x86_64")]
    if src.len() >= WIDE_FROM && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, asked one line above.
        return unsafe { copy_avx2(src, dst, key) };
    }
    copy(src, dst, key);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn in_place_avx2(data: &mut [u8], key: [u8; 4]) {
    in_place(data, key);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn copy_avx2(src: &[u8], dst: &mut [MaybeUninit<u8>], key: [u8; 4]) {
    copy(src, dst, key);
}

/// The key as it applies to a byte that has `phase` bytes before it.
fn rotate(mut key: [u8; 4], phase: usize) -> [u8; 4] {
    key.rotate_left(phase & 3);
    key
}

fn word(key: [u8; 4]) -> u64 {
    let [a, b, c, d] = key;
    u64::from_ne_bytes([a, b, c, d, a, b, c, d])
}

/// The tail of a payload of eight bytes or more is the last eight bytes as one
/// word, overlapping what the loop has done: it is read before the loop and
/// written after it, which spares up to seven single bytes.
#[inline(always)]
fn in_place(data: &mut [u8], key: [u8; 4]) {
    let len = data.len();
    let Some(last) = data.last_chunk::<8>().copied() else { return bytes_in_place(data, key) };
    let (words, _) = data.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word(key)).to_ne_bytes();
    }
    if let Some(tail) = data.last_chunk_mut::<8>() {
        *tail = (u64::from_ne_bytes(last) ^ word(rotate(key, len))).to_ne_bytes();
    }
}

fn bytes_in_place(data: &mut [u8], key: [u8; 4]) {
    for (byte, key) in data.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Initialises all of `dst`, which is as long as `src`.
#[inline(always)]
fn copy(src: &[u8], dst: &mut [MaybeUninit<u8>], key: [u8; 4]) {
    let (words, short) = src.as_chunks::<8>();
    let (out, _) = dst.as_chunks_mut::<8>();
    for (chunk, out) in words.iter().zip(out) {
        *out = (u64::from_ne_bytes(*chunk) ^ word(key)).to_ne_bytes().map(MaybeUninit::new);
    }
    match (src.last_chunk::<8>(), dst.last_chunk_mut::<8>()) {
        (Some(last), Some(out)) => {
            let masked = u64::from_ne_bytes(*last) ^ word(rotate(key, src.len()));
            *out = masked.to_ne_bytes().map(MaybeUninit::new);
        }
        // Fewer than eight bytes in all: `short` is the whole payload.
        _ => {
            for ((byte, out), key) in short.iter().zip(dst).zip(key.iter().cycle()) {
                out.write(byte ^ key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
