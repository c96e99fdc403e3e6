//! The early init: from the kernel's command line to the live system, or to a system on a disk.
