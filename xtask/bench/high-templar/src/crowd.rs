//! Many clients in one room, and when each has what was sent.

use std::{
    io::{ErrorKind, Read},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::socket::{self, Triggers, frame_length};

/// Clients that come in at a time.
const AT_ONCE: usize = 32;

/// How long everybody may take to have a message.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Crowd {
    clients: Vec<TcpStream>,
    poll: Poll,
    triggers: Triggers,
}

/// When the first, half, and all had the message.
pub(crate) struct Fan {
    pub(crate) first: Duration,
    pub(crate) half: Duration,
    pub(crate) all: Duration,
}

impl Crowd {
    /// Brings `count` clients into the room `crowd`; returns how long that took as well.
    pub(crate) fn gather(address: SocketAddr, count: usize) -> (Self, Duration) {
        let start = Instant::now();
        let clients = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..AT_ONCE)
                .map(|n| {
                    let share = count / AT_ONCE + usize::from(n < count % AT_ONCE);
                    scope.spawn(move || {
                        (0..share).map(|_| socket::enter(address, "crowd")).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|t| t.join().expect("all come in")).collect::<Vec<_>>()
        });
        let took = start.elapsed();
        let poll = Poll::new().expect("a poll");
        let clients = clients.into_iter().enumerate().map(|(n, stream)| {
            stream.set_nonblocking(true).expect("a socket");
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(n), Interest::READABLE).expect("a socket");
            stream
        });
        let clients = clients.collect();
        (Self { clients, poll, triggers: Triggers::connect(address) }, took)
    }

    /// Sends one message to the room.
    pub(crate) fn fan(&mut self, data: &str) -> Fan {
        let (count, expected) = (self.clients.len(), frame_length(data));
        let (mut missing, mut done) = (vec![expected; count], 0);
        let (mut first, mut half) = (Duration::ZERO, Duration::ZERO);
        let mut events = Events::with_capacity(1024);
        let mut buffer = [0; 16 << 10];
        let start = Instant::now();
        self.triggers.send("crowd", 1, data, 1);
        while done < count {
            self.poll.poll(&mut events, Some(PATIENCE)).expect("a poll");
            assert!(start.elapsed() < PATIENCE, "{done} of {count} have it");
            for event in &events {
                let n = event.token().0;
                loop {
                    match self.clients[n].read(&mut buffer) {
                        Ok(0) => panic!("a client was closed"),
                        Ok(read) => missing[n] -= read,
                        Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                        Err(e) => panic!("{e}"),
                    }
                    if missing[n] == 0 {
                        done += 1;
                        if done == 1 {
                            first = start.elapsed();
                        }
                        if done == count / 2 {
                            half = start.elapsed();
                        }
                        // A read that finds nothing more would be one too many.
                        break;
                    }
                }
            }
        }
        let all = start.elapsed();
        self.triggers.finish(1);
        Fan { first, half, all }
    }
}

/// How messages to one connection are sent.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) messages: usize,
    /// Triggers that are sent before the first one's answer is waited for.
    pub(crate) ahead: usize,
    /// How often a trigger names the room, which is as many messages.
    pub(crate) each: usize,
}

/// Messages a second to one connection.
pub(crate) fn to_one(address: SocketAddr, load: Load, data: &str) -> f64 {
    let Load { messages, ahead, each } = load;
    let mut client = socket::enter(address, "one");
    let bytes = messages * frame_length(data);
    let start = Instant::now();
    let (mut triggers, data) = (Triggers::connect(address), data.to_owned());
    let sending = std::thread::spawn(move || {
        let mut sent = 0;
        for _ in 0..messages / each / ahead {
            // The Python server answers only so many requests of one connection.
            if sent + ahead > 500 {
                (triggers, sent) = (Triggers::connect(address), 0);
            }
            triggers.send("one", each, &data, ahead);
            triggers.finish(ahead);
            sent += ahead;
        }
    });
    let (mut read, mut buffer) = (0, vec![0; 64 << 10]);
    while read < bytes {
        match client.read(&mut buffer).expect("it is not cut off") {
            0 => panic!("it was closed after {read} of {bytes} bytes"),
            more => read += more,
        }
    }
    let took = start.elapsed();
    sending.join().expect("all were taken");
    messages as f64 / took.as_secs_f64()
}
