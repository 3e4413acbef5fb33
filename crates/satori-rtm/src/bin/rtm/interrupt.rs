//! C-c: the first one ends what has no end, the second one everything.

use std::{future::Future, process};

use tokio::{signal::ctrl_c, sync::watch};

/// Tells who waits that there was a C-c.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on, inside the runtime.
    pub(crate) fn listen() -> Self {
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            if ctrl_c().await.is_ok() {
                tell.send_replace(true);
                // Who does not want to wait for answers that are due.
                if ctrl_c().await.is_ok() {
                    process::exit(1);
                }
            }
        });
        Self(told)
    }

    /// Ends with the first C-c, also one that was before.
    pub(crate) async fn wait(&self) {
        if self.0.clone().wait_for(|told| *told).await.is_err() {
            // Nobody listens: there will be none.
            std::future::pending::<()>().await;
        }
    }

    /// Does something, or nothing more if it is interrupted.
    pub(crate) async fn unless<T>(&self, task: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = task => Some(done),
            () = self.wait() => None,
        }
    }
}
