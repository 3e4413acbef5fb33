//! An HTTP server that answers what a test tells it to.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What a request was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: String,
    /// Which connection it came over, counted from 0.
    pub(crate) connection: usize,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| {
            line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
        });
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }
}

/// What is done with a request.
pub(crate) enum Act {
    /// These bytes are the answer.
    Answer(Vec<u8>),
    /// These bytes, and the end of the stream.
    End(Vec<u8>),
    /// Nothing, until the client goes.
    Silence,
}

pub(crate) struct Server {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// An answer with status 200.
pub(crate) fn ok(body: &str) -> Act {
    Act::Answer(answer(200, body))
}

pub(crate) fn answer(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl Server {
    /// Answers each request as `act` says. The threads end with the test.
    pub(crate) fn new(act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (book, act) = (Arc::clone(&asked), Arc::new(act));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (book, act) = (Arc::clone(&book), Arc::clone(&act));
                thread::spawn(move || serve(stream.unwrap(), connection, &book, &*act));
            }
        });
        Self { address, asked }
    }

    /// What was asked, oldest first.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    book: &Mutex<Vec<Asked>>,
    act: &dyn Fn(&Asked) -> Act,
) {
    while let Some(mut asked) = read(&mut stream) {
        asked.connection = connection;
        book.lock().unwrap().push(asked.clone());
        match act(&asked) {
            Act::Answer(bytes) => {
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            Act::End(bytes) => {
                let _sent = stream.write_all(&bytes);
                return;
            }
            Act::Silence => {
                let _gone = stream.read(&mut [0]);
                return;
            }
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1)?.to_owned();
    let mut asked = Asked { path, head, ..Asked::default() };
    let len = asked.header("content-length").unwrap().parse().unwrap();
    let mut body = vec![0; len];
    stream.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).unwrap();
    Some(asked)
}
