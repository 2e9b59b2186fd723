//! The intended role of each operation, compared with the API's description. The description is derived from the
//! same table as the routes, so a wrong role there would be wrong in both.

use std::collections::BTreeSet;

use serde_json::Value;

const DESCRIPTION: &str = include_str!("../../docs/openapi.json");
const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

/// The required role; `anybody` means no sign-in. A new operation has to be added here as well.
const MEANT: &str = "
    anybody get /openapi.json
    monitor get /me
    monitor get /status
    monitor get /status/stream
    monitor get /stream
    monitor get /events
    monitor get /events/stream
    monitor get /components
    monitor get /components/{folder}/{name}
    monitor get /configuration
    monitor get /notifications
    monitor get /modules
    monitor get /modules/{module}
    monitor get /modules/{module}/why
    monitor get /modules/{module}/checkers
    monitor get /modules/{module}/checkers/{checker}
    monitor get /modules/{module}/consequences
    monitor get /modules/{module}/plans/{occasion}
    monitor get /modules/{module}/measurements
    monitor get /modules/{module}/log
    monitor get /modules/{module}/configuration
    control post /modules/{module}/{command}
    control post /modules/{module}/checkers/{checker}/run
    control post /notifications/test
    admin post /components/{name}/approve
    admin post /components/{folder}/{name}/approve
    admin get /users
    admin post /users
    admin put /users/{name}
    admin put /users/{name}/password
    admin delete /users/{name}
    admin get /tokens
    admin post /tokens
    admin delete /tokens/{name}
    admin post /sign-ins
    monitor get /farm
    admin post /farm/init
    admin post /farm/invitations
    admin post /farm/join
    admin delete /farm/nodes/{name}
    admin post /farm/leave
    admin post /farm/authority-key
    admin put /farm/authority-key
    monitor get /nodes/{name}/{rest}
    monitor post /nodes/{name}/{rest}
    monitor put /nodes/{name}/{rest}
    monitor delete /nodes/{name}/{rest}
";

fn described() -> BTreeSet<String> {
    let description: Value = serde_json::from_str(DESCRIPTION).expect("JSON");
    let paths = description["paths"].as_object().expect("paths");
    let of_path = |(path, methods): (&String, &Value)| -> Vec<String> {
        let line = |method: &&str| {
            let role = methods.get(method)?["x-role"].as_str().unwrap_or("anybody");
            Some(format!("{role} {method} {path}"))
        };
        METHODS.iter().filter_map(line).collect()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn every_operation_needs_the_role_that_is_meant_and_none_is_forgotten() {
    let meant: BTreeSet<String> =
        MEANT.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let described = described();
    let only = |here: &BTreeSet<String>, there: &BTreeSet<String>| {
        here.difference(there).cloned().collect::<Vec<_>>().join("\n")
    };
    assert_eq!((only(&described, &meant), only(&meant, &described)), (String::new(), String::new()));
}
