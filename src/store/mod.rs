//! The store: where objects are kept, and how content becomes an object and content again.
//!
//! Apart because nothing else knows what an object's bytes look like; the layers above name content by oid.

pub mod codec;
