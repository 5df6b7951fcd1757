//! A server that tells whoever logs in what they sent, as an error or as it came.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// PostgreSQL's version 3.0, as a client begins with it.
const POSTGRESQL: [u8; 4] = [0, 3, 0, 0];
/// Its question whether the connection can be encrypted.
const POSTGRESQL_TLS: [u8; 4] = [0x04, 0xd2, 0x16, 0x2f];
/// A client that is silent so long waits for the server's greeting.
const SILENCE: Duration = Duration::from_millis(200);

/// Serves until the test ends; its port.
pub(crate) fn hostile_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever hangs up has heard enough.
            std::thread::spawn(move || drop(talk(stream)));
        }
    });
    port
}

fn talk(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let mut first = [0; 4096];
    let Ok(count) = stream.read(&mut first) else {
        stream.set_read_timeout(None)?;
        return mysql(&mut stream);
    };
    stream.set_read_timeout(None)?;
    let mut said = &first[..count];
    if said.get(4..8) == Some(&POSTGRESQL_TLS) {
        stream.write_all(b"N")?;
        let count = stream.read(&mut first)?;
        said = &first[..count];
    }
    if said.get(4..8) == Some(&POSTGRESQL) {
        return postgresql(&mut stream);
    }
    let mut said = said.to_vec();
    while !said.is_empty() {
        // An error of Redis where it was asked something in its language, else what came.
        let answer = if said[0] == b'*' {
            let text = String::from_utf8_lossy(&said).replace("\r\n", " ");
            format!("-ERR refused: {text}\r\n").into_bytes()
        } else {
            said
        };
        stream.write_all(&answer)?;
        let count = stream.read(&mut first)?;
        said = first[..count].to_vec();
    }
    Ok(())
}

/// Asks for the password in clear text, and names it in the error.
fn postgresql(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3])?;
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let mut password = vec![0; length as usize - 4];
    stream.read_exact(&mut password)?;
    password.pop();
    let text = String::from_utf8_lossy(&password);
    let fields = format!("SFATAL\0VFATAL\0C28P01\0Mthe password {text} is wrong\0\0");
    let mut answer = vec![b'E'];
    answer.extend_from_slice(&(fields.len() as u32 + 4).to_be_bytes());
    answer.extend_from_slice(fields.as_bytes());
    stream.write_all(&answer)
}

/// Greets as MySQL does, asks for the password in clear text (which a careful client does not send), and names what it gets in the error.
fn mysql(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut greeting = b"\x0a8.0.0\0\x01\0\0\0saltsalt\0\x08\x82\x21\x02\0\x08\0\x15".to_vec();
    greeting.extend_from_slice(&[0; 10]);
    greeting.extend_from_slice(b"saltsaltsalt\0mysql_clear_password\0");
    packet(stream, 0, &greeting)?;
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let mut login = vec![0; usize::from(head[0]) + (usize::from(head[1]) << 8)];
    stream.read_exact(&mut login)?;
    let printable: String =
        String::from_utf8_lossy(&login).chars().filter(|char| !char.is_control()).collect();
    // Error 1045.
    let mut error = b"\xff\x15\x04#28000".to_vec();
    error.extend_from_slice(format!("refused: {printable}").as_bytes());
    packet(stream, head[3] + 1, &error)
}

fn packet(stream: &mut TcpStream, number: u8, content: &[u8]) -> std::io::Result<()> {
    let mut bytes = (content.len() as u32).to_le_bytes();
    bytes[3] = number;
    stream.write_all(&bytes)?;
    stream.write_all(content)
}
