//! S3: the store, the engine and the commands against a service with signatures, counts and faults.

mod addressing;
#[cfg(unix)]
mod at_work;
pub mod bench;
mod beside_cleanup;
mod broken_aws;
mod cleanup;
mod contract;
mod counts;
mod credentials;
mod ctrl_c;
mod doctor;
mod encryption;
mod end_to_end;
mod errors;
mod fault;
mod faults;
#[cfg(target_os = "linux")]
mod git_killed;
mod handed_out;
mod interrupted;
mod issuer;
mod killed;
mod large;
#[cfg(target_os = "linux")]
mod left_behind;
mod legacy;
mod lying;
pub mod memory;
mod offline;
mod on_service;
mod paying;
mod progress;
mod proxy;
mod purge;
mod redirects;
mod secrets;
mod server;
mod slow_aws;
mod tls;
mod together;
mod trace;
mod twins;
mod two_at_once;
mod upstream;
mod verify;
