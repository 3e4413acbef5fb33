//! Every example of the original's document, as a program would say it.

use high_templar_client::{Delivery, Error, Reason, Room, Subscribe};
use realtime_sandbox::HighTemplarServer;

use crate::support::{
    config, connect, nothing_comes, on_both_engines, publisher, room, take, within,
};
use high_templar_client::{Client, Trigger};

fn chat(customer: &str) -> Room {
    Room::new().with("target", "chat-create").with("customer", customer)
}

/// The four rooms of the document's long example.
fn allow_the_four(server: &HighTemplarServer) {
    let rooms = r#"{"allowed_rooms": [
        {"room": "user-login", "department": "finance"},
        {"room": "user-logout", "department": "finance"},
        {"target": "chat-create", "customer": "*"},
        {"target": "chat-update", "customer": "*"}]}"#;
    server.backend().say(200, rooms);
}

#[tokio::test(start_paused = true)]
async fn starting_a_connection_tells_the_allowed_rooms() {
    on_both_engines(|server| async move {
        let body = r#"{"allowed_rooms": [{"target": "message", "customer": "1"}]}"#;
        server.backend().say(200, body);
        let client = connect(&server).await;
        assert_eq!(client.allowed_rooms().rooms(), [room("1")]);
        assert!(client.allowed_rooms().is_allowed(&room("1")));
        assert!(!client.allowed_rooms().is_allowed(&room("2")));
        client.subscribe(room("1"), Subscribe::new()).await.unwrap();
        let error = client.subscribe(room("2"), Subscribe::new()).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::RoomNotFound));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_authenticated_is_told_so() {
    on_both_engines(|server| async move {
        for (status, body) in [
            (200, r#"{"is_authenticated": false}"#),
            (200, r#"{"is_authorized": false, "allowed_rooms": []}"#),
            (403, r#"{"detail": "no"}"#),
        ] {
            server.backend().say(status, body);
            let error = Client::connect(config(&server)).await.unwrap_err();
            assert_eq!(error.reason(), Some(&Reason::NotAuthorized), "{status} {body}");
            assert!(error.to_string().contains("not authorized") && error.hint().is_some());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_star_lets_into_itself_and_into_whatever_it_covers() {
    on_both_engines(|server| async move {
        allow_the_four(&server);
        let client = connect(&server).await;
        assert_eq!(client.allowed_rooms().rooms().len(), 4);
        for room in [
            Room::new().with("room", "user-login").with("department", "finance"),
            Room::new().with("room", "user-logout").with("department", "finance"),
            chat("*"),
            chat("1"),
            chat("2"),
            Room::new().with("target", "chat-update").with("customer", "*"),
        ] {
            client.subscribe(room, Subscribe::new()).await.unwrap();
        }
        let elsewhere = Room::new().with("room", "user-login").with("department", "sales");
        let error = client.subscribe(elsewhere, Subscribe::new()).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::RoomNotFound));
    })
    .await;
}

/// The list of three rooms and the star alone are exactly the same.
#[tokio::test(start_paused = true)]
async fn sending_to_the_star_is_sending_to_each_room_that_it_covers() {
    on_both_engines(|server| async move {
        allow_the_four(&server);
        let client = connect(&server).await;
        let mut rooms = Vec::new();
        for customer in ["*", "1", "2"] {
            rooms.push(client.subscribe(chat(customer), Subscribe::new()).await.unwrap());
        }
        let publisher = publisher(&server);
        for named in [&["*", "1", "2"][..], &["*"]] {
            let trigger = Trigger::new(named.iter().map(|c| chat(c)), "Example text body").unwrap();
            publisher.trigger(&trigger).await.unwrap();
        }
        for room in &mut rooms {
            assert_eq!(take(room, 2).await, [r#""Example text body""#; 2]);
            nothing_comes(room).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn request_ids_are_unique_and_end_what_they_began() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut one = client.subscribe(room("1"), Subscribe::new()).await.unwrap();
        let two = client.subscribe(room("1"), Subscribe::new()).await.unwrap();
        assert_ne!(one.request_id(), two.request_id());
        let id = two.request_id().to_owned();
        two.unsubscribe().await.unwrap();
        crate::support::trigger(&server, "1", "x").await;
        assert_eq!(take(&mut one, 1).await, [r#""x""#]);
        nothing_comes(&mut one).await;
        assert_eq!((id.len(), client.status().await.unwrap().num_rooms), (36, 1));
    })
    .await;
}

/// Rights are read when a connection is made; a room that is lost by then ends alone.
#[tokio::test(start_paused = true)]
async fn permissions_are_those_of_the_connection() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut one = client.subscribe(room("1"), Subscribe::new()).await.unwrap();
        let mut two = client.subscribe(room("2"), Subscribe::new()).await.unwrap();
        let body = r#"{"allowed_rooms": [{"target": "message", "customer": "2"}]}"#;
        server.backend().say(200, body);
        crate::support::trigger(&server, "1", "still").await;
        assert_eq!(take(&mut one, 1).await, [r#""still""#]);
        server.close_connections();
        match within(one.next()).await {
            Some(Delivery::Ended(Error::Refused(refusal))) => {
                assert_eq!(refusal.reason, Reason::RoomNotFound);
            }
            other => panic!("{other:?}"),
        }
        assert!(within(one.next()).await.is_none());
        assert!(matches!(within(two.next()).await, Some(Delivery::Gap(_))));
        crate::support::trigger(&server, "2", "on").await;
        assert_eq!(take(&mut two, 1).await, [r#""on""#]);
        assert_eq!(client.allowed_rooms().rooms(), [room("2")]);
    })
    .await;
}
