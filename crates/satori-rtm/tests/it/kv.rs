//! Values by plain HTTP: the laws of the original's property tests
//! (docs/protocols/satori-rtm.md, 16).

use realtime_sandbox::{Engine, RtmConfig, RtmServer};
use satori_rtm::{ErrorKind, Kv, KvConfig, Value};

/// Runs `test` on a thread of its own, with a client of a server that listens.
async fn with_kv(test: impl FnOnce(&Kv, &RtmServer) + Send + 'static) {
    let server = RtmServer::new(RtmConfig::default(), Engine::WsCore);
    server.listen(0).await.unwrap();
    let kv = Kv::new(KvConfig::new(server.url(), server.appkey())).unwrap();
    tokio::task::spawn_blocking(move || test(&kv, &server)).await.unwrap();
}

#[tokio::test]
async fn what_was_written_last_is_read_and_what_was_deleted_is_null() {
    with_kv(|kv, _| {
        for key in ["a", "abc 123", "/?;.&%", "% %", "c/1?2;3.&", " ", "ключ"] {
            let null = kv.read::<Value>(key).unwrap();
            assert_eq!(null, Value::Null, "{key}");
            let first = kv.write(key, &1).unwrap();
            let second = kv.write(key, "two").unwrap().unwrap();
            assert_ne!(first, Some(second.clone()));
            let read = kv.read_with_position(key).unwrap();
            assert_eq!(
                (read.position(), read.message().to_string()),
                (Some(second), "\"two\"".into())
            );
            assert_eq!(kv.read::<String>(key).unwrap(), kv.read::<String>(key).unwrap());
            kv.delete(key).unwrap();
            assert_eq!(kv.read::<Value>(key).unwrap(), Value::Null);
        }
    })
    .await;
}

#[tokio::test]
async fn refusals_and_wrong_types_are_typed() {
    with_kv(|kv, server| {
        let error = kv.read::<Value>(server.restricted_channel()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, "authorization_denied"));
        kv.write("text", "x").unwrap();
        assert_eq!(kv.read::<u64>("text").unwrap_err().code(), "decode");
        assert_eq!(kv.write("k", &Value::Bytes(vec![1])).unwrap_err().code(), "byte_string");
        let stranger = Kv::new(KvConfig::new(server.url(), "wrong")).unwrap();
        let error = stranger.read::<Value>("k").unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, "403"));
    })
    .await;
}

#[test]
fn an_endpoint_that_cannot_be_used_is_named() {
    for endpoint in ["", "http://rtm", "rtm"] {
        assert_eq!(Kv::new(KvConfig::new(endpoint, "K")).unwrap_err().code(), "endpoint");
    }
    assert_eq!(Kv::new(KvConfig::new("ws://rtm", "a b")).unwrap_err().code(), "appkey");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Kv::new(KvConfig::new(url, "K")).unwrap().read::<Value>("k").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn the_same_goes_over_tls() {
    let authority = realtime_sandbox::Authority::new().unwrap();
    let server = RtmServer::new(RtmConfig::default(), Engine::WsCore);
    let url = server.listen_tls(0, &authority).await.unwrap();
    let trusting = KvConfig::new(url.as_str(), server.appkey()).tls_root(authority.der());
    let kv = Kv::new(trusting).unwrap();
    let stranger = Kv::new(KvConfig::new(url, server.appkey())).unwrap();
    let refused = tokio::task::spawn_blocking(move || stranger.read::<u64>("k").unwrap_err());
    assert_eq!(refused.await.unwrap().code(), "tls");
    let read = move || {
        kv.write("k", &7)?;
        kv.read::<u64>("k")
    };
    assert_eq!(tokio::task::spawn_blocking(read).await.unwrap().unwrap(), 7);
}
