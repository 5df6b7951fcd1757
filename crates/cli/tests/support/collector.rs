//! A collector of traces.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

/// Requests by head and body.
type Received = Mutex<Vec<(String, Vec<u8>)>>;

/// A collector that keeps what it is sent.
pub(crate) struct Collector {
    pub(crate) url: String,
    received: Arc<Received>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let into = Arc::clone(&into);
                std::thread::spawn(move || take(&stream, &into));
            }
        });
        Self { url, received }
    }

    /// The spans received so far: name, attributes, and the head of their request.
    pub(crate) fn spans(&self) -> Vec<(String, String, String)> {
        let mut spans = Vec::new();
        for (head, body) in self.received.lock().unwrap().iter() {
            let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            for resource in request.resource_spans {
                let service = format!("{:?}", resource.resource);
                assert!(service.contains("tributary"), "{service}");
                // Tells the spans of several daemons apart, also where no name is configured.
                assert!(service.contains("service.instance.id"), "{service}");
                let all = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(all.map(|span| (span.name.clone(), format!("{span:?}"), head.clone())));
            }
        }
        spans
    }
}

fn take(stream: &TcpStream, into: &Received) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        into.lock().unwrap().push((head, body));
        let mut answer = stream;
        answer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}
