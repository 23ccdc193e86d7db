//! All routes of the API, each behind the role that it needs, and the document that says so.
//!
//! To add one: write a handler with `#[utoipa::path]` in a file of this folder, and name it below the role that
//! it needs. Its token, role and limits come from here, and what the document says of them from `document`.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use tokio::sync::Semaphore;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Json;
use super::role::Role;
use super::streams::STREAMS;
use super::{
    Shared, audit, auth, bulk, document, domains, drain, sessions, streams, summary, unhide, users, waves,
};
use crate::api::{BODY_LONGEST, DEADLINE, DEADLINE_OF_MANY, IMPORT_LONGEST};

/// Longest body that is streamed, in octets: an import of a million users.
#[allow(clippy::cast_possible_truncation, reason = "256 MiB fit into every usize that this runs on")]
const MAX_STREAM: usize = IMPORT_LONGEST as usize;

/// The API.
pub(super) fn api() -> OpenApiRouter<Shared> {
    let viewer = OpenApiRouter::new()
        .routes(routes!(openapi))
        .routes(routes!(sessions::list))
        .routes(routes!(users::list))
        .routes(routes!(users::show))
        .routes(routes!(users::history))
        .routes(routes!(domains::list))
        .routes(routes!(domains::show))
        .routes(routes!(audit::list))
        .routes(routes!(summary::summary))
        .routes(routes!(summary::daily))
        .routes(routes!(waves::list))
        .routes(routes!(waves::show));
    let counting = OpenApiRouter::new().routes(routes!(waves::preview));
    let operator = OpenApiRouter::new()
        .routes(routes!(sessions::kick))
        .routes(routes!(users::set))
        .routes(routes!(users::undo))
        .routes(routes!(unhide::unhide));
    let admin = OpenApiRouter::new()
        .routes(routes!(drain::drain))
        .routes(routes!(domains::set))
        .routes(routes!(domains::undo))
        .routes(routes!(waves::create))
        .routes(routes!(waves::pause))
        .routes(routes!(waves::resume));
    let moving = OpenApiRouter::new()
        .routes(routes!(bulk::undo))
        .routes(routes!(waves::start))
        .routes(routes!(waves::rollback))
        .routes(routes!(waves::delete));
    let reading = OpenApiRouter::new().routes(routes!(bulk::export));
    let writing = OpenApiRouter::new().routes(routes!(bulk::import)).routes(routes!(bulk::members));
    let mut all = OpenApiRouter::with_openapi(document::head())
        .merge(behind(Role::Viewer, viewer, DEADLINE))
        .merge(behind(Role::Viewer, counting, DEADLINE_OF_MANY))
        .merge(behind(Role::Operator, operator, DEADLINE))
        .merge(behind(Role::Admin, admin, DEADLINE))
        .merge(behind(Role::Admin, moving, DEADLINE_OF_MANY))
        .merge(streamed(Role::Viewer, reading))
        .merge(streamed(Role::Admin, writing));
    document::close_variants(all.get_openapi_mut());
    all
}

/// All routes as `GET /api/v1/users`.
pub(super) fn names() -> Vec<String> {
    let paths = api().into_openapi().paths.paths;
    paths
        .iter()
        .flat_map(|(path, item)| document::methods(item).map(move |method| format!("{method} {path}")))
        .collect()
}

/// The API's own description (`OpenAPI` 3.1).
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "about", operation_id = "openapi",
    responses((status = 200, description = "This document.", body = serde_json::Value))
)]
async fn openapi() -> Json<OpenApi> {
    Json(api().into_openapi())
}

/// Puts routes behind a role, with the limits of requests in JSON.
pub(super) fn behind(role: Role, router: OpenApiRouter<Shared>, deadline: Duration) -> OpenApiRouter<Shared> {
    let router = router
        .route_layer(RequestBodyLimitLayer::new(BODY_LONGEST))
        .route_layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, deadline));
    for_role(role, router)
}

/// The same for streams, which take their time, and so are few at once.
fn streamed(role: Role, router: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
    let places = Arc::new(Semaphore::new(STREAMS));
    let router = router.route_layer(RequestBodyLimitLayer::new(MAX_STREAM));
    for_role(role, router.route_layer(from_fn_with_state(places, streams::few)))
}

fn for_role(role: Role, router: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
    let mut router = router.route_layer(from_fn_with_state(role, auth::require));
    for item in router.get_openapi_mut().paths.paths.values_mut() {
        document::describe(role, item);
    }
    router
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a merge of routers could lose.
    #[test]
    fn every_operation_has_a_role_and_its_errors() {
        let document = serde_json::to_value(api().into_openapi()).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.contains_key("/api/v1/openapi.json"));
        for (path, item) in paths {
            for (method, operation) in item.as_object().expect("operations") {
                let role = operation["security"][0][document::SCHEME][0].as_str().expect("a role");
                assert!(role.parse::<Role>().is_ok(), "{method} {path}");
                assert!(operation["responses"]["403"].is_object(), "{method} {path}");
                assert!(operation["operationId"].is_string(), "{method} {path}");
            }
        }
        let import = &document["paths"]["/api/v1/import"]["post"];
        assert_eq!(import["requestBody"]["required"], false);
        assert!(import["responses"]["415"].is_null(), "any text is a list");
        assert!(document["paths"]["/api/v1/drain"]["post"]["responses"]["415"].is_object());
        let variants = &document["components"]["schemas"]["Whom"]["oneOf"];
        assert!(
            variants.as_array().expect("variants").iter().all(|whom| whom["additionalProperties"] == false)
        );
        assert!(document["components"]["schemas"]["Problem"]["properties"]["detail"].is_object());
        assert_eq!(document["components"]["securitySchemes"][document::SCHEME]["scheme"], "bearer");
    }
}
