//! Several addresses, one connection.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

/// Most addresses that are tried: a name with thousands must not open as many
/// sockets.
const MAX_ADDRESSES: usize = 16;

/// Lets the two families take turns, each in its own order, beginning with the
/// family of the first address.
pub(super) fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (lead, rest): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut lead, mut rest) = (lead.into_iter(), rest.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [lead.next(), rest.next()];
        if pair == [None, None] || mixed.len() >= MAX_ADDRESSES {
            mixed.truncate(MAX_ADDRESSES);
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

/// Tries one address after the other, the next one when the newest has failed
/// or has had `stagger`. Returns the first connection, or the last error.
pub(super) async fn first<S, F>(
    addresses: Vec<SocketAddr>,
    stagger: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<S>
where
    F: Future<Output = io::Result<S>>,
{
    let mut waiting = addresses.into_iter();
    let mut attempts: Vec<Pin<Box<F>>> = Vec::new();
    let mut last = io::Error::other("no address");
    loop {
        match waiting.next() {
            Some(address) => attempts.push(Box::pin(connect(address))),
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        // Nothing is left to begin: the race goes on without a next start.
        let mut next = pin!(async {
            match waiting.len() {
                0 => std::future::pending().await,
                _ => tokio::time::sleep(stagger).await,
            }
        });
        let step = poll_fn(|cx| {
            let mut failed = None;
            for (at, attempt) in attempts.iter_mut().enumerate() {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        failed = Some((at, error));
                        break;
                    }
                    Poll::Pending => {}
                }
            }
            match failed {
                Some(failed) => Poll::Ready(Err(Some(failed))),
                None => next.as_mut().poll(cx).map(|()| Err(None)),
            }
        });
        match step.await {
            Ok(stream) => return Ok(stream),
            Err(Some((at, error))) => {
                drop(attempts.remove(at));
                last = error;
            }
            Err(None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::{Instant, sleep};

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    const MS: Duration = Duration::from_millis(1);

    /// Port 1 answers after 30 ms, 2 fails after 10 ms, 3 never does anything.
    async fn attempt(address: SocketAddr) -> io::Result<SocketAddr> {
        match address.port() {
            1 => {
                sleep(30 * MS).await;
                Ok(address)
            }
            2 => {
                sleep(10 * MS).await;
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            _ => std::future::pending().await,
        }
    }

    async fn run(texts: &[&str]) -> (io::Result<SocketAddr>, u128, usize) {
        let (start, begun) = (Instant::now(), Mutex::new(0));
        let counting = |address| {
            *begun.lock().unwrap() += 1;
            attempt(address)
        };
        let won = first(addresses(texts), 250 * MS, counting).await;
        (won, start.elapsed().as_millis(), *begun.lock().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_answers_is_taken_and_no_other_is_tried() {
        let (won, took, begun) = run(&["10.0.0.1:1", "10.0.0.2:1"]).await;
        assert_eq!((won.unwrap().to_string().as_str(), took, begun), ("10.0.0.1:1", 30, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_address_costs_a_quarter_of_a_second_and_a_refused_one_nothing() {
        let (won, took, begun) = run(&["[::1]:3", "10.0.0.1:1"]).await;
        assert_eq!((won.unwrap().port(), took, begun), (1, 280, 2));
        let (won, took, begun) = run(&["10.0.0.1:2", "10.0.0.1:1"]).await;
        assert_eq!((won.unwrap().port(), took, begun), (1, 40, 2));
        let (won, took, _) = run(&["10.0.0.1:3", "10.0.0.2:3", "10.0.0.3:2", "10.0.0.4:1"]).await;
        assert_eq!((won.unwrap().port(), took), (1, 540));
    }

    #[tokio::test(start_paused = true)]
    async fn when_none_answers_the_last_reason_is_told() {
        let (won, took, begun) = run(&["10.0.0.1:2", "10.0.0.2:2", "10.0.0.3:2"]).await;
        assert_eq!(won.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!((took, begun), (30, 3));
    }

    #[test]
    fn the_families_take_turns_and_a_name_has_a_bounded_number_of_tries() {
        let mixed = alternate(addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]));
        assert_eq!(mixed, addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
        let many: Vec<SocketAddr> =
            (0..100_u8).map(|n| SocketAddr::from(([10, 0, 0, n], 1))).collect();
        assert_eq!(alternate(many).len(), MAX_ADDRESSES);
        assert_eq!(alternate(vec![]), []);
    }
}
