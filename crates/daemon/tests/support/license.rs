use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use reqwest_of_elasticsearch as reqwest;
use serde_json::json;
use tokio::net::TcpListener;
use tributary_client::{Client, ClientOptions, RetryPolicy};
use tributary_tasks::TaskScope;

/// A cluster whose licence is another; everything else is passed on to the one behind.
pub struct Front {
    url: String,
    _serving: TaskScope,
}

#[derive(Clone)]
struct Behind {
    url: String,
    license: &'static str,
    client: reqwest::Client,
}

impl Front {
    pub async fn start(url: String, license: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        let behind = Behind { url, license, client: reqwest::Client::new() };
        let routes = Router::new().fallback(pass).with_state(behind);
        let mut serving = TaskScope::new();
        serving.spawn("front", async move { axum::serve(listener, routes).await.unwrap() });
        Self { url: own, _serving: serving }
    }

    pub fn client(&self) -> Client {
        Client::new(ClientOptions::new([self.url.as_str()]).retry(RetryPolicy::NEVER)).unwrap()
    }
}

async fn pass(State(behind): State<Behind>, request: Request) -> Response {
    if request.uri().path() == "/_license" {
        let license = json!({"license": {"status": "active", "type": behind.license, "uid": "u"}});
        return ([("content-type", "application/json")], license.to_string()).into_response();
    }
    let (parts, body) = request.into_parts();
    let target = format!("{}{}", behind.url, parts.uri);
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let answer =
        behind.client.request(parts.method, target).headers(parts.headers).body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    response.headers_mut().unwrap().clone_from(answer.headers());
    response.headers_mut().unwrap().remove("transfer-encoding");
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}
