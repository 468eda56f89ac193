//! The kernel's generator, fit for secrets.
use rustix::rand::{GetRandomFlags, getrandom};

#[derive(Clone, Copy, Debug, Default)]
pub struct Rng;

impl crate::Rng for Rng {
    fn fill(&self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            match getrandom(&mut *bytes, GetRandomFlags::empty()) {
                Ok(filled) => bytes = &mut bytes[filled..],
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("getrandom, which has no reason to fail: {error}"),
            }
        }
    }
}
