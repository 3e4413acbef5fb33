//! Row X8: nothing that a client shows holds a secret.

use std::fmt::Write;

use satori_rtm::{AuthDelegate, Client, RoleSecret, Subscribe, Value};

use crate::support::{config, on_both_engines, within};

#[tokio::test(start_paused = true)]
async fn x8_no_secret_and_no_hash_is_shown_by_anything() {
    on_both_engines(|server| async move {
        let secret = server.role_secret().to_owned();
        let config = config(&server).role(server.role(), secret.as_str());
        let mut shown = format!("{config:?}");
        let client = Client::new(config.clone()).unwrap();
        let (mut events, mut transitions) = (client.events(), client.transitions());
        client.start().await.unwrap();
        let c = client.subscribe("c", Subscribe::new()).await.unwrap();
        client.publish(server.restricted_channel(), &1).await.unwrap();
        let delegate = RoleSecret::new(server.role(), secret.as_str());
        write!(shown, "{delegate:?} {:?}", delegate.start()).unwrap();
        client.authenticate(delegate).await.unwrap();
        let wrong = client.authenticate(RoleSecret::new(server.role(), "hunter2")).await;
        write!(shown, "{wrong:?} {}", wrong.as_ref().unwrap_err()).unwrap();
        write!(shown, "{client:?} {c:?} {:?} {:?}", client.stats(), client.state()).unwrap();
        within(client.close(std::time::Duration::from_secs(1))).await;
        while let Some(event) = events.next().await {
            write!(shown, "{event:?}").unwrap();
        }
        while let Some(transition) = transitions.next().await {
            write!(shown, "{transition:?} {transition}").unwrap();
        }
        let refused = Client::connect(config.role("nobody", "hunter3")).await.unwrap_err();
        write!(shown, "{refused:?} {refused} {:?}", refused.hint()).unwrap();
        for hidden in [secret.as_str(), "hunter2", "hunter3", "=="] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
        assert!(shown.contains("enter_connected") && shown.contains("authentication_failed"));
        let value = Value::from([("public", Value::from(1))]);
        assert!(format!("{value:?}").contains("public"));
    })
    .await;
}
