//! S3: the store, the engine and the commands against a service with signatures, counts and faults.

mod addressing;
pub mod bench;
mod beside_cleanup;
mod cleanup;
mod contract;
mod counts;
mod credentials;
mod ctrl_c;
mod end_to_end;
mod errors;
mod fault;
mod faults;
mod interrupted;
mod killed;
mod large;
mod legacy;
mod lying;
pub mod memory;
mod offline;
mod purge;
mod redirects;
mod secrets;
mod server;
mod tls;
mod together;
mod upstream;
mod verify;
