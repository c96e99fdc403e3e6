//! The engine of containers: what one is made of, as data, and how it is run by an OCI runtime.
