use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

/// A client's and a server's end with a proxy between them.
fn between(rule: Rule) -> (Pipe, DuplexStream, Proxy) {
    let faults = Faults::default();
    faults.add(rule);
    let proxy = Proxy::pipes(faults);
    let (server, far) = tokio::io::duplex(1 << 16);
    (proxy.wrap(far), server, proxy)
}

async fn all(stream: &mut DuplexStream) -> Vec<u8> {
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    got
}

/// Reads to the end, and says whether that was a reset.
async fn until_the_end(stream: &mut Pipe) -> (Vec<u8>, bool) {
    let mut got = Vec::new();
    let read = stream.read_to_end(&mut got).await;
    let reset = read.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset);
    (got, reset)
}

#[tokio::test]
async fn cuts_at_exactly_the_byte_in_either_direction() {
    for action in [Action::Reset, Action::Close] {
        for at in 0..=10 {
            let rule = Rule::new(Direction::ToServer, At::Byte(at), action);
            let (mut client, mut server, proxy) = between(rule);
            client.write_all(b"0123456789").await.unwrap();
            assert_eq!(all(&mut server).await, b"0123456789"[..at as usize]);
            assert_eq!(proxy.faults().struck(), 1);

            let rule = Rule::new(Direction::ToClient, At::Byte(at), action);
            let (mut client, mut server, _proxy) = between(rule);
            server.write_all(b"0123456789").await.unwrap();
            let (got, reset) = until_the_end(&mut client).await;
            assert_eq!(got, b"0123456789"[..at as usize]);
            assert_eq!(reset, action == Action::Reset);
            assert!(client.write_all(b"x").await.is_err());
        }
    }
}

#[tokio::test]
async fn a_rule_strikes_the_connection_it_names_as_often_as_it_says() {
    let faults = Faults::default();
    let rule = Rule::new(Direction::ToServer, At::Byte(1), Action::Close);
    faults.add(rule.connection(1));
    faults.add(Rule::new(Direction::ToServer, At::Byte(2), Action::Close).times(2));
    let proxy = Proxy::pipes(faults);
    let mut got = Vec::new();
    for _ in 0..4 {
        let (mut server, far) = tokio::io::duplex(1 << 16);
        let mut client = proxy.wrap(far);
        client.write_all(b"abc").await.unwrap();
        client.shutdown().await.unwrap();
        got.push(all(&mut server).await.len());
    }
    assert_eq!(got, [2, 1, 2, 3]);
    assert_eq!((proxy.faults().struck(), proxy.faults().connections()), (3, 4));
}

#[tokio::test]
async fn cuts_inside_the_frame_it_names() {
    let head = b"GET / HTTP/1.1\r\n\r\n";
    let frames = b"\x81\x04aaaa\x81\x04bbbb\x81\x04cccc";
    let rule = Rule::new(Direction::ToServer, At::Frame(1), Action::Close);
    let (mut client, mut server, _proxy) = between(rule);
    client.write_all(&[&head[..], frames].concat()).await.unwrap();
    assert_eq!(all(&mut server).await, [&head[..], b"\x81\x04aaaa\x81\x04bb"].concat());
}

#[tokio::test(start_paused = true)]
async fn a_stall_swallows_without_ending_the_connection() {
    let rule = Rule::new(Direction::ToServer, At::Byte(3), Action::Stall);
    let (mut client, mut server, _proxy) = between(rule);
    client.write_all(b"abcdef").await.unwrap();
    let mut got = [0; 3];
    server.read_exact(&mut got).await.unwrap();
    let hour = std::time::Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, server.read_u8()).await.is_err());
    server.write_all(b"x").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn slices_arrive_whole() {
    let rule = Rule::new(Direction::ToServer, At::Byte(0), Action::Slice);
    let (mut client, mut server, _proxy) = between(rule);
    client.write_all(b"one byte at a time").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(all(&mut server).await, b"one byte at a time");
}

#[tokio::test]
async fn turns_over_the_bits_of_one_byte() {
    for (at, wanted) in [(0, b"11234"), (3, b"01224"), (4, b"01235")] {
        let rule = Rule::new(Direction::ToServer, At::Byte(at), Action::Flip(1));
        let (mut client, mut server, proxy) = between(rule);
        // In one write, and in two.
        client.write_all(b"0123").await.unwrap();
        tokio::task::yield_now().await;
        client.write_all(b"4").await.unwrap();
        drop(client);
        assert_eq!(all(&mut server).await, wanted);
        assert_eq!(proxy.faults().struck(), 1);
    }
}
