//! Images of any origin, read without root: kernels, initrds, file systems, ISOs, disks, archives.
//!
//! [`Image::open`] finds out what some bytes are; [`Image::filesystem`] gives a container's entries, the same type
//! for every format, and their content on demand. An [`Address`] is a path through containers inside each other.
//!
//! Everything that is read is foreign: [`Limits`] bound memory, disk and time, and a damaged image is a [`Fault`].
//! Names and attributes are bytes, shown through `printable`.

mod address;
mod codec;
mod cpio;
mod disk;
mod entry;
mod erofs;
mod ext4;
mod fat;
mod fault;
mod filesystem;
mod image;
mod initrd;
mod iso;
mod kernel;
mod limits;
mod lz4;
mod pe;
mod region;
mod share;
mod squashfs;
mod tar;

pub use address::{Address, Opened};
pub use codec::Codec;
pub use disk::{Partition, PartitionTable};
pub use entry::{Entry, Kind, Listing, is_below};
pub use fault::{Fault, ReaderError};
pub use filesystem::{Content, Filesystem};
pub use image::{Format, Image, IsoInfo};
pub use initrd::InitrdSegment;
pub use iso::{BootImage, NameSource};
pub use kernel::KernelInfo;
pub use limits::Limits;
pub use pe::Section;
pub use region::{Cursor, Region};
pub use share::{Blocks, StoredAs};
pub use squashfs::SquashfsInfo;
