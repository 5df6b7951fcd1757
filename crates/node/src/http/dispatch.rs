//! The way of a request: authentication, route, media types, body, parameters, handler, answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use futures::FutureExt;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};

use super::body;
use super::call::{BodyRule, Call};
use super::envelope::{ApiError, Result};
use super::forms;
use super::media::{self, Wish, check_body, negotiate};
use super::params::{Params, SOURCE};
use super::reply::{PRODUCT, Reply, Style};
use super::values;
use crate::node::Node;
use crate::security::Need;

/// Serves one request. Never fails: every problem is an answer.
pub(crate) async fn dispatch(node: Arc<Node>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let opaque = parts.headers.get("x-opaque-id").cloned();
    let served = AssertUnwindSafe(Box::pin(answer(&node, parts, body))).catch_unwind().await;
    let mut response = served.unwrap_or_else(|_| {
        tracing::error!("a request handler panicked");
        Style::plain().error(&ApiError::internal("the node failed to serve this request; its log says more"))
    });
    let stranger = response.extensions_mut().remove::<Stranger>().is_some();
    let headers = response.headers_mut();
    if !stranger {
        headers.insert(PRODUCT, HeaderValue::from_static("Elasticsearch"));
    }
    if let Some(id) = opaque {
        headers.insert("x-opaque-id", id);
    }
    response
}

async fn answer(node: &Arc<Node>, parts: Parts, mut body: Body) -> Response<Body> {
    let (style, result) = match prepare(&parts, !body.is_end_stream()) {
        Ok((params, wish, style)) => {
            let result = serve(node, parts, params, wish, &mut body).await;
            (style, result)
        }
        Err(error) => (Style::plain(), Err(error)),
    };
    if result.is_err() && !body.is_end_stream() {
        body::drain(body).await;
    }
    match result {
        Ok(reply) => style.write(reply),
        Err(error) => {
            if error.status() == StatusCode::INTERNAL_SERVER_ERROR {
                tracing::warn!(reason = %error.reason(), "a request failed");
            }
            let mut response = style.error(&error);
            let kept_out = matches!(error.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            if kept_out && error.es_type() == "security_exception" {
                response.extensions_mut().insert(Stranger);
            }
            response
        }
    }
}

/// Marks answers to those who were not let in: Elasticsearch does not name itself to them.
#[derive(Clone)]
struct Stranger;

fn prepare(parts: &Parts, has_body: bool) -> Result<(Params, Wish, Style)> {
    let params = Params::parse(parts.uri.query())?;
    let wish = negotiate(&parts.headers, has_body)?.with_format(params.get("format"));
    let style = Style::new(&params, wish.clone())?;
    Ok((params, wish, style))
}

async fn serve(node: &Arc<Node>, parts: Parts, params: Params, wish: Wish, body: &mut Body) -> Result<Reply> {
    let path = parts.uri.path().to_owned();
    let target = parts.uri.path_and_query().map_or(path.as_str(), |target| target.as_str());
    let caller = node.access.authenticate(&node.store, &parts.headers, target, node.now_ms()).await?;
    if parts.method == Method::OPTIONS {
        return Ok(Reply::text(String::new()).allowing(&node.routes.allowed(&path)));
    }
    let found = node.routes.find(&parts.method, &path, target)?;
    let announced = !body.is_end_stream();
    if announced {
        check_body(&parts.headers, &wish, found.endpoint.in_lines())?;
    }
    let held = body::read(&parts.headers, body, &node.bodies).await?;
    let (bytes, _permit) = held.split();
    let bytes = forms::to_json(wish.body_form(), bytes)?;
    let (bytes, read): (_, &[&str]) =
        if bytes.is_empty() && found.endpoint.takes_source() && params.has("source") {
            (source_param(&params)?, &SOURCE)
        } else {
            (bytes, &[])
        };
    let method = &parts.method;
    match found.endpoint.body {
        BodyRule::None if !bytes.is_empty() => {
            return Err(ApiError::illegal(format!(
                "request [{method} {path}] does not support having a body"
            )));
        }
        BodyRule::Required if bytes.is_empty() => return Err(ApiError::parse("request body is required")),
        _ => {}
    }
    values::check(&params, found.endpoint.params)?;
    params.check_known(&path, found.endpoint.params, read)?;
    let rights = caller.rights(Need::of(&parts.method, found.endpoint.pattern));
    let call = Call { params, vars: found.vars, body: bytes, wish, identity: caller.identity };
    match rights {
        Ok(rights) => (found.endpoint.handler)(node.seen_with(rights), call).await,
        // Also who may not do it is told first what is wrong with the request.
        Err(denied) => (found.endpoint.judge)(&call).and(Err(denied)),
    }
}

/// Clients that cannot send a body with GET put it into the parameter `source`.
fn source_param(params: &Params) -> Result<bytes::Bytes> {
    let (Some(source), Some(media)) = (params.get("source"), params.get("source_content_type")) else {
        return Err(media::validation("source and source_content_type parameters are required"));
    };
    // Without content it is what blank text is.
    let source = if source.is_empty() { " " } else { source };
    forms::to_json(media::form_of(media)?, bytes::Bytes::copy_from_slice(source.as_bytes()))
}
