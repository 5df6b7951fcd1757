//! Figures and health of a running daemon.

use std::io::{Read, Write};
use std::net::TcpStream;

use tributary_harness::Process;

use super::LONG;

/// Status and body of an answer.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The address of `/metrics`, from the log.
pub(crate) fn monitoring(process: &mut Process) -> String {
    let line = process.wait_for("metrics and health at http://", LONG);
    line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned()
}
