//! A client as small as can be, so that what is measured is the server: HTTP/1.1 over one connection that stays open.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// One connection.
pub(super) struct Client {
    address: String,
    stream: BufReader<TcpStream>,
}

/// Status and body of an answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Client {
    /// Connects to `host:port`.
    pub(super) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { address: address.to_owned(), stream: BufReader::with_capacity(64 << 10, stream) })
    }

    /// Sends a request and reads the whole answer.
    pub(super) fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        let kind = if path.contains("_bulk") { "application/x-ndjson" } else { "application/json" };
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        );
        if !body.is_empty() {
            head.push_str(&format!("Content-Type: {kind}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        // Small requests in one packet.
        let (joined, rest) = body.split_at(if body.len() < 16 << 10 { body.len() } else { 0 });
        bytes.extend_from_slice(joined);
        let stream = self.stream.get_mut();
        stream.write_all(&bytes)?;
        stream.write_all(rest)?;
        self.answer()
    }

    /// As [`Client::send`]; anything but success is an error that shows the answer.
    pub(super) fn succeed(&mut self, method: &str, path: &str, body: &str) -> Result<Vec<u8>> {
        let answer = self.send(method, path, body.as_bytes())?;
        if answer.status < 300 {
            return Ok(answer.body);
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        Err(Error::other(format!("{method} {path} at {} answered {}: {text}", self.address, answer.status)))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        Ok(line.trim_end().to_owned())
    }

    fn answer(&mut self) -> Result<Answer> {
        let malformed = || Error::new(ErrorKind::InvalidData, "that is no HTTP");
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(malformed)?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| malformed())?;
            }
            chunked |= line.strip_prefix("transfer-encoding:").is_some_and(|value| value.trim() == "chunked");
        }
        let mut body = Vec::new();
        loop {
            if chunked {
                length = usize::from_str_radix(&self.line()?, 16).map_err(|_| malformed())?;
            }
            let start = body.len();
            body.resize(start + length, 0);
            self.stream.read_exact(body.get_mut(start..).unwrap_or_default())?;
            if !chunked {
                break;
            }
            self.line()?;
            if length == 0 {
                break;
            }
        }
        Ok(Answer { status, body })
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

    #[test]
    fn an_answer_is_read_whole_however_its_length_is_told() {
        let plain = served("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!((plain.status, &plain.body[..]), (201, &b"hello"[..]));
        let chunked =
            served("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n");
        assert_eq!((chunked.status, &chunked.body[..]), (200, &b"hello!"[..]));
    }
}
