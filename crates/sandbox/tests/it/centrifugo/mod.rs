//! The Centrifugo server as its callers and its clients see it
//! (docs/protocols/cent.md). What the recorded servers answered is compared by the
//! tests of the crate `cent`.

mod clients;
mod signed;
mod support;
mod versions;
