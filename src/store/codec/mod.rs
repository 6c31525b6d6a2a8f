//! How content becomes an object's bytes, and an object's bytes content (design.md, section 3, "Object").
//!
//! Apart because it is the one place that knows the object format. Pure, blocking code over `std::io`
//! in constant memory; who runs it, on which thread, and what it is joined to is not its concern.
//!
//! - [`decide()`]: whether to compress, from a [`Sample`] of the content;
//! - [`encode_range`]: a range of content to raw bytes or to whole gzip members;
//! - [`decode()`]: an object to content, by the [`Mark`] that it begins with.

mod decide;
mod decode;
mod deflating;
mod encode;

pub use decide::{Compression, Encoding, Sample, decide, must_wrap};
pub use decode::{DecodeError, MARK_LEN, Mark, decode, mark, may_encode};
pub use encode::{MEMBER_LEN, encode_range, encode_range_on, encoder, room_for};
