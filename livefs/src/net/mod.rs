//! The network of containers.
