//! What the `OpenAPI` document says of every route alike: the token, the role, and all that can go wrong.

use axum::http::Method;
use utoipa::openapi::schema::{AdditionalProperties, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr, Required,
    Response, ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};

use super::role::Role;
use crate::api::{self, PROBLEM_TYPE};

/// The name of the security scheme.
pub(super) const SCHEME: &str = "token";

/// The document before its routes.
pub(super) fn head() -> OpenApi {
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

/// What can happen to every request with a body in JSON.
const ERRORS_OF_JSON: [(&str, &str); 2] =
    [("415", "The body is not application/json."), ("422", "The body does not say what is needed.")];

/// Describes who may ask what is at a path, and what can go wrong.
pub(super) fn describe(role: Role, item: &mut PathItem) {
    let operations =
        [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch, &mut item.head];
    for operation in operations.into_iter().flatten() {
        operation.security = Some(vec![SecurityRequirement::new(SCHEME, [role.as_str()])]);
        let of_body = match &mut operation.request_body {
            Some(RefOr::T(body)) if body.content.contains_key("application/json") => &ERRORS_OF_JSON[..],
            Some(RefOr::T(list)) => {
                // A list may be empty, and no body is an empty list.
                list.required = Some(Required::False);
                &[]
            }
            _ => &[],
        };
        for (status, description) in ERRORS.iter().chain(of_body) {
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

/// The methods that a path takes.
pub(super) fn methods(item: &PathItem) -> impl Iterator<Item = Method> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
        (Method::HEAD, &item.head),
    ];
    all.into_iter().filter_map(|(method, operation)| operation.is_some().then_some(method))
}

fn described(description: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name(api::Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content(PROBLEM_TYPE, content).build().into()
}

/// Says of each type that is one of several that it is no more than that one: serde takes no second key, and the
/// derived schema does not say so.
pub(super) fn close_variants(document: &mut OpenApi) {
    let schemas = document.components.iter_mut().flat_map(|components| components.schemas.values_mut());
    for schema in schemas {
        let RefOr::T(Schema::OneOf(variants)) = schema else { continue };
        variants.items.iter_mut().for_each(close);
    }
}

/// Says of a text that may be any that it has no NUL in it all the same.
fn without_nul(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(text)) = schema else { return };
    let any = text.pattern.is_none() && text.format.is_none() && text.enum_values.is_none();
    if any && text.schema_type == SchemaType::Type(Type::String) {
        text.pattern = Some(r"^[^\x00]*$".to_owned());
    }
}

/// Closes a variant, and what it holds where that has no name of its own.
fn close(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    if object.properties.is_empty() {
        return without_nul(schema);
    }
    object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    object.properties.values_mut().for_each(close);
}
