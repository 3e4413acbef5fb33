use super::*;
use crate::frame::CloseCode;

fn header(fin: bool, opcode: OpCode, mask: Option<[u8; 4]>, payload_len: u64) -> Header {
    Header { fin, opcode, mask, payload_len }
}

#[test]
fn every_header_survives_a_round_trip_and_waits_for_its_last_byte() {
    let opcodes = [OpCode::Continuation, OpCode::Text, OpCode::Binary];
    let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 40, i64::MAX as u64];
    let mut cases = 0;
    for opcode in opcodes {
        for fin in [false, true] {
            for mask in [None, Some([1, 2, 3, 4])] {
                for len in lengths {
                    let expected = header(fin, opcode, mask, len);
                    let mut wire = BytesMut::new();
                    expected.put(&mut wire);
                    for cut in 0..wire.len() {
                        assert_eq!(Header::parse(&wire[..cut]), Ok(None));
                    }
                    assert_eq!(Header::parse(&wire), Ok(Some((expected, wire.len()))));
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 108);
}

#[test]
fn lengths_take_their_shortest_form() {
    for (len, bytes) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
        let mut wire = BytesMut::new();
        header(true, OpCode::Binary, None, len).put(&mut wire);
        assert_eq!(wire.len(), bytes);
    }
}

#[test]
fn close_codes_allowed_on_the_wire() {
    let allowed: Vec<u16> =
        (0..=u16::MAX).filter(|code| CloseCode::new(*code).is_allowed_on_wire()).collect();
    let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
    assert_eq!(allowed, expected);
}
