//! The description of the API (`OpenAPI` 3.1), generated from the [operations](super::operations).

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use bellwether_core::command::Command;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operations::{Answer, Operation, Shape, all};
use bellwether_api::Problem;

/// The description as indented JSON.
pub(super) static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| serde_json::to_string_pretty(&document()).unwrap_or_default() + "\n");

/// The handler of `GET /api/v1/openapi.json`.
pub(super) async fn page() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for operation in all() {
        let described = describe(&operation, &mut generator);
        let path = paths.entry(operation.path.replace("{*", "{")).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(operation.method.to_owned(), described);
        }
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bellwether",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The state and the commands of a node, and of the farm that it is in. The console and the command line use nothing else. Names are added, never changed.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/api/v1" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A token: `bellwether token create`." },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "bellwether_session_PORT",
                    "description": "A session of the console. Changes also need a page of the same origin and the key of the session, in the header `Bellwether-Act`.",
                },
            },
            "responses": {
                "Problem": {
                    "description": "Why not, and what to do next (RFC 9457)",
                    "content": { "application/problem+json": { "schema": problem } },
                },
            },
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = names(operation.path).map(in_path).collect();
    parameters.extend(operation.query.into_iter().flat_map(in_query));
    let mut responses = Map::new();
    let (status, answer) = well(&operation.answer, generator);
    responses.insert(status.to_owned(), answer);
    let mut problems: Vec<u16> = operation.problems.to_vec();
    if operation.role.is_some() {
        problems.extend([401, 403, 504]);
    }
    problems.sort_unstable();
    for status in problems {
        responses.insert(status.to_string(), json!({ "$ref": "#/components/responses/Problem" }));
    }
    let mut described = json!({
        "operationId": id(operation),
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(role) = operation.role {
        described["description"] = json!(format!("Needs the role {role}."));
        described["x-role"] = json!(role);
        described["security"] = json!([{ "token": [] }, { "session": [] }]);
    } else {
        described["security"] = json!([]);
    }
    if let Some(body) = operation.body {
        let schema = body(generator).to_value();
        described["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    described
}

fn well(answer: &Answer, generator: &mut SchemaGenerator) -> (&'static str, Value) {
    let mut content =
        |shape: &Shape| json!({ "application/json": { "schema": shape(generator).to_value() } });
    match answer {
        Answer::Json(shape) => {
            ("200", json!({ "description": "The requested data", "content": content(shape) }))
        }
        Answer::Created(Some(shape)) => ("201", json!({ "description": "Made", "content": content(shape) })),
        Answer::Created(None) => ("201", json!({ "description": "Made" })),
        Answer::Nothing => ("204", json!({ "description": "Done" })),
        Answer::Whatever => ("default", json!({ "description": "The response of that node" })),
        Answer::Stream(kind) => {
            let content = Map::from_iter([((*kind).to_owned(), json!({ "schema": { "type": "string" } }))]);
            ("200", json!({ "description": "Goes on until it is closed", "content": content }))
        }
    }
}

/// The id of an operation: `getModulesModuleWhy`.
fn id(operation: &Operation) -> String {
    let parts = operation.path.split(['/', '-', '.']).map(|part| part.trim_matches(['{', '*', '}']));
    parts.fold(operation.method.to_owned(), |mut id, part| {
        let mut letters = part.chars();
        id.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        id.extend(letters);
        id
    })
}

/// The names in braces.
fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
}

fn in_path(name: &str) -> Value {
    let schema = match name {
        "command" => {
            json!({ "type": "string", "enum": Command::ALL })
        }
        "occasion" => json!({ "type": "string", "enum": ["start", "stop", "restart"] }),
        "folder" => json!({ "type": "string", "enum": ["checkers", "restart-scripts"] }),
        _ => {
            json!({ "type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$" })
        }
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

/// The fields of a query, as separate parameters.
fn in_query(shape: Shape) -> Vec<Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = shape(&mut settings.into_generator()).to_value();
    let Some(Value::Object(fields)) = schema.get("properties") else { return Vec::new() };
    fields.iter().map(|(name, field)| query_parameter(name, field)).collect()
}

fn query_parameter(name: &str, field: &Value) -> Value {
    let mut schema = field.clone();
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        // Optional parameters are omitted; there is no null in a URL.
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

#[cfg(test)]
mod tests {
    use bellwether_core::state::StateName;

    use super::*;

    /// The interface that programs are written against: a change of it is noticed here.
    #[test]
    fn the_description_in_the_repository_is_the_one_that_is_served() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        if std::env::var_os("BELLWETHER_UPDATE").is_some() {
            std::fs::write(path, DOCUMENT.as_str()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == *DOCUMENT,
            "docs/openapi.json is out of date: run this test with BELLWETHER_UPDATE=1"
        );
    }

    #[test]
    fn the_description_has_the_words_of_the_core() {
        let document = document();
        let words = |of: &str| document["components"]["schemas"][of]["enum"].clone();
        assert_eq!(words("State"), json!(StateName::ALL));
        assert_eq!(words("Command"), json!(Command::ALL));
    }

    #[test]
    fn every_reference_leads_to_something() {
        let document = document();
        let text = document.to_string();
        for rest in text.match_indices("\"$ref\":\"#").map(|(at, found)| &text[at + found.len()..]) {
            let pointer = rest.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn no_two_operations_have_the_same_name_and_all_say_what_they_do() {
        let mut ids: Vec<String> = all().iter().map(id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(all().iter().all(|operation| operation.summary.len() > 7));
    }
}
