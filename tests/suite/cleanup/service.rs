//! The random histories of `property` with their store on a service.
//!
//! Apart so that `tests/rules/run`, which looks for a history that a missing rule breaks, plays the quicker ones alone.

use super::property::{Stage, history};

/// One, and a short one: each request is signed, and each history takes as many as a team does in a year.
#[test]
fn whatever_is_published_can_be_checked_out_from_a_service_too() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    for seed in 1..=number("S3LFS_TEST_SEEDS").unwrap_or(1) {
        assert!(history(&Stage::service(), seed, 12, false) > 0, "seed {seed}: in it something is deleted");
    }
}
