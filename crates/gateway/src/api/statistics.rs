//! Statistics.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use longshore::StatisticsQuery;
use longshore_core::{FunctionName, QueueName};

use super::etag::tagged_but_the_clock;
use super::list::Fields;
use crate::auth::Session;
use crate::dto::statistics::StatisticsView;
use crate::error::{Error, ErrorCode};
use crate::state::AppState;

/// What happened in a window up to now: throughput, failures, percentiles of wait and run times; and how jobs stand now.
#[utoipa::path(
    get, path = "/statistics", tag = "statistics",
    params(
        ("window_ms" = Option<u64>, Query, description = "How far back: 1 minute to 7 days; an hour unless set"),
        ("step_ms" = Option<u64>, Query, description = "How long each point is: whole minutes up to 2 hours, else whole hours"),
        ("function_name" = Option<String>, Query, description = "This function alone"),
        ("queue" = Option<String>, Query, description = "This queue alone"),
    ),
    responses(
        (status = 200, description = "The statistics", body = StatisticsView),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn statistics(
    State(state): State<AppState>,
    _: Session,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, Error> {
    let said = |error: longshore::InvalidName| Error::new(ErrorCode::BadRequest, error.to_string());
    let mut query = StatisticsQuery::default();
    if let Some(window) = fields.read("window_ms", "number of milliseconds")? {
        query.window = Duration::from_millis(window);
    }
    let step = fields.read("step_ms", "number of milliseconds")?;
    query.step = step.map(Duration::from_millis);
    let function = fields.one("function_name")?.map(FunctionName::new).transpose();
    query.function = function.map_err(said)?;
    let queue = fields.one("queue")?.map(QueueName::new).transpose();
    query.queue = queue.map_err(said)?;
    fields.end()?;
    let statistics = state.client().statistics(&query).await?;
    tagged_but_the_clock(&headers, &StatisticsView::of(&statistics))
}
