//! The world as it is: the kernel's files and sockets, threads, tokio.
mod calls;
mod disk;

pub use disk::Disk;
