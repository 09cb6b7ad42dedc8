//! A form of one of our pages.

use axum::Form;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use super::Session;
use crate::error::{Error, ErrorCode};
use crate::extract::slip;
use crate::router::too_large;
use crate::state::AppState;

/// A form that one of our own pages has posted, and who posted it. Without the session's token in the field `csrf` the
/// handler is not called.
#[derive(Debug)]
pub(crate) struct Posted<T> {
    pub(crate) session: Session,
    pub(crate) form: T,
}

impl<T: DeserializeOwned> FromRequest<AppState> for Posted<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let session = Session::identify(&parts, state).await?;
        let request = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| too_large(state.settings().body_bytes_max))?;
        let token = url::form_urlencoded::parse(&bytes).find(|(name, _)| name == "csrf");
        if token.is_none_or(|(_, token)| !session.has_csrf(&token)) {
            return Err(Error::new(
                ErrorCode::CrossSite,
                "the form is from another session; load the page again",
            ));
        }
        let request = Request::from_parts(parts, Body::from(bytes));
        let Form(form) = Form::from_request(request, state)
            .await
            .map_err(|error| Error::invalid(vec![slip::tell(".", &error.body_text())]))?;
        Ok(Self { session, form })
    }
}
