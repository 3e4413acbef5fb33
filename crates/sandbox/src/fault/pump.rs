//! Carries the bytes of one connection, and lets rules strike.

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    net::TcpStream,
};

use super::{Action, At, Direction, Faults, Rule, frames::Frames};

/// A stream that can be ended the hard way: a TCP connection is reset, a pipe
/// just ends.
pub trait Cut: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes dropping the stream a reset, where the stream has such a thing.
    fn arm_reset(&self);
}

impl Cut for TcpStream {
    fn arm_reset(&self) {
        // A stream that cannot be reset is closed: the other end is gone either way.
        let _best_effort = self.set_zero_linger();
    }
}

impl Cut for DuplexStream {
    fn arm_reset(&self) {}
}

/// Carries bytes both ways until both have ended or a rule ends them.
pub(super) async fn pump<C: Cut, S: Cut>(faults: &Faults, number: u64, client: C, server: S) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let up = Lane::new(faults, number, Direction::ToServer);
    let down = Lane::new(faults, number, Direction::ToClient);
    let cut = {
        let up = up.carry(&mut from_client, &mut to_server);
        let down = down.carry(&mut from_server, &mut to_client);
        tokio::pin!(up, down);
        tokio::select! {
            cut = &mut up => if cut.is_none() { down.await } else { cut },
            cut = &mut down => if cut.is_none() { up.await } else { cut },
        }
    };
    if cut == Some(Action::Reset) {
        from_client.unsplit(to_client).arm_reset();
        from_server.unsplit(to_server).arm_reset();
    }
}

/// One direction of one connection.
struct Lane<'f> {
    faults: &'f Faults,
    number: u64,
    direction: Direction,
    passed: u64,
    frames: Frames,
    slicing: bool,
    /// What is turned over in the next byte.
    flip: Option<u8>,
    /// What has struck here: a rule strikes a connection once.
    struck: Vec<Rule>,
}

impl<'f> Lane<'f> {
    fn new(faults: &'f Faults, number: u64, direction: Direction) -> Self {
        let (frames, struck) = (Frames::default(), Vec::new());
        Self { faults, number, direction, passed: 0, frames, slicing: false, flip: None, struck }
    }

    /// Returns the action that ended the connection, or nothing if the stream
    /// came to its own end.
    async fn carry<R, W>(mut self, from: &mut ReadHalf<R>, to: &mut WriteHalf<W>) -> Option<Action>
    where
        R: AsyncRead,
        W: AsyncWrite,
    {
        let mut block = vec![0; 8 << 10];
        loop {
            let read = match from.read(&mut block).await {
                Ok(0) => {
                    // A peer that is gone already needs no end of stream.
                    let _best_effort = to.shutdown().await;
                    return None;
                }
                Ok(read) => read,
                Err(_) => return Some(Action::Reset),
            };
            let mut rest = block.get(..read).unwrap_or_default();
            while let Some((first, others)) = rest.split_first() {
                if let Some(mask) = self.flip.take() {
                    if self.write(to, &[first ^ mask]).await.is_err() {
                        return Some(Action::Reset);
                    }
                    rest = others;
                    continue;
                }
                let (until, rule) = self.next_rule(rest);
                let (now, later) = rest.split_at(until);
                if self.write(to, now).await.is_err() {
                    return Some(Action::Reset);
                }
                rest = later;
                let Some(rule) = rule.filter(|rule| self.faults.strike(rule, self.number)) else {
                    continue;
                };
                self.struck.push(rule);
                match rule.action {
                    Action::Reset | Action::Close => return Some(rule.action),
                    Action::Stall => return swallow(from).await,
                    Action::Slice => self.slicing = true,
                    Action::Flip(mask) => self.flip = Some(mask),
                }
            }
        }
    }

    /// The rule that strikes first within `bytes`, and how many pass before it.
    fn next_rule(&self, bytes: &[u8]) -> (usize, Option<Rule>) {
        let rules = self.faults.pending(self.number, self.direction).into_iter();
        let fresh = rules.filter(|rule| !self.struck.contains(rule));
        let reached = fresh.filter_map(|rule| Some((self.reaches(rule.at, bytes)?, rule)));
        match reached.min_by_key(|(until, _)| *until) {
            Some((until, rule)) => (until, Some(rule)),
            None => (bytes.len(), None),
        }
    }

    fn reaches(&self, at: At, bytes: &[u8]) -> Option<usize> {
        match at {
            At::Byte(byte) => {
                let ahead = usize::try_from(byte.checked_sub(self.passed)?).ok()?;
                (ahead <= bytes.len()).then_some(ahead)
            }
            At::Now => Some(0),
            At::Frame(number) => self.frames.until_middle(number, bytes),
        }
    }

    async fn write<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        bytes: &[u8],
    ) -> std::io::Result<()> {
        let size = if self.slicing { 1 } else { bytes.len().max(1) };
        for piece in bytes.chunks(size) {
            to.write_all(piece).await?;
            to.flush().await?;
            if self.slicing {
                tokio::task::yield_now().await;
            }
        }
        self.passed += bytes.len() as u64;
        self.frames.pass(bytes);
        Ok(())
    }
}

/// A black hole: takes everything, until the sender is gone.
async fn swallow<R: AsyncRead + Unpin>(from: &mut R) -> Option<Action> {
    let mut block = vec![0; 8 << 10];
    while matches!(from.read(&mut block).await, Ok(1..)) {}
    Some(Action::Close)
}
