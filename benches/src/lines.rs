use std::io::{BufRead, BufReader};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc};
use tributary_tasks::TaskScope;

use crate::load::{LoadOptions, Loaded, Loader};
use crate::{BenchError, Documents, Usage};

/// Requests that wait to be sent.
const WAITING: usize = 4;

/// A request's body and how many documents it has.
type Request = (Bytes, usize);

/// Loads the lines of standard input, as `COPY … TO STDOUT` writes them: the first field is the id, each field a field of the
/// document. Nothing is unescaped: the lines must not need it.
///
/// # Errors
/// When the cluster cannot be reached, or refuses anything but for now.
pub async fn load_lines(options: LoadOptions) -> Result<Loaded, BenchError> {
    let (connections, most) = (options.connections.max(1), options.bulk_bytes);
    let loader = Arc::new(Loader::new(Documents::new(0, 0), options)?);
    let usage = Usage::now();
    let (sender, receiver) = mpsc::channel(WAITING);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut tasks = TaskScope::new();
    for _ in 0..connections {
        let (loader, receiver) = (Arc::clone(&loader), Arc::clone(&receiver));
        tasks.spawn("loader", async move { post(&loader, &receiver).await });
    }
    drop(receiver);
    let reading = tokio::task::spawn_blocking(move || read(std::io::stdin().lock(), most, &sender)).await;
    reading.map_err(|failure| BenchError::of("reading", failure))??;
    while let Some(ended) = tasks.next().await {
        ended.map_err(|failure| BenchError::of("the loader", failure))??;
    }
    Ok(loader.loaded(&usage))
}

async fn post(loader: &Loader, requests: &Mutex<mpsc::Receiver<Request>>) -> Result<(), BenchError> {
    let (mut sender, _driver) = loader.connect().await?;
    loop {
        let next = requests.lock().await.recv().await;
        let Some((body, items)) = next else { return Ok(()) };
        loader.post(&mut sender, body, items).await?;
    }
}

fn read(input: impl std::io::Read, most: usize, sender: &mpsc::Sender<Request>) -> Result<(), BenchError> {
    let mut input = BufReader::with_capacity(1 << 20, input);
    let (mut body, mut items, mut line) = (Vec::with_capacity(most + (64 << 10)), 0, Vec::new());
    loop {
        line.clear();
        let is_end = input.read_until(b'\n', &mut line)? == 0;
        if !is_end {
            write(line.trim_ascii_end(), &mut body);
            items += 1;
        }
        if is_end || body.len() >= most {
            let full = std::mem::replace(&mut body, Vec::with_capacity(most + (64 << 10)));
            let request = (Bytes::from(full), std::mem::take(&mut items));
            sender.blocking_send(request).map_err(|_| BenchError("the loaders have stopped".to_owned()))?;
        }
        if is_end {
            return Ok(());
        }
    }
}

/// The two lines of a bulk request for one line of input.
fn write(line: &[u8], body: &mut Vec<u8>) {
    let mut fields = line.split(|byte| *byte == b'\t').enumerate().peekable();
    let id = fields.peek().map_or(&b""[..], |(_, id)| id);
    body.extend_from_slice(b"{\"index\":{\"_id\":\"");
    body.extend_from_slice(id);
    body.extend_from_slice(b"\"}}\n{");
    for (n, field) in fields {
        if n > 0 {
            body.push(b',');
        }
        body.extend_from_slice(format!("\"field_{n}\":\"").as_bytes());
        body.extend_from_slice(field);
        body.push(b'"');
    }
    body.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_line_becomes_a_document_and_requests_are_bounded() {
        let (sender, mut receiver) = mpsc::channel(100);
        let text = (0..10).map(|n| format!("{n}\tabc\n")).collect::<String>();
        let reading = tokio::task::spawn_blocking(move || read(text.as_bytes(), 100, &sender));
        let (mut items, mut first) = (0, None);
        while let Some((body, count)) = receiver.recv().await {
            items += count;
            assert!(body.len() < 200);
            first.get_or_insert(body);
        }
        reading.await.unwrap().unwrap();
        assert_eq!(items, 10);
        let first = String::from_utf8(first.unwrap().to_vec()).unwrap();
        assert!(
            first.starts_with("{\"index\":{\"_id\":\"0\"}}\n{\"field_0\":\"0\",\"field_1\":\"abc\"}\n"),
            "{first}"
        );
    }
}
