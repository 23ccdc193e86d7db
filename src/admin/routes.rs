//! All routes of the API, each behind the role that it needs, and the document that says so.
//!
//! To add one: write a handler with `#[utoipa::path]` in a file of this folder, and name it below the role that
//! it needs. Its token, role, limits and errors, and their description in the document, come from here.

use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr, Response,
    ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Json;
use super::role::Role;
use super::{Shared, audit, auth, bulk, domains, drain, sessions, summary, users, waves};
use crate::api::{self, BODY_LONGEST, DEADLINE, DEADLINE_OF_MANY, IMPORT_LONGEST, PROBLEM_TYPE};

/// Longest body that is streamed, in octets: an import of a million users.
#[allow(clippy::cast_possible_truncation, reason = "256 MiB fit into every usize that this runs on")]
const MAX_STREAM: usize = IMPORT_LONGEST as usize;

/// The name of the security scheme in the document.
const SCHEME: &str = "token";

/// The API.
pub(super) fn api() -> OpenApiRouter<Shared> {
    let viewer = OpenApiRouter::new()
        .routes(routes!(document))
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
        .routes(routes!(users::unhide));
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
    OpenApiRouter::with_openapi(head())
        .merge(behind(Role::Viewer, viewer, DEADLINE))
        .merge(behind(Role::Viewer, counting, DEADLINE_OF_MANY))
        .merge(behind(Role::Operator, operator, DEADLINE))
        .merge(behind(Role::Admin, admin, DEADLINE))
        .merge(behind(Role::Admin, moving, DEADLINE_OF_MANY))
        .merge(streamed(Role::Viewer, reading))
        .merge(streamed(Role::Admin, writing))
}

/// The API's own description (`OpenAPI` 3.1).
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "about", operation_id = "openapi",
    responses((status = 200, description = "This document.", body = serde_json::Value))
)]
async fn document() -> Json<OpenApi> {
    Json(api().into_openapi())
}

fn head() -> OpenApi {
    let mut components = Components::new();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(SCHEME, bearer);
    components.schemas.insert(api::Problem::name().into_owned(), api::Problem::schema());
    let info = InfoBuilder::new()
        .title("lastpop")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Who still uses POP3, and the switch to IMAP-only. Every request needs a token \
             (`lastpop token create`); the roles viewer, operator and admin include each other in this order. \
             Errors are problem details (RFC 9457).",
        ))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// Puts routes behind a role, with the limits of requests in JSON.
pub(super) fn behind(role: Role, router: OpenApiRouter<Shared>, deadline: Duration) -> OpenApiRouter<Shared> {
    let router = router
        .route_layer(RequestBodyLimitLayer::new(BODY_LONGEST))
        .route_layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, deadline));
    for_role(role, router)
}

/// The same for streams, which take their time.
fn streamed(role: Role, router: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
    for_role(role, router.route_layer(RequestBodyLimitLayer::new(MAX_STREAM)))
}

fn for_role(role: Role, router: OpenApiRouter<Shared>) -> OpenApiRouter<Shared> {
    let mut router = router.route_layer(from_fn_with_state(role, auth::require));
    for item in router.get_openapi_mut().paths.paths.values_mut() {
        describe(role, item);
    }
    router
}

/// What can happen to every request.
const ERRORS: [(&str, &str); 8] = [
    ("400", "The request is not understood."),
    ("401", "There is no token, or one that is not taken."),
    ("403", "The token's role is not enough."),
    ("413", "The body is too long."),
    ("421", "The request was meant for another host."),
    ("429", "The token asks too often, or too many tokens from this address were refused."),
    ("500", "Something failed inside lastpop."),
    ("503", "lastpop could not answer in time, or its token file cannot be used."),
];

/// What can happen to every request with a body.
const ERRORS_OF_BODIES: [(&str, &str); 2] =
    [("415", "The body is not application/json."), ("422", "The body does not say what is needed.")];

fn describe(role: Role, item: &mut PathItem) {
    let operations =
        [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch, &mut item.head];
    for operation in operations.into_iter().flatten() {
        operation.security = Some(vec![SecurityRequirement::new(SCHEME, [role.as_str()])]);
        let of_bodies = operation.request_body.as_ref().map_or(&[][..], |_| &ERRORS_OF_BODIES);
        for (status, description) in ERRORS.iter().chain(of_bodies) {
            let responses = &mut operation.responses.responses;
            responses.entry((*status).to_owned()).or_insert_with(|| described(description));
        }
        // Errors that a route names itself are problems of the same kind.
        for (status, response) in &mut operation.responses.responses {
            if let (true, RefOr::T(own)) = (status.starts_with('4'), &*response) {
                *response = described(&own.description);
            }
        }
    }
}

fn described(description: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name(api::Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content(PROBLEM_TYPE, content).build().into()
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
                let role = operation["security"][0][SCHEME][0].as_str().expect("a role");
                assert!(role.parse::<Role>().is_ok(), "{method} {path}");
                assert!(operation["responses"]["403"].is_object(), "{method} {path}");
                assert!(operation["operationId"].is_string(), "{method} {path}");
            }
        }
        assert!(document["components"]["schemas"]["Problem"]["properties"]["detail"].is_object());
        assert_eq!(document["components"]["securitySchemes"][SCHEME]["scheme"], "bearer");
    }
}
