//! The patches of `tests/rules`, each of which switches one rule off: they must not rot. That each of them
//! loses content is shown by `tests/rules/run`.

use std::path::Path;
use std::process::Command;

#[test]
fn each_rule_can_be_switched_off() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut patches = 0;
    for entry in root.join("tests/rules").read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "patch") {
            continue;
        }
        let head = std::fs::read_to_string(&path).unwrap();
        assert!(head.starts_with("Rule: ") && head.contains("\nTest: "), "{} says what it is", path.display());
        let applied = Command::new("git").args(["apply", "--check"]).arg(&path).current_dir(root).output().unwrap();
        let said = String::from_utf8_lossy(&applied.stderr);
        assert!(applied.status.success(), "{} does not apply to src/: make it anew: {said}", path.display());
        patches += 1;
    }
    assert!(patches > 25, "there are {patches}");
}
