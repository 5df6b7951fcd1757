//! Test harness: an in-process node, a real Elasticsearch and real binaries. For tests only: what does not work here ends the test with a
//! panic that says why.

#![allow(clippy::panic, clippy::expect_used, reason = "a harness fails the test that uses it")]

mod binary;
mod elasticsearch;
mod node;
mod process;

pub use binary::{Binary, Ended};
pub use elasticsearch::{Elasticsearch, Major, OPERATOR};
pub use node::TestNode;
pub use process::Process;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// An address of this machine on which nobody listens at this moment. Where possible listen on port 0 instead.
#[must_use]
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port of this machine");
    listener.local_addr().expect("the address that was bound")
}
