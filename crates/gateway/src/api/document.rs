//! The API's description (`OpenAPI` 3.1): made from the handlers, completed with what all of them share.

use std::sync::LazyLock;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};

use crate::answer::present::Problem;
use crate::state::AppState;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Longshore",
        description = "Background jobs over HTTP. Times are milliseconds since 1970, durations milliseconds. Errors are problem documents (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/api/v1")),
    components(schemas(Problem)),
)]
struct Base;

/// The document itself, for everybody: it holds no secret.
pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/openapi.json", get(openapi))
}

/// Made once: it is the same for every request.
static TEXT: LazyLock<String> = LazyLock::new(|| super::openapi().to_pretty_json().unwrap_or_default());

async fn openapi() -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
    (headers, TEXT.as_str()).into_response()
}

/// Adds to every operation what may happen to each: nobody is signed in, the store is away.
pub(super) fn complete(api: OpenApi) -> OpenApi {
    let mut whole = Base::openapi();
    whole.merge(api);
    // A watch link's token is another one, sent in the same way.
    let schemes = whole.components.get_or_insert_default();
    for name in ["token", "watch"] {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        schemes.add_security_scheme(name, SecurityScheme::Http(bearer));
    }
    for item in whole.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            add_problems(operation);
        }
    }
    whole.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    whole
}

fn add_problems(operation: &mut Operation) {
    let mut add = |status: &str, what: &str| {
        let schema = Ref::from_schema_name("Problem");
        let response = ResponseBuilder::new()
            .description(what)
            .content(
                "application/problem+json",
                ContentBuilder::new().schema(Some(schema)).build(),
            )
            .build();
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert(response.into());
    };
    add("400", "The request cannot be read");
    add("401", "A valid token is needed");
    add("403", "The role does not allow it");
    add("404", "There is no such thing");
    add("405", "Another method is needed");
    add("408", "The request took too long");
    add("409", "In conflict with what is there");
    add("413", "The body is too large");
    add("415", "The body is of the wrong type");
    add("422", "Fields are wrong");
    add("429", "Too many requests");
    add("503", "The store or the broker does not answer");
}
