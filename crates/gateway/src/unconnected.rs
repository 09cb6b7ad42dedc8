//! A gateway without a socket, for tests that damage requests. No part of the API: it changes as tests need it.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::Gateway;
use crate::router::router;

/// Answers requests as [`Gateway::serve`] does, one at a time and without a connection.
#[derive(Clone, Debug)]
pub struct Unconnected(Router);

impl From<Gateway> for Unconnected {
    fn from(gateway: Gateway) -> Self {
        Self(router(&gateway.state, &CancellationToken::new()))
    }
}

impl Unconnected {
    /// The answer to a request. A body that ends with an error, or is over `bytes_max`, is `None`; one of a stream of
    /// events ends with the stream.
    pub async fn ask(&self, request: Request<Bytes>, bytes_max: usize) -> Response<Option<Bytes>> {
        let Ok(answer) = self.0.clone().oneshot(request.map(Body::from)).await;
        let (head, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, bytes_max).await.ok();
        Response::from_parts(head, body)
    }
}
