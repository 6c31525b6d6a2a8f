//! `doctor`: each part of the set-up broken in turn, found, and mended by the command that it prints.

mod committed;
mod hooks;
mod machine;
mod store;

use serde_json::Value;

use crate::world::{Place, Ran, World};

/// The findings about one part, as JSON.
pub fn about(answer: &Value, check: &str) -> Vec<(String, String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = answer["items"].as_array().unwrap().iter();
    for item in items.clone().filter(|item| item["state"] == "stops" || item["state"] == "warning") {
        assert_ne!(item["mend"], serde_json::json!([]), "every finding has a command that mends it: {item}");
    }
    let items = items.filter(|item| item["check"] == check);
    let mend = |item: &Value| item["mend"].as_array().unwrap().iter().map(text).collect();
    items.map(|item| (text(&item["state"]), text(&item["message"]), mend(item))).collect()
}

/// The one finding about this part that has this state; it says these things.
#[track_caller]
pub fn finds(answer: &Value, check: &str, state: &str, says: &[&str]) -> Vec<String> {
    let found: Vec<_> = about(answer, check).into_iter().filter(|(found, ..)| found == state).collect();
    let [(_, message, mend)] = found.as_slice() else {
        panic!("one finding about {check} with state {state}: {found:?} in {answer:#}")
    };
    for text in says {
        assert!(message.contains(text), "it says {text:?}: {message}");
    }
    mend.clone()
}

/// What is not as it should be.
pub fn bad(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap().iter();
    let bad = items.filter(|item| item["state"] == "stops" || item["state"] == "warning");
    bad.map(|item| format!("{}: {}", item["check"].as_str().unwrap(), item["message"])).collect()
}

/// Nothing stops work.
#[track_caller]
pub fn fine(place: &Place<'_>) -> Value {
    let answer = place.s3lfs(&["doctor", "--json"]).ok().json("doctor");
    assert_eq!(bad(&answer), Vec::<String>::new(), "nothing is to be mended");
    answer
}

/// Something does: exit 1, and `errors` has it too.
#[track_caller]
pub fn stopped(ran: Ran) -> Value {
    let answer = ran.fails(1).json("doctor");
    let stops = answer["items"].as_array().unwrap().iter().filter(|item| item["state"] == "stops").count();
    assert_eq!(answer["errors"].as_array().unwrap().len(), stops, "errors are what stops work");
    assert!(stops > 0, "exit 1 means that something stops work");
    answer
}

/// The commands that were printed, as the user pastes them.
#[track_caller]
pub fn run_all(place: &Place<'_>, commands: &[String]) {
    for command in commands {
        place.sh(command).ok();
    }
}

#[test]
fn a_set_up_that_is_well_is_said_to_be() {
    let world = World::with_a();
    let work = world.at("work");
    let store = crate::world::snapshot(&world.path("store"));
    let index = work.index();
    let ran = work.s3lfs(&["doctor"]).ok();
    assert!(ran.stderr.contains("Everything is as it should be"), "{ran:#?}");
    for part in ["git", "program", "filter", "manifest", "attributes", "pre-push", "cache", "list", "put", "speed"] {
        assert!(ran.stdout.contains(part), "{part} was looked at: {ran:#?}");
    }
    let answer = fine(&work);
    assert_eq!(answer["errors"], Value::Array(Vec::new()));
    assert_eq!(about(&answer, "hook").len(), 6, "each hook is named");
    assert_eq!(crate::world::snapshot(&world.path("store")), store, "no probe object is left");
    assert!(!world.path("store/proj/doctor").exists(), "nor its directory");
    assert_eq!(work.index(), index, "nothing is changed here");
    work.is_clean();
    assert_eq!(work.s3lfs(&["doctor", "-q"]).ok().stdout, "", "-q shows only what is to be mended");
}

#[test]
fn from_a_subdirectory_the_same_is_found() {
    let world = World::with_a();
    fine(&world.at("work").sub("deep/down"));
}
