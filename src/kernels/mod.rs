//! Convolution operations of the network: one trait, one file a backend.
