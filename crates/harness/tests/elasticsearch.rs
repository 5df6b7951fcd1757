//! The real Elasticsearch that tests start.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use tributary_client::{Client, ClientOptions, RetryPolicy};
use tributary_harness::{Elasticsearch, Major};

fn client(server: &Elasticsearch) -> Client {
    let options = ClientOptions::new([server.url()]).retry(RetryPolicy::NEVER);
    Client::new(options).unwrap_or_else(|error| panic!("no client of {}: {error}", server.url()))
}

#[tokio::test]
async fn what_elasticsearch_acknowledged_survives_a_kill_and_its_folder_goes_with_it() {
    let server = Elasticsearch::start(Major::Nine, &[("indexing_pressure.memory.limit", "1mb")]);
    let data = server.data_dir().to_owned();
    assert!(client(&server).raw("PUT", "/kept", None).await.is_ok());

    server.kill();
    assert!(client(&server).raw("GET", "/kept", None).await.is_err());

    server.start_again();
    assert!(client(&server).raw("GET", "/kept", None).await.is_ok());
    let address = server.url().to_owned();
    drop(server);
    assert!(!data.exists());
    assert!(std::net::TcpStream::connect(address.trim_start_matches("http://")).is_err());
}
