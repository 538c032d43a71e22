//! Command line of ictus.

fn main() {}
