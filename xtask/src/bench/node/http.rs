//! A client as small as can be, so that what is measured is the server: HTTP/1.1 over one connection that stays open.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes that are read at once.
const READ: usize = 64 << 10;
/// Header lines that an answer may have.
const HEADERS: usize = 32;

/// Status and body of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// What is asked.
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: String,
}

impl Answer {
    /// The body; anything but success is an error that shows the answer.
    fn succeeded(self, method: &str, path: &str, address: &str) -> Result<Vec<u8>> {
        if self.status < 300 {
            return Ok(self.body);
        }
        let text = String::from_utf8_lossy(&self.body);
        Err(Error::other(format!("{method} {path} at {address} answered {}: {text}", self.status)))
    }
}

/// One connection.
pub(super) struct Client {
    address: String,
    stream: TcpStream,
    buffer: Box<[u8]>,
    read: Vec<u8>,
}

impl Client {
    /// Connects to `host:port`.
    pub(super) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { address: address.to_owned(), stream, buffer: buffer(), read: Vec::new() })
    }

    /// Sends a request and reads the whole answer.
    pub(super) fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        // Small requests in one packet.
        let (joined, rest) = body.split_at(if body.len() < 16 << 10 { body.len() } else { 0 });
        let mut bytes = head(&self.address, method, path, body.len()).into_bytes();
        bytes.extend_from_slice(joined);
        self.stream.write_all(&bytes)?;
        self.stream.write_all(rest)?;
        self.read.clear();
        loop {
            receive(&mut self.stream, &mut self.buffer, &mut self.read)?;
            if let Some(answer) = answer(&self.read)? {
                return Ok(answer);
            }
        }
    }

    /// As [`Client::send`]; anything but success is an error that shows the answer.
    pub(super) fn succeed(&mut self, method: &str, path: &str, body: &str) -> Result<Vec<u8>> {
        self.send(method, path, body.as_bytes())?.succeeded(method, path, &self.address)
    }
}

/// Many connections of one thread, each of which has one request on its way at most: the clients' own threads would
/// wait for the processor among the server's, and that would be measured.
pub(super) struct Clients {
    address: String,
    poll: Poll,
    buffer: Box<[u8]>,
    connections: Vec<Connection>,
}

struct Connection {
    stream: mio::net::TcpStream,
    read: Vec<u8>,
    asked: Request,
    started: Instant,
}

impl Clients {
    pub(super) fn connect(address: &str, count: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(count);
        for at in 0..count {
            let stream = Client::connect(address)?.stream;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
            let asked = Request { method: "GET", path: String::new(), body: String::new() };
            connections.push(Connection { stream, read: Vec::new(), asked, started: Instant::now() });
        }
        Ok(Self { address: address.to_owned(), poll, buffer: buffer(), connections })
    }

    /// Sends what `next` gives for each connection, not before the time it gives with it, until it gives nothing for
    /// any. Each answer must be one of success. For the request after it `next` is told how long it took: from when it was
    /// to be sent where the answer before came too late for that, otherwise from when it was sent.
    pub(super) fn run(
        &mut self,
        mut next: impl FnMut(usize, Option<Duration>) -> Option<(Instant, Request)>,
    ) -> Result<()> {
        let (mut busy, mut waiting) = (0, BinaryHeap::new());
        let mut events = Events::with_capacity(self.connections.len().max(1));
        for at in 0..self.connections.len() {
            busy += usize::from(self.ask(at, next(at, None), &mut waiting)?);
        }
        while busy > 0 {
            let due = waiting.peek().map(|Reverse((due, _))| *due);
            let patience = due.map_or(PATIENCE, |due: Instant| due.saturating_duration_since(Instant::now()));
            self.poll.poll(&mut events, Some(patience))?;
            if events.is_empty() && due.is_none() {
                return Err(Error::new(ErrorKind::TimedOut, "the server does not answer"));
            }
            for Token(at) in events.iter().map(mio::event::Event::token) {
                if let Some(took) = self.answered(at)?
                    && !self.ask(at, next(at, Some(took)), &mut waiting)?
                {
                    busy -= 1;
                }
            }
            let now = Instant::now();
            while let Some(first) = waiting.peek_mut().filter(|first| first.0.0 <= now) {
                let Reverse((_, at)) = PeekMut::pop(first);
                self.send(at, now)?;
            }
        }
        Ok(())
    }

    /// Sends a connection's request, or has it wait for its time; whether there is one.
    fn ask(
        &mut self,
        at: usize,
        request: Option<(Instant, Request)>,
        waiting: &mut BinaryHeap<Reverse<(Instant, usize)>>,
    ) -> Result<bool> {
        let (Some(connection), Some((due, request))) = (self.connections.get_mut(at), request) else {
            return Ok(false);
        };
        connection.asked = request;
        if due <= Instant::now() {
            self.send(at, due)?;
        } else {
            waiting.push(Reverse((due, at)));
        }
        Ok(true)
    }

    fn send(&mut self, at: usize, started: Instant) -> Result<()> {
        let Some(connection) = self.connections.get_mut(at) else { return Ok(()) };
        let Request { method, path, body } = &connection.asked;
        let mut bytes = head(&self.address, method, path, body.len());
        bytes.push_str(body);
        connection.started = started;
        // Nothing else is on its way, and there is more room than a small request needs.
        connection.stream.write_all(bytes.as_bytes())
    }

    /// Reads what came on a connection; how long its answer took if that is whole, and then it is one of success.
    fn answered(&mut self, at: usize) -> Result<Option<Duration>> {
        let Some(Connection { stream, read, asked, started }) = self.connections.get_mut(at) else {
            return Ok(None);
        };
        loop {
            let received = match receive(stream, &mut self.buffer, read) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                received => received?,
            };
            if let Some(answer) = answer(read)? {
                let took = started.elapsed();
                read.clear();
                answer.succeeded(asked.method, &asked.path, &self.address)?;
                return Ok(Some(took));
            }
            if received < READ {
                return Ok(None);
            }
        }
    }
}

fn buffer() -> Box<[u8]> {
    vec![0; READ].into_boxed_slice()
}

/// The head of a request.
fn head(address: &str, method: &str, path: &str, length: usize) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n");
    if length > 0 {
        let kind = if path.contains("_bulk") { "application/x-ndjson" } else { "application/json" };
        head.push_str("Content-Type: ");
        head.push_str(kind);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head
}

/// Reads once; what came is added to what was read before. Returns how much that is.
fn receive(stream: &mut impl Read, buffer: &mut [u8], read: &mut Vec<u8>) -> Result<usize> {
    let received = stream.read(buffer)?;
    if received == 0 {
        return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
    }
    read.extend_from_slice(buffer.get(..received).unwrap_or_default());
    Ok(received)
}

/// The answer that was read, once all of it is there.
fn answer(read: &[u8]) -> Result<Option<Answer>> {
    let malformed =
        |why: &dyn std::fmt::Display| Error::new(ErrorKind::InvalidData, format!("that is no HTTP: {why}"));
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(read).map_err(|error| malformed(&error))? else {
        return Ok(None);
    };
    let status = head.code.unwrap_or_default();
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let mut rest = read.get(start..).unwrap_or_default();
    if header("transfer-encoding") != Some("chunked") {
        let length: usize =
            header("content-length").unwrap_or("0").parse().map_err(|error| malformed(&error))?;
        return Ok(rest.get(..length).map(|body| Answer { status, body: body.to_vec() }));
    }
    let mut body = Vec::new();
    loop {
        let parsed = httparse::parse_chunk_size(rest).map_err(|_| malformed(&"a chunk's size"))?;
        let httparse::Status::Complete((start, length)) = parsed else { return Ok(None) };
        let end = start + length as usize;
        // The line break after each chunk.
        let (Some(chunk), Some(after)) = (rest.get(start..end), rest.get(end + 2..)) else { return Ok(None) };
        if length == 0 {
            return Ok(Some(Answer { status, body }));
        }
        body.extend_from_slice(chunk);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn served(answer: &'static str) -> Answer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = [0; 1024];
            let length = stream.read(&mut read).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&read[..length]).into_owned()
        });
        let answer = Client::connect(&address).unwrap().send("PUT", "/x", b"{}").unwrap();
        let request = server.join().unwrap();
        assert!(request.starts_with("PUT /x HTTP/1.1\r\n") && request.ends_with("\r\n\r\n{}"), "{request}");
        answer
    }

    /// Answers so many requests on each of so many connections, each after a while, and tells when they came.
    fn serve(connections: usize, requests: usize, status: &'static str, after: Duration) -> (String, Came) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let streams: Vec<_> = (0..connections).map(|_| listener.accept().unwrap().0).collect();
            let one = |mut stream: TcpStream| {
                let mut came = Vec::new();
                let mut read = [0; 1024];
                while came.len() < requests {
                    let length = stream.read(&mut read).unwrap_or(0);
                    if length == 0 {
                        break;
                    }
                    came.push((Instant::now(), String::from_utf8_lossy(&read[..length]).into_owned()));
                    std::thread::sleep(after);
                    // In two parts, so that the first is not an answer yet.
                    let first = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n");
                    std::thread::sleep(Duration::from_millis(1));
                    if first.and_then(|()| stream.write_all(b"\r\nok")).is_err() {
                        // The clients have gone: another one's answer was no success.
                        break;
                    }
                }
                came
            };
            std::thread::scope(|scope| {
                let threads: Vec<_> = streams.into_iter().map(|stream| scope.spawn(|| one(stream))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            })
        });
        (address, server)
    }

    type Came = std::thread::JoinHandle<Vec<Vec<(Instant, String)>>>;

    fn get(at: usize, n: usize) -> Request {
        Request { method: "GET", path: format!("/{at}/{n}"), body: String::new() }
    }

    #[test]
    fn each_connection_sends_its_next_request_when_the_last_is_answered() {
        let (address, server) = serve(3, 4, "200 OK", Duration::from_millis(5));
        let (mut sent, mut took) = ([0; 3], Vec::new());
        let mut clients = Clients::connect(&address, 3).unwrap();
        clients
            .run(|at, answered| {
                took.extend(answered);
                let n = sent[at];
                sent[at] += 1;
                (n < 4).then(|| (Instant::now(), get(at, n)))
            })
            .unwrap();
        assert_eq!(took.len(), 12);
        assert!(took.iter().all(|took| *took >= Duration::from_millis(6)), "{took:?}");
        let mut asked: Vec<String> =
            server.join().unwrap().into_iter().flatten().map(|(_, request)| request).collect();
        asked.sort_unstable();
        let starts: Vec<_> = asked.iter().map(|request| request.split(' ').nth(1).unwrap()).collect();
        let wanted: Vec<_> = (0..3).flat_map(|at| (0..4).map(move |n| format!("/{at}/{n}"))).collect();
        assert_eq!(starts, wanted);
    }

    #[test]
    fn a_request_waits_for_its_time_and_is_measured_from_then_if_the_answer_before_came_too_late() {
        let ms = Duration::from_millis;
        let (address, server) = serve(1, 3, "200 OK", ms(30));
        let begin = Instant::now();
        // The second is to be sent before the first is answered, the third long after the second.
        let due = [ms(20), ms(25), ms(200)];
        let (mut n, mut took) = (0, Vec::new());
        let next = |_: usize, answered: Option<Duration>| {
            took.extend(answered);
            n += 1;
            due.get(n - 1).map(|due| (begin + *due, get(0, n)))
        };
        Clients::connect(&address, 1).unwrap().run(next).unwrap();
        let came = server.join().unwrap().remove(0);
        for ((came, _), due) in came.iter().zip(due) {
            assert!(*came >= begin + due);
        }
        assert!(took[1] >= ms(30 + 25), "{took:?}");
        assert!(came[2].0 >= begin + due[2] && took[2] >= ms(30), "{took:?}");
    }

    #[test]
    fn an_answer_that_is_no_success_ends_the_run_and_is_shown() {
        let (address, server) = serve(2, 1, "503 Service Unavailable", Duration::ZERO);
        let mut clients = Clients::connect(&address, 2).unwrap();
        let error = clients.run(|at, _| Some((Instant::now(), get(at, 0)))).unwrap_err().to_string();
        assert!(error.contains("answered 503: ok"), "{error}");
        drop(clients);
        server.join().unwrap();
    }

    #[test]
    fn an_answer_is_read_whole_however_its_length_is_told() {
        let plain = served("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!((plain.status, &plain.body[..]), (201, &b"hello"[..]));
        let chunked =
            served("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n");
        assert_eq!((chunked.status, &chunked.body[..]), (200, &b"hello!"[..]));
    }
}
