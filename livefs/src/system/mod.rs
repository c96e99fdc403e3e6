//! Systems and templates: trees that hold a whole system, packed or on a disk.
