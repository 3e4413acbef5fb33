//! Compiles the example of the workspace's README, so that it stays true.

#![forbid(unsafe_code)]

/// The README of the workspace.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[expect(dead_code, reason = "only its documentation is used")]
struct Readme;
